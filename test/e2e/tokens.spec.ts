import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { AccessFixtures, basic, type Login } from '../support/access-fixtures.js';
import { RawConnection, requestHead } from '../support/raw-http.js';
import { contentHeaders, digestOf, errorCode } from '../support/registry-client.js';
import { OwnBerth, sharedBerth } from '../support/running-berth.js';
import { signedToken } from '../support/signed-token.js';
import { until } from '../support/until.js';

let berth: OwnBerth;
let ada: Login;
let reader: Login;

beforeAll(async () => {
  berth = await OwnBerth.start({ ACCESS_MODE: 'token' });
  const accounts = new AccessFixtures((sql, parameters) => berth.query(sql, parameters));
  const own = String(Date.now());
  ada = await accounts.account(`ada-${own}`, { grants: { 'team/**': 'push' } });
  reader = await accounts.account(`reader-${own}`, { grants: { 'team/**': 'maintain' }, ceiling: 'pull' });
});
afterAll(() => berth.dispose());
afterEach(() => berth.query(`DELETE FROM grants WHERE subject = 'anonymous'`));

const send = (path: string, authorization?: string, method = 'GET') =>
  fetch(berth.url + path, {
    method,
    ...(authorization !== undefined && { headers: { Authorization: authorization } }),
  });
const withScopes = (...scopes: string[]) =>
  `/auth/token?${new URLSearchParams(scopes.map((scope): [string, string] => ['scope', scope])).toString()}`;
const postForm = (fields: [string, string][]) =>
  fetch(`${berth.url}/auth/token`, { method: 'POST', body: new URLSearchParams(fields) });
const challengeOf = ({ headers }: Response) => headers.get('www-authenticate');

async function tokenFor(login: Login, ...scopes: string[]): Promise<string> {
  const response = await send(withScopes(...scopes), login.authorization);
  return `Bearer ${((await response.json()) as { token: string }).token}`;
}

describe('challenges', () => {
  it.each([
    ['GET', '/v2/', ''],
    ['GET', '/v2/_catalog', ',scope="registry:catalog:*"'],
    ['HEAD', '/v2/team/app/manifests/latest', ',scope="repository:team/app:pull"'],
    ['GET', '/v2/team/app/tags/list', ',scope="repository:team/app:pull"'],
    ['POST', '/v2/team/app/blobs/uploads/?mount=x&from=other', ',scope="repository:team/app:pull,push"'],
    ['PUT', '/v2/team/app/manifests/latest', ',scope="repository:team/app:pull,push"'],
    ['DELETE', '/v2/team/app/manifests/latest', ',scope="repository:team/app:delete"'],
    ['GET', '/v2/TEAM/tags/list', ''],
  ])('%s %s without credentials says where to get a token, and for what', async (method, path, scope) => {
    const response = await send(path, undefined, method);
    expect(response.status).toBe(401);
    expect(challengeOf(response)).toBe(`Bearer realm="${berth.url}/auth/token",service="berth"${scope}`);
    if (method !== 'HEAD') {
      expect(await response.json()).toMatchObject({ errors: [{ code: 'UNAUTHORIZED' }] });
    }
  });

  it('challenge without credentials also where anonymous callers may pull', async () => {
    await berth.query(`INSERT INTO grants (subject, pattern, role) VALUES ('anonymous', '**', 'pull')`);
    expect((await send('/v2/')).status).toBe(401);
  });

  it('say what a token lacks, whether or not the repository exists', async () => {
    const token = await tokenFor(ada, 'repository:team/app:pull,push');
    const response = await send('/v2/secret/app/tags/list', token);
    expect([response.status, challengeOf(response)]).toEqual([
      401,
      `Bearer realm="${berth.url}/auth/token",service="berth",scope="repository:secret/app:pull",` +
        `error="insufficient_scope",error_description="${ada.name} may not pull from secret/app: ` +
        'an administrator can grant it"',
    ]);
    await berth.query(`INSERT INTO repositories (name) VALUES ('secret/app') ON CONFLICT DO NOTHING`);
    const existing = await send('/v2/secret/app/tags/list', token);
    expect(contentHeaders(existing)).toEqual(contentHeaders(response));
    expect(await existing.text()).toBe(await response.text());
  });

  it('say so to a token for another action, which its account may do', async () => {
    const response = await send(
      '/v2/team/app/blobs/uploads/',
      await tokenFor(ada, 'repository:team/app:pull'),
      'POST',
    );
    expect(challengeOf(response)).toContain('error="insufficient_scope"');
    expect(challengeOf(response)).toContain('get one with the scope repository:team/app:push');
  });

  it('are no use to Basic without the right: 403', async () => {
    const response = await send('/v2/secret/app/tags/list', ada.authorization);
    expect([response.status, challengeOf(response)]).toEqual([403, null]);
    expect(await response.json()).toMatchObject({ errors: [{ code: 'DENIED' }] });
  });

  it.each(['Bearer a.b.c', 'Bearer nonsense', 'Basic nonsense', 'Negotiate x', ''])(
    'follow the header %j: it never becomes anonymous',
    async (authorization) => {
      const response = await send('/v2/', authorization);
      expect(response.status).toBe(401);
      expect(challengeOf(response)).toMatch(/^Bearer realm=.*,error="invalid_token"/);
    },
  );
});

describe('mounts without a source', () => {
  const push = (name: string, token: string) =>
    fetch(`${berth.url}/v2/${name}/blobs/uploads/?digest=${digestOf(name)}`, {
      method: 'POST',
      headers: { Authorization: token },
      body: name,
    });

  it.each([
    ['team/z', 201],
    ['team/a', 201],
    ['team/m-other', 202],
    ['team/0', 202],
  ])('with a token that names other repositories, in any order: from %s %d', async (source, status) => {
    const scopes = ['team/z', 'team/m', 'team/a'].map((name) => `repository:${name}:pull,push`);
    const all = await tokenFor(ada, 'repository:team/m-other:push', 'repository:team/0:push', ...scopes);
    expect((await push(source, all)).status).toBe(201);
    const token = await tokenFor(ada, ...scopes);
    const response = await send(`/v2/team/m/blobs/uploads/?mount=${digestOf(source)}`, token, 'POST');
    expect(response.status).toBe(status);
  });
});

describe('/auth/token', () => {
  it('refuses a token of more than 7 KiB: it would not fit the headers of requests', async () => {
    const scopes = Array.from({ length: 40 }, (_, n) => `repository:team/${n}${'x'.repeat(230)}:pull`);
    const response = await send(withScopes(...scopes), ada.authorization);
    expect([response.status, await errorCode(response)]).toEqual([400, 'UNSUPPORTED']);
    expect((await send(withScopes(...scopes.slice(0, 10)), ada.authorization)).status).toBe(200);
  });

  it('refuses a form of more than 64 KiB', async () => {
    expect((await postForm([['scope', 'x'.repeat(64 * 1024)]])).status).toBe(413);
  });

  it('returns a token, and no field that clients misread', async () => {
    const response = await send(withScopes('repository:team/app:push,pull'), ada.authorization);
    expect(response.status).toBe(200);
    expect(response.headers.get('cache-control')).toBe('no-store');
    const body = (await response.json()) as Record<string, unknown>;
    expect(body).toEqual({
      ...{ token: expect.any(String), access_token: body['token'], token_type: 'Bearer' },
      ...{ expires_in: 3600, scope: 'repository:team/app:pull,push' },
    });
    const keys = createRemoteJWKSet(new URL('/auth/jwks', berth.url));
    const { payload } = await jwtVerify(String(body['token']), keys, { audience: 'berth' });
    expect(payload).toMatchObject({
      ...{ sub: ada.name, cid: `secret:${ada.secretId}` },
      access: [{ type: 'repository', name: 'team/app', actions: ['pull', 'push'] }],
    });
  });

  it.each<[string, () => string, string[], string]>([
    ['no scope', () => ada.authorization, [], ''],
    [
      'less than was asked for',
      () => ada.authorization,
      ['repository:team/app:*'],
      'repository:team/app:pull,push',
    ],
    ['nothing of what is not allowed', () => ada.authorization, ['repository:secret/app:pull'], ''],
    ['the catalogue', () => ada.authorization, ['registry:catalog:*'], 'registry:catalog:*'],
    [
      'several scopes of one parameter',
      () => ada.authorization,
      ['repository:team/b:pull repository:team/a:pull'],
      'repository:team/b:pull repository:team/a:pull',
    ],
    [
      'what the ceiling of the secret allows',
      () => reader.authorization,
      ['repository:team/app:*'],
      'repository:team/app:pull',
    ],
  ])('grants %s', async (_what, authorization, scopes, granted) => {
    const response = await send(withScopes(...scopes), authorization());
    expect([response.status, ((await response.json()) as { scope: string }).scope]).toEqual([200, granted]);
  });

  it.each<[string, () => [string, string][], number, string]>([
    ['a password', () => passwordForm(ada.secret), 200, 'repository:team/app:pull'],
    ['a secret as the refresh token', () => refreshForm(ada.secret), 200, 'repository:team/app:pull'],
    ['a wrong password', () => passwordForm('wrong horse battery staple'), 401, 'invalid_grant'],
    ['a wrong refresh token', () => refreshForm('wrong'), 401, 'invalid_grant'],
    ['no password', () => [...passwordForm(ada.secret).slice(0, 2)], 400, 'invalid_request'],
    ['two passwords', () => [...passwordForm(ada.secret), ['password', 'b']], 400, 'invalid_request'],
    ['no grant', () => [], 400, 'invalid_request'],
    ['another grant', () => [['grant_type', 'client_credentials']], 400, 'unsupported_grant_type'],
  ])('takes a form with %s', async (_what, form, status, expected) => {
    const response = await postForm([
      ...form(),
      ['scope', 'repository:team/app:pull'],
      ['client_id', 'test'],
    ]);
    const body = (await response.json()) as { scope?: string; error?: string; errors?: unknown };
    expect([response.status, body.scope ?? body.error]).toEqual([status, expected]);
    if (status !== 200)
      expect(body.errors).toEqual([expect.objectContaining({ message: expect.any(String) })]);
  });

  const passwordForm = (password: string): [string, string][] => [
    ['grant_type', 'password'],
    ['username', ada.name],
    ['password', password],
    ['access_type', 'offline'],
  ];
  const refreshForm = (secret: string): [string, string][] => [
    ['grant_type', 'refresh_token'],
    ['refresh_token', secret],
  ];

  it('refuses a wrong password, also where anonymous callers get a token', async () => {
    await berth.query(`INSERT INTO grants (subject, pattern, role) VALUES ('anonymous', '**', 'pull')`);
    const response = await send(withScopes(), basic(ada.name, 'wrong horse battery staple'));
    expect(response.status).toBe(401);
    const body = (await response.json()) as { errors: { code: string; message: string }[] };
    expect(body).toMatchObject({
      ...{ errors: [{ code: 'UNAUTHORIZED' }], error: 'invalid_grant' },
      error_description: body.errors[0]?.message,
    });
    expect(challengeOf(response)).toBe('Bearer realm="berth"');
  });

  it('gives anonymous callers a token only where an anonymous grant exists', async () => {
    const get = () => send(withScopes('repository:open/app:pull,push'));
    await until('no anonymous access', async () => (await get()).status === 401);
    await berth.query(`INSERT INTO grants (subject, pattern, role) VALUES ('anonymous', 'open/**', 'pull')`);
    await until('anonymous access', async () => (await get()).status === 200);
    const body = (await (await get()).json()) as { scope: string; token: string };
    expect(body.scope).toBe('repository:open/app:pull');
    const token = `Bearer ${body.token}`;
    expect((await send('/v2/', token)).status).toBe(200);
    expect((await send('/v2/open/app/tags/list', token)).status).toBe(404);
    await berth.query(`DELETE FROM grants WHERE subject = 'anonymous'`);
    await until('the token ends', async () => (await send('/v2/', token)).status === 401);
  });

  it('refuses more than 60 scopes', async () => {
    const scopes = (count: number) =>
      Array.from({ length: count }, (_, index) => `repository:team/a${index}:pull`);
    expect((await send(withScopes(...scopes(60)), ada.authorization)).status).toBe(200);
    const refused = await send(withScopes(...scopes(61)), ada.authorization);
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ error: 'invalid_scope', errors: [{ code: 'UNSUPPORTED' }] });
  });

  it.each(['/auth/token', '/auth/jwks'])('%s has no other methods', async (path) => {
    const response = await send(path, undefined, 'DELETE');
    expect([response.status, response.headers.get('allow')]).toEqual([405, expect.stringContaining('GET')]);
  });

  it.each(['/auth/token', '/auth/jwks'])('%s says that access is open, where it is', async (path) => {
    const response = await fetch((await sharedBerth()).url + path);
    expect(response.status).toBe(404);
    expect(await response.text()).toContain('access is open');
  });

  it('logs neither passwords nor tokens', async () => {
    const token = await tokenFor(ada, 'repository:team/app:pull');
    await postForm(passwordForm(ada.secret));
    await send('/v2/team/app/tags/list', token);
    await send(`/v2/team/app/tags/list?token=${token}`, `${token}x`);
    await until('the log', () => berth.log().some(({ path }) => path === '/v2/team/app/tags/list'));
    const log = JSON.stringify(berth.log());
    for (const text of [ada.secret, token.slice(7), token.split('.')[1] ?? '', ada.authorization.slice(6)])
      expect(log).not.toContain(text);
  });
});

describe('a token', () => {
  const query = <Row extends object>(sql: string, parameters?: unknown[]) =>
    berth.query<Row>(sql, parameters);

  it('ends with its secret', async () => {
    const accounts = new AccessFixtures(query);
    const eve = await accounts.account(`eve-${Date.now()}`);
    const token = await tokenFor(eve);
    expect((await send('/v2/', token)).status).toBe(200);
    await query('UPDATE access_tokens SET revoked_at = now() WHERE id = $1', [eve.secretId]);
    await until('the token ends', async () => (await send('/v2/', token)).status === 401);
    expect(challengeOf(await send('/v2/', token))).toContain('error="invalid_token",error_description="');
  });

  it.each([
    ['password', 'UPDATE accounts SET password_generation = 1 WHERE name = $1'],
    ['account, when it is disabled', 'UPDATE accounts SET disabled = true WHERE name = $1'],
    ['account, when it expires', 'UPDATE accounts SET expires_at = now() WHERE name = $1'],
    ['account, when it is deleted', 'UPDATE accounts SET deleted_at = now() WHERE name = $1'],
  ])('ends with its %s', async (_what, sql) => {
    const { name } = await new AccessFixtures(query).account(`eve-${Date.now()}`);
    const [row] = await query<{ id: string }>('SELECT id FROM accounts WHERE name = $1', [name]);
    const claims = { sub: name, cid: `password:${row?.id}:0` };
    const token = `Bearer ${await signedToken(query, { claims })}`;
    expect((await send('/v2/', token)).status).toBe(200);
    await query(sql, [name]);
    await until('the token ends', async () => (await send('/v2/', token)).status === 401);
  });

  it('is refused under another name than its account has', async () => {
    const claims = { sub: 'somebody-else', cid: `secret:${ada.secretId}` };
    expect((await send('/v2/', `Bearer ${await signedToken(query, { claims })}`)).status).toBe(401);
  });

  it('is refused on the admin API', async () => {
    const response = await send('/api/v1/overview', await tokenFor(ada));
    expect([response.status, challengeOf(response)]).toEqual([
      401,
      expect.stringMatching(/^Bearer realm="berth",error="invalid_token"/),
    ]);
  });
});

it('requests no body of a client that has not logged in', async () => {
  const connection = await RawConnection.open(berth.url);
  const head = [
    ['Content-Length', 100_000_000],
    ['Expect', '100-continue'],
  ] as const;
  await connection.send(requestHead('PUT', '/v2/a/manifests/large', head));
  expect(String(await connection.some())).toMatch(/^HTTP\/1\.1 401 /);
  connection.leave();
});
