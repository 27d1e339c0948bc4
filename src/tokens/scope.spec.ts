import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { formatScopes, MAX_SCOPES, parseScopes } from './scope.js';
import { TooManyScopesError } from './token.errors.js';

describe('parseScopes', () => {
  it.each<[string, string[], string]>([
    ['nothing', [], ''],
    ['one', ['repository:a/b:pull'], 'repository:a/b:pull'],
    ['actions in one order', ['repository:a:push,pull'], 'repository:a:pull,push'],
    [
      'repeated parameters',
      ['repository:a:pull', 'repository:b:push'],
      'repository:a:pull repository:b:push',
    ],
    [
      'several in one parameter',
      ['repository:a:pull repository:b:push'],
      'repository:a:pull repository:b:push',
    ],
    ['empty parts', ['', ' repository:a:pull  '], 'repository:a:pull'],
    ['a repository twice', ['repository:a:pull', 'repository:a:push'], 'repository:a:pull,push'],
    ['a class', ['repository(plugin):a:pull'], 'repository:a:pull'],
    ['all actions', ['repository:a:*'], 'repository:a:pull,push,delete'],
    ['all actions and one more', ['repository:a:*,pull'], 'repository:a:pull,push,delete'],
    ['unknown actions', ['repository:a:pull,fly'], 'repository:a:pull'],
    ['only unknown actions', ['repository:a:fly'], ''],
    ['the catalogue', ['registry:catalog:*'], 'registry:catalog:*'],
    ['another action on the catalogue', ['registry:catalog:read'], ''],
    ['another resource of the registry', ['registry:admin:*'], ''],
    ['another type', ['user:a:pull'], ''],
    ['a pattern', ['repository:a/**:pull', 'repository:**:pull', 'repository:*:pull'], ''],
    ['upper case', ['repository:A:pull', 'REPOSITORY:a:pull', 'repository:a:PULL'], ''],
    ['the host in the name', ['repository:localhost:5000/a:pull'], ''],
    ['too few parts', ['repository', 'repository:a', ':', '::', 'repository::pull'], ''],
  ])('reads %s', (_what, values, expected) => {
    expect(formatScopes(parseScopes(values))).toBe(expected);
  });

  it('refuses more scopes than a token can have, also if they are for one repository', () => {
    const scopes = (count: number) => Array.from({ length: count }, () => 'repository:a:pull');
    expect(parseScopes(scopes(MAX_SCOPES))).toHaveLength(1);
    expect(() => parseScopes([scopes(MAX_SCOPES + 1).join(' ')])).toThrow(TooManyScopesError);
  });

  it('reads any text, and understands what it formats', () => {
    const part = fc.constantFrom(
      'repository',
      'registry',
      'catalog',
      ':',
      ',',
      '*',
      '(',
      ')',
      ' ',
      'a',
      '/',
      'pull',
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(part, { maxLength: 30 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(fc.array(text, { maxLength: 3 }), (values) => {
        fc.pre(values.join(' ').split(' ').length <= MAX_SCOPES);
        const scopes = parseScopes(values);
        expect(parseScopes([formatScopes(scopes)])).toEqual(scopes);
      }),
      { numRuns: 1000, seed: 2014 },
    );
  });
});
