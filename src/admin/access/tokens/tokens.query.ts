import { Injectable } from '@nestjs/common';
import { AccountUnknownError } from '../../../accounts/users/account-unknown.error.js';
import type { AccountName } from '../../../accounts/users/account-name.js';
import type { AccountKind } from '../../../database/entities/account.entity.js';
import { ListQueries } from '../../../database/list-queries.js';
import type { Page } from '../../../database/page.js';
import { type Position, sortedStatements, sortsBy, timeColumn } from '../../paging/sort.js';
import type { Sorted } from '../../paging/sorted-cursor.js';
import type { TokenId } from '../accounts/account-parameters.js';

export const TOKEN_SORTS = sortsBy(['id', 'createdAt']);
export type TokenSort = (typeof TOKEN_SORTS)[number];

/** A secret without its text, which is not stored. */
export interface TokenSummary extends Sorted {
  readonly id: TokenId;
  readonly name: string;
  readonly state: 'active' | 'expired' | 'revoked';
  readonly ceiling: 'pull' | null;
  readonly expiresAt: Date | null;
  readonly lastUsedAt: Date | null;
  readonly revokedAt: Date | null;
  readonly createdAt: Date;
  readonly createdBy: string | null;
}

/** Times are compared with the database's clock. An id sorts before `~`. */
const PAGES = sortedStatements(
  { column: 'id', before: '', after: '~' },
  { id: undefined, createdAt: timeColumn('created_at') },
  2,
  ({ after, by, value, limit }) => `
  SELECT id, name,
         CASE WHEN revoked_at IS NOT NULL THEN 'revoked'
              WHEN expires_at <= clock_timestamp() THEN 'expired'
              ELSE 'active' END AS state,
         ceiling, expires_at AS "expiresAt", last_used_at AS "lastUsedAt", revoked_at AS "revokedAt",
         created_at AS "createdAt", created_by AS "createdBy", ${value} AS "sortValue"
    FROM access_tokens
   WHERE account_id = $1 AND ${after}
   ORDER BY ${by}
   LIMIT ${limit}`,
);

const ACCOUNT_ID = 'SELECT id FROM accounts WHERE name = $1 AND kind = $2 AND deleted_at IS NULL';

/** Reads secrets for the admin API. */
@Injectable()
export class TokensQuery {
  constructor(private readonly lists: ListQueries) {}

  /** A page of an account's secrets, also of those that ended in the last days. */
  list(
    accountId: string,
    { sort, after, limit }: { sort: TokenSort; after: Position<TokenId> | undefined; limit: number },
  ): Promise<Page<TokenSummary>> {
    const { sql, parameters } = PAGES[sort];
    return this.lists.page(sql, [accountId, ...parameters(after)], limit);
  }

  /** @throws AccountUnknownError */
  async accountId(kind: AccountKind, name: AccountName): Promise<string> {
    const [row] = await this.lists.run<{ id: string }>(ACCOUNT_ID, [name, kind]);
    if (row === undefined) throw new AccountUnknownError(kind, name);
    return row.id;
  }
}
