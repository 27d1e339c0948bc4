import { describe, it } from '@jest/globals';
import { AuditLog } from '../../../src/audit/audit-log.js';
import { RightsStore } from '../../../src/accounts/rights/rights.store.js';
import type { PlannedRegistry } from '../../support/query-plans/planned-registry.js';
import { BUSY_ACTOR, GREAT_ACCOUNT, GREAT_GROUP } from '../../support/query-plans/seed-access.js';
import { BIG_REPOSITORY as BIG } from '../../support/query-plans/seed-statements.js';

const PAGE = 100;
const ROWS = 1_000;
const DAY_SECONDS = 24 * 60 * 60;
/** As many as may reach an account. */
const GRANTS = 1_000;

const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString();

export function describeAccess(registry: PlannedRegistry): void {
  const pages = (what: string, path: string, items = PAGE) =>
    it.each(['first', 'second'])(`the %s page of ${what}`, async (which) => {
      const url = `${path}${path.includes('?') ? '&' : '?'}limit=${PAGE}`;
      const { nextCursor } = await registry.admin.get<{ nextCursor: string | null }>(url);
      const wanted = which === 'first' || nextCursor === null ? url : `${url}&cursor=${nextCursor}`;
      await registry.expectCost(items, () => registry.admin.get(wanted));
    });
  const cost = (what: string, items: number, work: () => Promise<unknown>) =>
    it(what, () => registry.expectCost(items, work));
  const call = (method: string, path: string, status: number, body?: unknown) =>
    registry.admin.call<{ id: string }>(method, path, status, body);

  describe('the audit log', () => {
    const [since, until] = [daysAgo(30), daysAgo(20)];
    for (const [what, query, ranges = 1] of [
      ['all events', ''],
      ['events in a range of days', `?since=${since}&until=${until}`],
      ['events of an actor', `?actor=${BUSY_ACTOR}`],
      ['events of a repository', `?repository=${BIG}`],
      ['events of an action', '?action=blob.delete'],
      ['events of several actions', '?action=login', 2],
      ['events of an action that is not there', '?action=manifest'],
      ['events of actions in a range of days', `?action=grant&since=${since}&until=${until}`, 3],
    ] as const)
      pages(what, `/audit${query}`, ranges * PAGE);

    cost('is pruned', ROWS, () => registry.berth.app.get(AuditLog).prune(40 * DAY_SECONDS, ROWS));
  });

  describe('rights', () => {
    const rights = () => registry.berth.app.get(RightsStore);
    cost('of an account by name', GRANTS, () => rights().account(GREAT_ACCOUNT));
    cost('of an account by id', GRANTS, () => rights().accountById('1'));
    cost('of a small account', 10, () => rights().account('account-19999'));
    cost('of a secret', 1, () => rights().secret('secret500'));
    cost('of anonymous callers', 10, () => rights().anonymous());
    cost('explained', GRANTS, () =>
      registry.admin.get(`/access/explain?account=${GREAT_ACCOUNT}&repository=team-1/app&action=push`),
    );
  });

  describe('groups and grants', () => {
    /** The great group has a thousand members, which are counted. */
    pages('groups', '/groups', ROWS + PAGE);
    pages('members', `/groups/${GREAT_GROUP}/members`);
    pages('grants', '/grants');
    pages('grants of a kind of subject', '/grants?subject=group');
    pages('grants of an account', `/grants?subject=account&name=${GREAT_ACCOUNT}`, GRANTS);
    pages('grants of a group', `/grants?subject=group&name=${GREAT_GROUP}`, GRANTS);
    pages('grants on a pattern', '/grants?pattern=team-5/**');
    cost('a group', ROWS, () => registry.admin.get(`/groups/${GREAT_GROUP}`));

    let id: string;
    const grant = { subject: 'account', name: 'account-500', pattern: 'a/b' };
    cost('a new group', 3, () => call('POST', '/groups', 201, { name: 'new-group' }));
    cost('a description', 1, () => call('PATCH', '/groups/new-group', 200, { description: 'new' }));
    cost('a new member', GRANTS, () => call('PUT', `/groups/new-group/members/${GREAT_ACCOUNT}`, 204));
    cost('a member that leaves', 1, () => call('DELETE', `/groups/new-group/members/${GREAT_ACCOUNT}`, 204));
    cost('a new grant', GRANTS, async () => {
      ({ id } = await call('POST', '/grants', 201, { ...grant, role: 'pull' }));
    });
    cost('another role', 1, () => call('POST', '/grants', 200, { ...grant, role: 'push' }));
    cost('the end of a grant', 1, () => call('DELETE', `/grants/${id}`, 204));
    cost('the end of a group', 1, () => call('DELETE', '/groups/new-group', 204));
    cost('a grant of a group, which reaches its members', 100, () =>
      call('POST', '/grants', 201, { subject: 'group', name: 'group-500', pattern: 'a/b', role: 'pull' }),
    );
  });

  describe('accounts', () => {
    pages('users', '/users');
    pages('robots', '/robots');
    const robot = { name: 'new-robot', grants: [{ pattern: 'a/b', role: 'pull' }] };
    const token = async () => {
      const { items } = await registry.admin.get<{ items: { id: string }[] }>('/robots/new-robot/tokens');
      return items[0]?.id ?? '';
    };

    cost('a new user', 10, () =>
      call('POST', '/users', 201, { name: 'new-user', password: 'a password of 12' }),
    );
    cost('a user', 10, () => registry.admin.get('/users/new-user'));
    cost('another password', 10, () =>
      call('PATCH', '/users/new-user', 200, { password: 'another password' }),
    );
    cost('a user that is disabled', 10, () => call('PATCH', '/users/new-user', 200, { disabled: true }));
    cost('the end of a user', 10, () => call('DELETE', '/users/new-user', 204));
    cost('a new robot', 10, () => call('POST', '/robots', 201, robot));
    cost('a robot', 10, () => registry.admin.get('/robots/new-robot'));
    cost('a new secret', 10, () => call('POST', '/robots/new-robot/tokens', 201, { name: 'another' }));
    cost('the secrets of a robot', 10, token);
    cost('a secret that is revoked', 10, async () =>
      call('DELETE', `/robots/new-robot/tokens/${await token()}`, 204),
    );
    cost('all secrets', 10, () => call('PATCH', '/robots/new-robot', 200, { revokeTokens: true }));
  });
}
