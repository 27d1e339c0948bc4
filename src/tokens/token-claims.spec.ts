import { describe, expect, it } from '@jest/globals';
import { formatOrigin, readClaims, type TokenOrigin } from './token-claims.js';

const EXPECTED = { iss: 'installation', aud: 'berth' };
const CLAIMS = {
  ...EXPECTED,
  ...{ sub: 'alice', jti: 'id', cid: 'password:7:3', iat: 1000, nbf: 940, exp: 4600 },
  access: [{ type: 'repository', name: 'a/b', actions: ['pull'] }],
};

describe('readClaims', () => {
  it('reads what a token says', () => {
    expect(readClaims(CLAIMS, EXPECTED)).toEqual({
      ...{ sub: 'alice', jti: 'id', iat: 1000, nbf: 940, exp: 4600, access: CLAIMS.access },
      origin: { kind: 'password', accountId: '7', generation: 3 },
    });
  });

  it.each<TokenOrigin>([
    { kind: 'anonymous' },
    { kind: 'secret', id: 'abc' },
    { kind: 'password', accountId: '12', generation: 0 },
  ])('reads the origin $kind', (origin) => {
    expect(readClaims({ ...CLAIMS, cid: formatOrigin(origin) }, EXPECTED).origin).toEqual(origin);
  });

  it('leaves out access that it does not know', () => {
    const access = [
      ...[
        { type: 'user', name: 'a', actions: ['pull'] },
        { type: 'repository', name: 'A', actions: ['pull'] },
      ],
      ...[{ type: 'repository', name: 'a', actions: [7, 'fly'] }, ...CLAIMS.access],
    ];
    expect(readClaims({ ...CLAIMS, access }, EXPECTED).access).toEqual(CLAIMS.access);
  });

  it.each<[string, unknown, string]>([
    ['nothing', null, 'the token has no claims'],
    ['a list', [], 'the token has no claims'],
    ['another issuer', { ...CLAIMS, iss: 'other' }, 'another installation'],
    ['several issuers', { ...CLAIMS, iss: [EXPECTED.iss] }, 'another installation'],
    ['another audience', { ...CLAIMS, aud: 'other' }, 'another service'],
    ['several audiences', { ...CLAIMS, aud: [EXPECTED.aud] }, 'another service'],
    ['no end', { ...CLAIMS, exp: undefined }, 'exp'],
    ['an end as text', { ...CLAIMS, exp: '4600' }, 'exp'],
    ['an endless time', { ...CLAIMS, exp: Infinity }, 'exp'],
    ['no beginning', { ...CLAIMS, nbf: undefined }, 'nbf'],
    ['no time of issue', { ...CLAIMS, iat: undefined }, 'iat'],
    ['no id', { ...CLAIMS, jti: undefined }, 'jti'],
    ['no subject', { ...CLAIMS, sub: undefined }, 'sub'],
    ['no credential', { ...CLAIMS, cid: undefined }, 'cid'],
    ['an unknown credential', { ...CLAIMS, cid: 'certificate:1' }, 'cid'],
    ['a secret without id', { ...CLAIMS, cid: 'secret:' }, 'cid'],
    ['a password without generation', { ...CLAIMS, cid: 'password:1' }, 'cid'],
    ['a password of no account', { ...CLAIMS, cid: 'password:alice:1' }, 'cid'],
    ['a longer credential', { ...CLAIMS, cid: 'password:1:1:1' }, 'cid'],
    ['no access', { ...CLAIMS, access: undefined }, 'access'],
    ['access to nothing', { ...CLAIMS, access: ['a'] }, 'access'],
    ['access without a type', { ...CLAIMS, access: [{ name: 'a', actions: ['pull'] }] }, 'type'],
    ['access without actions', { ...CLAIMS, access: [{ type: 'repository', name: 'a' }] }, 'access'],
    ['access without a name', { ...CLAIMS, access: [{ type: 'repository', actions: ['pull'] }] }, 'name'],
  ])('refuses %s', (_what, claims, message) => {
    expect(() => readClaims(claims, EXPECTED)).toThrow(message);
  });
});
