import { describe, expect, it } from '@jest/globals';
import type { AccountRights } from '../accounts/rights/account-rights.js';
import { type Grant, GrantSet } from '../accounts/rights/grant-set.js';
import { parseRepositoryName } from '../oci/repository-name.js';
import { toScope } from '../tokens/scope.js';
import { ANONYMOUS, type Caller, type Credential } from './caller.js';
import { decide, isAllowed, type Question } from './decide.js';

const APP = parseRepositoryName('team/app');
const grants = (...roles: [string, Grant['role']][]) =>
  new GrantSet(roles.map(([pattern, role]) => ({ id: '1', subject: 'account', group: null, pattern, role })));

function caller(options: Partial<Caller> & { role?: AccountRights['registryRole'] } = {}): Caller {
  const set = options.grants ?? grants();
  const account: AccountRights = {
    ...{ id: '1', name: 'ada', kind: 'user', registryRole: options.role ?? null },
    ...{ isDisabled: false, expiresAt: null, passwordGeneration: 1, grants: set },
  };
  return {
    name: 'ada',
    account,
    grants: set,
    credential: { kind: 'password', generation: 1 },
    ceiling: null,
    ...options,
  };
}

const token = (...access: [string, string, string[]][]): Credential => ({
  ...{ kind: 'token', id: 'x', isLate: false },
  access: access.flatMap((scope) => toScope(...scope) ?? []),
});
const on = (action: 'pull' | 'push' | 'delete'): Question => ({ repository: APP, action });
const registry = (name: 'catalog' | 'admin' | 'metrics', action: 'read' | 'write' = 'read'): Question => ({
  registry: name,
  action,
});

describe('the decision', () => {
  it.each<[string, Caller, Question, string | null]>([
    ['no grant', caller(), on('pull'), 'grant'],
    ['a grant', caller({ grants: grants(['team/**', 'pull']) }), on('pull'), null],
    ['a grant of less', caller({ grants: grants(['team/**', 'pull']) }), on('push'), 'grant'],
    ['an admin', caller({ role: 'admin' }), on('delete'), null],
    ['a reader', caller({ role: 'reader' }), on('pull'), 'grant'],
    ['nobody', ANONYMOUS, on('pull'), 'grant'],
    [
      'a token for it',
      caller({ grants: grants(['**', 'push']), credential: token(['repository', 'team/app', ['push']]) }),
      ...[on('push'), null],
    ],
    [
      'a token for another action',
      caller({ role: 'admin', credential: token(['repository', 'team/app', ['pull']]) }),
      ...[on('push'), 'scope of the token'],
    ],
    [
      'a token for another repository',
      caller({ role: 'admin', credential: token(['repository', 'team', ['pull']]) }),
      ...[on('pull'), 'scope of the token'],
    ],
    [
      'a token whose name looks like a pattern',
      caller({
        role: 'admin',
        credential: token(['repository', 'team/**', ['pull']], ['repository', '**', ['*']]),
      }),
      ...[on('pull'), 'scope of the token'],
    ],
    [
      'a token without live rights',
      caller({ credential: token(['repository', 'team/app', ['pull', 'push']]) }),
      ...[on('pull'), 'grant'],
    ],
    ['a ceiling at it', caller({ role: 'admin', ceiling: 'pull' }), on('pull'), null],
    ['a ceiling below it', caller({ role: 'admin', ceiling: 'pull' }), on('push'), 'ceiling of the secret'],
    ['the catalogue, for everyone', caller(), registry('catalog'), null],
    [
      'the catalogue, with its scope',
      caller({ credential: token(['registry', 'catalog', ['*']]) }),
      registry('catalog'),
      null,
    ],
    [
      'the catalogue, without its scope',
      caller({ credential: token() }),
      registry('catalog'),
      'scope of the token',
    ],
    [
      'the admin API, without a role',
      caller({ grants: grants(['**', 'maintain']) }),
      registry('admin'),
      'role',
    ],
    ['the admin API, for a reader', caller({ role: 'reader' }), registry('admin'), null],
    ['a change, for a reader', caller({ role: 'reader' }), registry('admin', 'write'), 'role'],
    ['a change, for an admin', caller({ role: 'admin' }), registry('admin', 'write'), null],
    [
      'a change, with a ceiling',
      caller({ role: 'admin', ceiling: 'pull' }),
      registry('admin', 'write'),
      'ceiling of the secret',
    ],
    ['metrics, for a reader', caller({ role: 'reader' }), registry('metrics'), null],
    ['metrics, without a role', caller(), registry('metrics'), 'role'],
  ] as [string, Caller, Question, string | null][])('%s', (_, who, question, missing) => {
    expect(decide(who, question)).toMatchObject({ isAllowed: missing === null, missing });
    expect(isAllowed(who, question)).toBe(missing === null);
  });
});
