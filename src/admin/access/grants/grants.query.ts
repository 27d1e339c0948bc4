import { Injectable } from '@nestjs/common';
import type { Pattern } from '../../../accounts/grants/pattern.js';
import type { GrantRole, GrantSubject } from '../../../database/entities/grant.entity.js';
import { ListQueries } from '../../../database/list-queries.js';
import type { Page, PageRequest } from '../../../database/page.js';

export interface ListedGrant {
  readonly id: string;
  readonly subject: GrantSubject;
  readonly name: string | null;
  readonly pattern: string;
  readonly role: GrantRole;
  readonly createdAt: Date;
  readonly createdBy: string | null;
}

export interface GrantFilters {
  readonly subject: GrantSubject | undefined;
  /** With the subject `account` or `group`. */
  readonly name: string | undefined;
  readonly pattern: Pattern | undefined;
}

// Subqueries for names: with a join, the planner read all groups for a page.
const list = (selection: string) => `
  SELECT g.id, g.subject,
         coalesce((SELECT name FROM accounts WHERE id = g.account_id),
                  (SELECT name FROM groups WHERE id = g.group_id)) AS name,
         g.pattern, g.role, g.created_at AS "createdAt", g.created_by AS "createdBy"
    FROM (SELECT * FROM grants WHERE ${selection}) AS g
   ORDER BY g.id`;

const page = (condition: string, first: number) =>
  list(`${condition} AND id > $${first} ORDER BY id LIMIT $${first + 1}`);

/** An account or a group has at most 1,000 grants. */
const OF_NAME = {
  account: 'account_id = (SELECT id FROM accounts WHERE name = $1)',
  group: 'group_id = (SELECT id FROM groups WHERE name = $1)',
};

const OF_ALL = page('true', 1);
/** A range instead of an equality: with that, the planner read all grants in the order of their ids. */
const OF_SUBJECT = list('(subject, id) > ($1, $2) AND subject <= $1 ORDER BY subject, id LIMIT $3');
const OF_PATTERN = page('pattern = $1', 2);
const OF_SUBJECT_AND_PATTERN = page('subject = $1 AND pattern = $2', 3);
const OF_NAMES = { account: page(OF_NAME.account, 2), group: page(OF_NAME.group, 2) };
const OF_NAMES_AND_PATTERN = {
  account: page(`${OF_NAME.account} AND pattern = $2`, 3),
  group: page(`${OF_NAME.group} AND pattern = $2`, 3),
};
const ONE = list('id = $1');

/** Reads grants for the admin API. */
@Injectable()
export class GrantsQuery {
  constructor(private readonly lists: ListQueries) {}

  /** The grants that match all filters, sorted by id: the oldest first. */
  list(filters: GrantFilters, { after, limit }: PageRequest): Promise<Page<ListedGrant>> {
    const { subject, name, pattern } = filters;
    const values = [name ?? subject, pattern, after ?? '0'].filter((value) => value !== undefined);
    return this.lists.page(statementOf(filters), values, limit);
  }

  /** Undefined if it was deleted meanwhile. */
  async find(id: string): Promise<ListedGrant | undefined> {
    return (await this.lists.run<ListedGrant>(ONE, [id]))[0];
  }
}

function statementOf({ subject, name, pattern }: GrantFilters): string {
  if (name !== undefined && (subject === 'account' || subject === 'group'))
    return (pattern === undefined ? OF_NAMES : OF_NAMES_AND_PATTERN)[subject];
  if (subject !== undefined) return pattern === undefined ? OF_SUBJECT : OF_SUBJECT_AND_PATTERN;
  return pattern === undefined ? OF_ALL : OF_PATTERN;
}
