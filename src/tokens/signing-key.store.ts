import { Inject, Injectable } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { READS } from '../database/connection/connections.js';
import { queryRows } from '../database/query-rows.js';
import type { Transaction } from '../database/unit-of-work.js';
import type { StoredKey } from './signing-key.js';

/** A row of `signing_keys`. */
export interface SigningKeyRow extends StoredKey {
  readonly signsFrom: Date;
}

/** The installation's name in tokens, and its keys, earliest first. */
export interface TokenState {
  readonly issuer: string;
  readonly keys: readonly SigningKeyRow[];
}

/** Which change of the keys is due. */
export interface DueChanges {
  /** `first`: a key that signs at once. `next`: one that is published before it signs. */
  readonly key: 'first' | 'next' | null;
  readonly hasOld: boolean;
}

/** The life of a key, in days. */
export const KEY_TIMES = {
  signs: 30,
  /** A key is in `/auth/jwks` for this long before it signs. */
  publishedBefore: 1,
  /**
   * A key stays for this long after the next one began to sign: the longest `AUTH_TOKEN_TTL_SECONDS` and the
   * time for late tokens are a day each, and a day is for processes that were slow to take the next key.
   */
  acceptedAfter: 3,
};

const SIGNS_AND_IS_OLD = `EXISTS (SELECT FROM signing_keys next
                                   WHERE next.signs_from > key.signs_from
                                     AND next.signs_from <= now() - $1::float8 * interval '1 day')`;

@Injectable()
export class SigningKeyStore {
  constructor(@Inject(READS) private readonly reads: DataSource) {}

  async read(): Promise<TokenState> {
    const [row] = await queryRows<{ issuer: string; keys: KeyJson[] }>(
      this.reads.manager,
      `SELECT issuer,
              (SELECT coalesce(json_agg(json_build_object('kid', kid, 'jwk', private_jwk, 'signsFrom', signs_from)
                                        ORDER BY signs_from, kid), '[]')
                 FROM signing_keys) AS keys
         FROM access_state WHERE is_only_row`,
    );
    if (row === undefined) throw new Error('the row of access_state was deleted');
    const keys = row.keys.map(({ kid, jwk, signsFrom }) => ({ kid, jwk, signsFrom: new Date(signsFrom) }));
    return { issuer: row.issuer, keys };
  }

  /** Without a lock, to find out whether a change is worth one. */
  due(): Promise<DueChanges> {
    return this.dueIn(this.reads.manager);
  }

  /** Which changes are due by the clock of the database. */
  async dueIn(transaction: Transaction): Promise<DueChanges> {
    const [row] = await queryRows<DueChanges>(
      transaction,
      `SELECT CASE WHEN count(*) FILTER (WHERE signs_from <= now()) = 0 THEN 'first'
                   WHEN max(signs_from) <= now() - $2::float8 * interval '1 day' THEN 'next' END AS key,
              coalesce(bool_or(${SIGNS_AND_IS_OLD}), false) AS "hasOld"
         FROM signing_keys key`,
      [KEY_TIMES.acceptedAfter, KEY_TIMES.signs - KEY_TIMES.publishedBefore],
    );
    return row ?? { key: null, hasOld: false };
  }

  async insert({ kid, jwk }: StoredKey, signsInDays: number, transaction: Transaction): Promise<void> {
    await queryRows(
      transaction,
      `INSERT INTO signing_keys (kid, private_jwk, signs_from)
       VALUES ($1, $2, now() + $3::float8 * interval '1 day')`,
      [kid, JSON.stringify(jwk), signsInDays],
    );
  }

  /** Deletes the keys whose tokens can't be accepted any more. */
  async deleteOld(transaction: Transaction): Promise<void> {
    await queryRows(transaction, `DELETE FROM signing_keys key WHERE ${SIGNS_AND_IS_OLD}`, [
      KEY_TIMES.acceptedAfter,
    ]);
  }
}

interface KeyJson extends StoredKey {
  readonly signsFrom: string;
}
