import { Injectable } from '@nestjs/common';
import type { AccountName } from '../../../accounts/users/account-name.js';
import { GroupUnknownError } from '../../../accounts/groups/group.errors.js';
import type { AccountKind } from '../../../database/entities/account.entity.js';
import { ListQueries } from '../../../database/list-queries.js';
import type { Page, PageRequest } from '../../../database/page.js';

export interface GroupSummary {
  readonly name: AccountName;
  readonly description: string;
  readonly memberCount: number;
  readonly grantCount: number;
  readonly createdAt: Date;
  readonly createdBy: string | null;
}

export interface Member {
  readonly id: string;
  readonly name: AccountName;
  readonly kind: AccountKind;
  readonly addedAt: Date;
}

/** What is counted belongs to the selected groups only. */
const summaries = (selection: string) => `
  SELECT g.name, g.description,
         (SELECT count(*)::int FROM group_members WHERE group_id = g.id) AS "memberCount",
         (SELECT count(*)::int FROM grants WHERE group_id = g.id) AS "grantCount",
         g.created_at AS "createdAt", g.created_by AS "createdBy"
    FROM (SELECT * FROM groups WHERE ${selection}) AS g
   ORDER BY g.name`;

const LIST = summaries('name > $1 ORDER BY name LIMIT $2');
const ONE = summaries('name = $1');

// Rows are compared, so that the page is a range of the primary key: for a group of unknown size, the planner
// read and sorted all members.
const MEMBERS = `
  SELECT a.id, a.name, a.kind, m.created_at AS "addedAt"
    FROM (SELECT group_id, account_id, created_at FROM group_members
           WHERE (group_id, account_id) > ((SELECT id FROM groups WHERE name = $1), $2::bigint)
             AND group_id <= (SELECT id FROM groups WHERE name = $1)
           ORDER BY group_id, account_id
           LIMIT $3) AS m
   CROSS JOIN LATERAL (SELECT id, name, kind FROM accounts WHERE id = m.account_id LIMIT 1) AS a
   ORDER BY m.account_id`;

/** Reads groups for the admin API. */
@Injectable()
export class GroupsQuery {
  constructor(private readonly lists: ListQueries) {}

  /** Sorted by name. */
  list({ after, limit }: PageRequest<AccountName>): Promise<Page<GroupSummary>> {
    return this.lists.page(LIST, [after ?? ''], limit);
  }

  /** @throws GroupUnknownError */
  async get(name: AccountName): Promise<GroupSummary> {
    const [group] = await this.lists.run<GroupSummary>(ONE, [name]);
    if (group === undefined) throw new GroupUnknownError(name);
    return group;
  }

  /** Sorted by the id of the account: older accounts first. @throws GroupUnknownError */
  async members(name: AccountName, { after, limit }: PageRequest): Promise<Page<Member>> {
    const page = await this.lists.page<Member>(MEMBERS, [name, after ?? '0'], limit);
    if (page.items.length === 0) await this.get(name);
    return page;
  }
}
