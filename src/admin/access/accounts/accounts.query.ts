import { Injectable } from '@nestjs/common';
import type { AccountName } from '../../../accounts/users/account-name.js';
import { AccountUnknownError } from '../../../accounts/users/account-unknown.error.js';
import type { AccountKind, RegistryRole } from '../../../database/entities/account.entity.js';
import { ListQueries } from '../../../database/list-queries.js';
import type { Page, PageRequest } from '../../../database/page.js';

/** An account with its groups and its secrets. Hashes are never read here. */
export interface AccountSummary {
  readonly name: AccountName;
  readonly role: RegistryRole | null;
  readonly disabled: boolean;
  readonly expiresAt: Date | null;
  readonly groups: string[];
  readonly activeTokens: number;
  readonly tokenLastUsedAt: Date | null;
  readonly nextTokenExpiry: Date | null;
  readonly createdAt: Date;
  readonly createdBy: string | null;
}

export interface UserSummary extends AccountSummary {
  readonly hasPassword: boolean;
}

/** Of the selected accounts only. Times are compared with the database's clock. */
const summaries = (kind: AccountKind, selection: string) => `
  SELECT a.name, a.registry_role AS role, a.disabled, a.expires_at AS "expiresAt",
         ${kind === 'user' ? `a.password_hash IS NOT NULL AS "hasPassword",` : ''}
         ARRAY(SELECT g.name FROM group_members m JOIN groups g ON g.id = m.group_id
                WHERE m.account_id = a.id ORDER BY g.name) AS groups,
         s.*, a.created_at AS "createdAt", a.created_by AS "createdBy"
    FROM (SELECT * FROM accounts WHERE kind = '${kind}' AND deleted_at IS NULL AND ${selection}) AS a
   CROSS JOIN LATERAL (
           SELECT count(*) FILTER (WHERE active)::int AS "activeTokens",
                  max(last_used_at) AS "tokenLastUsedAt",
                  min(expires_at) FILTER (WHERE active) AS "nextTokenExpiry"
             FROM (SELECT last_used_at, expires_at,
                          revoked_at IS NULL
                            AND coalesce(expires_at > clock_timestamp(), true) AS active
                     FROM access_tokens WHERE account_id = a.id) AS t) AS s
   ORDER BY a.name`;

/** All names with the prefix sort before the prefix with a `~`, which sorts after all characters of names. */
const PAGE = `name > $1 AND name >= $2 AND name < $2 || '~' ORDER BY name LIMIT $3`;
const ONE = 'name = $1';
const PAGES = { user: summaries('user', PAGE), robot: summaries('robot', PAGE) };
const ONES = { user: summaries('user', ONE), robot: summaries('robot', ONE) };

/** Reads users and robots for the admin API. */
@Injectable()
export class AccountsQuery {
  constructor(private readonly lists: ListQueries) {}

  /** The users whose names start with `prefix`, sorted by name. */
  users(prefix: string, { after, limit }: PageRequest<AccountName>): Promise<Page<UserSummary>> {
    return this.lists.page(PAGES.user, [after ?? '', prefix], limit);
  }

  /** The robots whose names start with `prefix`, sorted by name. */
  robots(prefix: string, { after, limit }: PageRequest<AccountName>): Promise<Page<AccountSummary>> {
    return this.lists.page(PAGES.robot, [after ?? '', prefix], limit);
  }

  /** @throws AccountUnknownError */
  user(name: AccountName): Promise<UserSummary> {
    return this.one<UserSummary>('user', name);
  }

  /** @throws AccountUnknownError */
  robot(name: AccountName): Promise<AccountSummary> {
    return this.one<AccountSummary>('robot', name);
  }

  private async one<Row>(kind: AccountKind, name: AccountName): Promise<Row> {
    const [account] = await this.lists.run<Row>(ONES[kind], [name]);
    if (account === undefined) throw new AccountUnknownError(kind, name);
    return account;
  }
}
