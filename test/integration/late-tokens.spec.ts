import { get } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AccessFixtures, type Login } from '../support/access-fixtures.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { signedToken } from '../support/signed-token.js';
import { until } from '../support/until.js';

const REPOSITORY = 'team/late';
/** An address of this machine. */
const TRUSTED_PROXY = '127.0.0.9';
const HOUR_SECONDS = 60 * 60;
/** Tokens of these tests are for an hour. */
const LATE = 2 * HOUR_SECONDS;
const TOO_LATE = 26 * HOUR_SECONDS;

describe('a token that has expired', () => {
  let berth: TestBerth;
  let accounts: AccessFixtures;
  let ada: Login;
  let bob: Login;

  const query = <Row extends object>(sql: string, parameters?: unknown[]) =>
    berth.query<Row>(sql, parameters);

  beforeAll(async () => {
    berth = await startTestBerth({ ACCESS_MODE: 'token', TRUSTED_PROXIES: TRUSTED_PROXY });
    accounts = new AccessFixtures(query);
    ada = await accounts.account(`ada-${Date.now()}`, { grants: { 'team/**': 'push' } });
    bob = await accounts.account(`bob-${Date.now()}`, { grants: { 'team/**': 'push' } });
  });
  afterAll(() => berth.dispose());

  /** A token with all that its account may do, issued so long ago. */
  async function token({ name, secretId }: Login, ageSeconds: number): Promise<string> {
    const access = [{ type: 'repository', name: REPOSITORY, actions: ['pull', 'push'] }];
    const claims = { sub: name, cid: `secret:${secretId}`, access };
    return `Bearer ${await signedToken(query, { claims, ageSeconds })}`;
  }
  const client = async (login: Login, ageSeconds: number) =>
    new RegistryClient(berth.url, await token(login, ageSeconds));
  const begin = async (login: Login) => (await client(login, 0)).uploadLocation(REPOSITORY);
  const refusalOf = (response: Response) => [
    response.status,
    /error="(\w+)"/.exec(response.headers.get('www-authenticate') ?? '')?.[1],
  ];

  it('finishes an upload that its account began', async () => {
    const late = await client(ada, LATE);
    const location = await begin(ada);
    const patched = await late.patch(location, 'late ');
    expect(patched.status).toBe(202);
    const next = patched.headers.get('location') ?? '';
    expect((await late.fetch(next)).status).toBe(204);
    expect((await late.commit(next, digestOf('late layer'), 'layer')).status).toBe(201);
  });

  it('cancels an upload that its account began', async () => {
    const response = await (await client(ada, LATE)).fetch(await begin(ada), { method: 'DELETE' });
    expect(response.status).toBe(204);
  });

  it.each<[string, () => Promise<Response>]>([
    ['an upload of another account', async () => (await client(ada, LATE)).patch(await begin(bob), 'x')],
    [
      'an upload, after more than a day',
      async () => (await client(ada, TOO_LATE)).patch(await begin(ada), 'x'),
    ],
    ['an upload that does not exist', async () => (await client(ada, LATE)).patch(unknownUpload, 'x')],
    ['an id that is none', async () => (await client(ada, LATE)).patch(`${uploads}nonsense`, 'x')],
    ['a new upload', async () => (await client(ada, LATE)).fetch(uploads, { method: 'POST' })],
    ['another method', async () => (await client(ada, LATE)).fetch(await begin(ada), { method: 'POST' })],
    ['a manifest', async () => (await client(ada, LATE)).fetch(`/v2/${REPOSITORY}/manifests/latest`)],
    ['a blob', async () => (await client(ada, LATE)).fetch(blob)],
    ['the base', async () => (await client(ada, LATE)).fetch('/v2/')],
  ])('is not accepted for %s', async (_what, request) => {
    expect(refusalOf(await request())).toEqual([401, 'invalid_token']);
  });

  const uploads = `/v2/${REPOSITORY}/blobs/uploads/`;
  const unknownUpload = `${uploads}00000000-0000-4000-8000-000000000000`;
  const LAYER = 'a layer to pull in two parts';
  const blob = `/v2/${REPOSITORY}/blobs/${digestOf(LAYER)}`;

  it('is never accepted from anonymous callers, who have no account that began', async () => {
    await query(`INSERT INTO grants (subject, pattern, role) VALUES ('anonymous', 'team/**', 'pull')`);
    try {
      const authorization = `Bearer ${await signedToken(query, { ageSeconds: LATE })}`;
      const [anonymous, location] = [new RegistryClient(berth.url, authorization), await begin(ada)];
      await query('UPDATE uploads SET created_by = NULL WHERE id = $1', [idOf(location)]);
      expect(refusalOf(await anonymous.patch(location, 'x'))).toEqual([401, 'invalid_token']);
    } finally {
      await query(`DELETE FROM grants WHERE subject = 'anonymous'`);
    }
  });

  const idOf = (location: string) => /uploads\/([^?]+)/.exec(location)?.[1];

  it('has the rights that its account has now', async () => {
    const eve = await accounts.account(`eve-${Date.now()}`, { grants: { 'team/**': 'push' } });
    const [location, late] = [await begin(eve), await client(eve, LATE)];
    expect((await late.fetch(location)).status).toBe(204);
    await query('DELETE FROM grants WHERE account_id = (SELECT id FROM accounts WHERE name = $1)', [
      eve.name,
    ]);
    await until('the end of the grant', async () => (await late.fetch(location)).status === 401);
    expect(refusalOf(await late.fetch(location))).toEqual([401, 'insufficient_scope']);
    await query('UPDATE access_tokens SET revoked_at = now() WHERE id = $1', [eve.secretId]);
    await until('the end of the secret', async () =>
      refusalOf(await late.fetch(location)).includes('invalid_token'),
    );
  });

  it('may be used by others who may push, if theirs is valid', async () => {
    const location = await begin(ada);
    const response = await (await client(bob, 0)).commit(location, digestOf('of two'), 'of two');
    expect(response.status).toBe(201);
  });

  describe('for the rest of a blob', () => {
    const ETAG = `"${digestOf(LAYER)}"`;
    const range = { range: 'bytes=10-' };

    beforeAll(async () => {
      await (await client(ada, 0)).pushBlob(REPOSITORY, LAYER);
    });

    /** The status of a request from an address of this machine. */
    async function statusFrom(localAddress: string, headers: Record<string, string>): Promise<number> {
      const authorization = await token(ada, LATE);
      return new Promise((resolve, reject) => {
        const request = get(
          new URL(blob, berth.url),
          { localAddress, headers: { ...headers, authorization }, agent: false },
          (response) => {
            response.resume().on('end', () => resolve(response.statusCode ?? 0));
          },
        );
        request.on('error', reject);
      });
    }

    it.each<[string, string, Record<string, string>, number]>([
      ['a trusted proxy', TRUSTED_PROXY, { ...range, 'if-range': ETAG }, 206],
      ['a trusted proxy, of another version', TRUSTED_PROXY, { ...range, 'if-range': '"other"' }, 200],
      ['a trusted proxy without If-Range', TRUSTED_PROXY, range, 401],
      ['a trusted proxy without Range', TRUSTED_PROXY, { 'if-range': ETAG }, 401],
      ['a client', '127.0.0.1', { ...range, 'if-range': ETAG }, 401],
      [
        'a client that claims to be a proxy',
        '127.0.0.1',
        { ...range, 'if-range': ETAG, 'x-forwarded-for': TRUSTED_PROXY },
        401,
      ],
    ])('asked by %s', async (_who, address, headers, status) => {
      expect(await statusFrom(address, headers)).toBe(status);
    });
  });
});
