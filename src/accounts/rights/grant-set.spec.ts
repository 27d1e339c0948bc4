import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { GRANT_ROLES } from '../../database/entities/grant.entity.js';
import { parseRepositoryName } from '../../oci/repository-name.js';
import { type Grant, GrantSet } from './grant-set.js';
import { REPOSITORY_ACTIONS } from '../grants/role.js';

const grant = (pattern: string, role: Grant['role'] = 'pull'): Grant => ({
  ...{ id: pattern, subject: 'account', group: null },
  ...{ pattern, role },
});

describe('the grants of a caller', () => {
  it.each<[string, string, boolean]>([
    ['team', 'team', true],
    ['team', 'team/app', false],
    ['team', 'team-x', false],
    ['team/**', 'team', false],
    ['team/**', 'team/app', true],
    ['team/**', 'team/a/b/c', true],
    ['team/**', 'team-x/app', false],
    ['team/**', 'other/team/app', false],
    ['a/b/**', 'a/c', false],
    ['**', 'anything/at/all', true],
  ])('%s reaches %s: %s', (pattern, name, expected) => {
    expect(new GrantSet([grant(pattern)]).allows(name, 'pull')).toBe(expected);
  });

  it.each<[Grant['role'], string[]]>([
    ['pull', ['pull']],
    ['push', ['pull', 'push']],
    ['maintain', ['pull', 'push', 'delete']],
  ])('the role %s allows %j', (role, actions) => {
    const set = new GrantSet([grant('a', role)]);
    expect(REPOSITORY_ACTIONS.filter((action) => set.allows('a', action))).toEqual(actions);
  });

  it('add up, and are all named', () => {
    const set = new GrantSet([grant('a/b', 'pull'), grant('a/**', 'maintain'), grant('**', 'push')]);
    const patterns = (action: 'pull' | 'push' | 'delete') =>
      set.thatAllow('a/b', action).map(({ pattern }) => pattern);
    expect(patterns('pull')).toEqual(['**', 'a/**', 'a/b']);
    expect(patterns('push')).toEqual(['**', 'a/**']);
    expect(patterns('delete')).toEqual(['a/**']);
  });

  it('have the names in their ranges that they allow', () => {
    const name = fc
      .array(fc.constantFrom('a', 'b', 'a-b', 'ab'), { minLength: 1, maxLength: 3 })
      .map((components) => parseRepositoryName(components.join('/')));
    const pattern = fc.oneof(
      name,
      name.map((text) => `${text}/**`),
      fc.constant('**'),
    );
    const grants = fc.array(fc.tuple(pattern, fc.constantFrom(...GRANT_ROLES)), { maxLength: 6 });
    fc.assert(
      fc.property(grants, name, fc.constantFrom(...REPOSITORY_ACTIONS), (pairs, text, action) => {
        const set = new GrantSet(pairs.map(([each, role]) => grant(each, role)));
        const isInRanges = set.ranges(action).some(({ from, to }) => from <= text && text < to);
        expect(isInRanges).toBe(set.allows(text, action));
        expect(set.thatAllow(text, action).length > 0).toBe(set.allows(text, action));
      }),
    );
  });
});
