import { Inject, Injectable } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { auditInsertion, auditParameters } from '../../audit/audit-insertion.js';
import { READS } from '../../database/connection/connections.js';
import { queryRows } from '../../database/query-rows.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import type { LoginOrigin } from './login.js';

/** Failed logins are counted for this long, in seconds: ten minutes, and the rest of their minute. */
export const FAILURE_WINDOW_SECONDS = 11 * 60;

/** Whose failed logins are counted together. */
export interface Attempt {
  readonly network: string;
  readonly nameHash: number;
}

/** The failed logins of a minute. */
export interface FailuresOfMinute {
  /** Since the minute began. */
  readonly ageSeconds: number;
  /** With the name, from the network. */
  readonly ofName: number;
  /** From the network, without those of names that are exempt. */
  readonly ofNetwork: number;
}

/** The failed logins of a network. */
export interface RecentFailures {
  /** At most one entry for each minute of the window, the newest first. */
  readonly minutes: readonly FailuresOfMinute[];
  /** The name has logged in from the network, at most two days ago. */
  readonly isExempt: boolean;
}

const RECENT = `
  WITH recent AS (
    SELECT extract(epoch FROM now() - minute)::float8 AS "ageSeconds",
           coalesce(sum(failures) FILTER (WHERE name_hash = $2), 0)::int AS "ofName",
           coalesce(sum(failures) FILTER (WHERE NOT is_exempt), 0)::int AS "ofNetwork"
      FROM login_failures
     WHERE network = $1 AND minute > now() - interval '${FAILURE_WINDOW_SECONDS} s'
     GROUP BY minute
  )
  SELECT coalesce((SELECT json_agg(recent ORDER BY "ageSeconds") FROM recent), '[]') AS minutes,
         EXISTS (SELECT FROM logins l JOIN accounts a ON a.id = l.account_id
                  WHERE a.name = $3 AND l.network = $1 AND l.last_at > now() - interval '2 days') AS "isExempt"`;

// Each row removes some old ones, so that the table does not grow. The audit has one event per minute.
const FAILED = `
  WITH old AS (
    DELETE FROM login_failures WHERE (network, name_hash, minute) IN (
      SELECT network, name_hash, minute FROM login_failures
       WHERE minute < now() - interval '${FAILURE_WINDOW_SECONDS} s'
       ORDER BY minute LIMIT 10 FOR UPDATE SKIP LOCKED)
  ), counted AS (
    INSERT INTO login_failures AS f (network, name_hash, minute, failures, is_exempt)
    VALUES ($1, $2, date_trunc('minute', now()), 1, $3)
    ON CONFLICT (network, name_hash, minute) DO UPDATE SET failures = f.failures + 1
    RETURNING failures
  ), first AS (
    SELECT name FROM counted, accounts WHERE failures = 1 AND name = $4 AND deleted_at IS NULL
  )
  ${auditInsertion('first', { action: 'login.failure', subject: 'name' }, 5)}`;

// Most calls find a row of today, and write nothing.
const SUCCEEDED = `
  WITH recorded AS (
    INSERT INTO logins (account_id, network, credential, last_at)
    SELECT $1, $2, $3, now()
     WHERE NOT EXISTS (
             SELECT FROM logins WHERE account_id = $1 AND network = $2 AND credential = $3
                                  AND last_at > now() - interval '1 day')
    ON CONFLICT (account_id, network, credential) DO UPDATE SET last_at = now()
    RETURNING credential
  ), old AS (
    DELETE FROM logins WHERE (account_id, network, credential) IN (
      SELECT account_id, network, credential FROM logins
       WHERE last_at < now() - interval '2 days' AND (account_id, network, credential) <> ($1, $2, $3)
         AND EXISTS (SELECT FROM recorded)
       ORDER BY last_at LIMIT 10 FOR UPDATE SKIP LOCKED)
  )
  ${auditInsertion(
    'recorded',
    { action: 'login', subject: '$4', after: `jsonb_build_object('credential', credential)` },
    5,
  )}`;

/** The rows of failed and successful logins. */
@Injectable()
export class LoginStore {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    @Inject(READS) private readonly reads: DataSource,
  ) {}

  async recentFailures({ network, nameHash }: Attempt, name: string): Promise<RecentFailures> {
    const parameters = [network, nameHash, name];
    const [row] = await queryRows<RecentFailures>(this.reads.manager, RECENT, parameters);
    if (row === undefined) throw new Error('an aggregate returned no row');
    return row;
  }

  /** Counts a failed login. The audit log has the first one of each minute, if the account exists. */
  async failed(
    { network, nameHash }: Attempt,
    name: string,
    isExempt: boolean,
    origin: LoginOrigin,
  ): Promise<void> {
    const audit = auditParameters({ actor: null, ...origin });
    await this.unitOfWork.statement(FAILED, [network, nameHash, isExempt, name, ...audit]);
  }

  /** Records a login, at most once a day. The audit log has it then too. */
  async succeeded(
    account: { readonly id: string; readonly name: string },
    network: string,
    credential: string,
    origin: LoginOrigin,
  ): Promise<void> {
    const { id, name } = account;
    const audit = auditParameters({ actor: name, ...origin });
    await this.unitOfWork.statement(SUCCEEDED, [id, network, credential, name, ...audit]);
  }
}
