import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AccessFixtures, basic, type Login } from '../support/access-fixtures.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { digestOf, OCI_MANIFEST } from '../support/registry-client.js';
import { signedToken, type TokenChanges } from '../support/signed-token.js';
import { allowedIn, COLUMNS, type Column, rowOf } from './support/access-rows.js';

const REPOSITORY = 'team/app';
const CONFIG = '{}';
const DIGEST = digestOf(CONFIG);
const HIDDEN = digestOf('hidden');
const MANIFEST = JSON.stringify({
  ...{ schemaVersion: 2, mediaType: OCI_MANIFEST, layers: [] },
  config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: DIGEST, size: CONFIG.length },
});
const UPLOAD = '00000000-0000-4000-8000-000000000000';
const PARAMETERS: Readonly<Record<string, string>> = {
  ...{
    '*name': REPOSITORY,
    ':uploadId': UPLOAD,
    ':digest': DIGEST,
    ':reference': 'latest',
    ':tag': 'latest',
  },
  ':id': UPLOAD,
};

/** Deletions must not delete what the other requests read. */
const NOT_THERE: Readonly<Record<string, string>> = { ':digest': digestOf('gone'), ':reference': 'gone' };
/** With a secret. A token is for one repository. */
const REPOSITORY_NOT_THERE: Readonly<Record<string, string>> = { '*name': 'team/gone' };

/** What requests return that are allowed. Of others only that they are not refused is checked here. */
const SUCCESS: Readonly<Record<string, number>> = {
  ...{ 'GET /v2': 200, 'GET /v2/_catalog': 200, 'GET /v2/*name/tags/list': 200 },
  ...{ 'GET /v2/*name/referrers/:digest': 200, 'GET /v2/*name/manifests/:reference': 200 },
  ...{ 'GET /v2/*name/blobs/:digest': 200, 'POST /v2/*name/blobs/uploads': 202 },
  ...{ 'PUT /v2/*name/manifests/:reference': 201, 'ALL /v2': 405, 'ALL /v2/_catalog': 405 },
  ...{
    'GET /metrics': 200,
    'GET /api/v1/overview': 200,
    'GET /api/v1/repositories/*name': 200,
    'GET /api/v1/me': 200,
  },
};

interface Route {
  readonly method: string;
  readonly path: string;
}

let berth: TestBerth;
let routes: readonly Route[];
const logins = new Map<Column, Login>();
const tokens = new Map<Column, string>();

beforeAll(async () => {
  berth = await startTestBerth({ ACCESS_MODE: 'token', TRUSTED_PROXIES: '127.0.0.1' });
  const accounts = new AccessFixtures(query);
  for (const [index, column] of COLUMNS.names.entries()) {
    logins.set(column, await accounts.account(`caller-${index}`, COLUMNS.options[column]));
  }
  const push = (path: string, body: string, type: string, method: string, repository = REPOSITORY) =>
    fetch(`${berth.url}/v2/${repository}/${path}`, {
      method,
      body,
      headers: { Authorization: authorizationOf('admin'), 'Content-Type': type },
    });
  await push(`blobs/uploads/?digest=${DIGEST}`, CONFIG, 'application/octet-stream', 'POST');
  await push(`blobs/uploads/?digest=${HIDDEN}`, 'hidden', 'application/octet-stream', 'POST', 'hidden/app');
  expect((await push('manifests/latest', MANIFEST, OCI_MANIFEST, 'PUT')).status).toBe(201);
  for (const column of COLUMNS.names) tokens.set(column, await tokenOf(column));
  routes = routesOf(berth);
});
afterAll(() => berth.dispose());

function routesOf({ app }: TestBerth): Route[] {
  const { router } = app.getHttpAdapter().getInstance() as unknown as {
    router: { stack: { route?: { path: string; methods: Record<string, boolean> } }[] };
  };
  const found = router.stack.flatMap(({ route }) => {
    if (route === undefined) return [];
    const methods = Object.keys(route.methods).map((name) => name.toUpperCase());
    // `@All` adds the route for each method that Node knows.
    const named = methods.length > 10 ? ['ALL'] : methods;
    return named.map((method) => ({ method, path: route.path }));
  });
  return [...new Map(found.map((route) => [`${route.method} ${route.path}`, route])).values()];
}

const authorizationOf = (column: Column) => logins.get(column)?.authorization ?? '';

async function tokenOf(column: Column): Promise<string> {
  const scopes = [`repository:${REPOSITORY}:pull,push,delete`, 'registry:catalog:*'];
  const query = new URLSearchParams(scopes.map((scope): [string, string] => ['scope', scope]));
  const response = await fetch(`${berth.url}/auth/token?${query.toString()}`, {
    headers: { Authorization: authorizationOf(column) },
  });
  return `Bearer ${((await response.json()) as { token: string }).token}`;
}

let requests = 0;

async function send({ method, path }: Route, authorization?: string): Promise<Response> {
  const parameters = {
    ...PARAMETERS,
    ...(method === 'DELETE' && NOT_THERE),
    ...(method === 'DELETE' && path.startsWith('/api/') && REPOSITORY_NOT_THERE),
  };
  const url = path.replace(/\*name|:\w+/g, (parameter) => parameters[parameter] ?? 'something');
  const hasManifest = method === 'PUT' && path.includes('/manifests/');
  return fetch(berth.url + url, {
    method: method === 'ALL' ? 'PURGE' : method,
    ...(hasManifest && { body: MANIFEST }),
    headers: {
      ...(hasManifest && { 'Content-Type': OCI_MANIFEST }),
      ...(authorization !== undefined && { Authorization: authorization }),
      // Failed logins are limited by address.
      'X-Forwarded-For': `192.0.2.${(requests += 1) % 250}`,
    },
  });
}

/** `403 DENIED`, for example; the status alone outside `/v2`. */
async function outcome(response: Response): Promise<string> {
  const text = await response.text();
  const code = /"code":"(\w+)"/.exec(text)?.[1];
  const reason = /error="(\w+)"/.exec(response.headers.get('www-authenticate') ?? '')?.[1];
  return [response.status, code, reason].filter((word) => word !== undefined).join(' ');
}

/** The others take no tokens, and their errors have no code. */
const isOfSpec = ({ path }: Route) => path.startsWith('/v2');

const nameOf = ({ method, path }: Route) => `${method} ${path}`;
const refused = (status: string) => /^(401|403|429|5)/.test(status);

/** A token of the column maintain, for hidden repositories too. */
const OF_MAINTAIN = {
  get claims() {
    const { name: sub, secretId } = logins.get('maintain') ?? { name: '', secretId: '' };
    const access = [REPOSITORY, 'hidden/app', 'absent/app'].map((name) => ({
      ...{ type: 'repository', name, actions: ['pull', 'push', 'delete'] },
    }));
    return { sub, cid: `secret:${secretId}`, access };
  },
};

const ADMIN = 'caller-5';
const EXPIRED = { claims: { exp: Math.floor(Date.now() / 1000) - 120 } };

/** What never gets in. Most would be good for everything but for one thing. */
const BAD_CREDENTIALS: [string, () => Promise<string>][] = [
  ['a wrong password', () => Promise.resolve(basic(ADMIN, 'not the password'))],
  ['an unknown name', () => Promise.resolve(basic('nobody', 'not the password'))],
  ['a wrong secret', () => Promise.resolve(basic(ADMIN, 'berth_nonsense'))],
  ['a secret of another account', () => Promise.resolve(basic(ADMIN, logins.get('pull')?.secret ?? ''))],
  ['a revoked secret', () => secretAfter('UPDATE access_tokens SET revoked_at = now() WHERE ITS')],
  ['an expired secret', () => secretAfter('UPDATE access_tokens SET expires_at = now() WHERE ITS')],
  ['a disabled account', () => secretAfter('UPDATE accounts SET disabled = true WHERE THIS')],
  ['an expired account', () => secretAfter('UPDATE accounts SET expires_at = now() WHERE THIS')],
  ['a deleted account', () => secretAfter('UPDATE accounts SET deleted_at = now() WHERE THIS')],
  ['another scheme', () => Promise.resolve('Digest username="admin"')],
  ['an expired token', () => badToken(EXPIRED)],
  ['a token of another issuer', () => badToken({ claims: { iss: UPLOAD } })],
  ['a token for another service', () => badToken({ claims: { aud: 'other' } })],
  ['a token without an end', () => badToken({ claims: { exp: undefined } })],
  ['a token of a revoked secret', () => badToken({ claims: { cid: 'secret:000000000000' } })],
  ['a token with its own key', () => badToken({ header: { jwk: { kty: 'EC' } } })],
  ['a token with the address of a key', () => badToken({ header: { jku: 'https://example.org/' } })],
  ['a token of another key', () => badToken({ header: { kid: 'other' } })],
];

describe('the table of access', () => {
  it('has a row for each route of the running application', () => {
    expect(routes.length).toBeGreaterThan(40);
    expect(routes.filter((route) => rowOf(route.method, route.path) === undefined).map(nameOf)).toEqual([]);
  });

  it('lets everybody use the public routes, without looking at credentials', async () => {
    for (const route of routes.filter(({ method, path }) => rowOf(method, path) === 'public')) {
      if (route.path.startsWith('/auth/token')) continue;
      const statuses = [(await send(route)).status, (await send(route, 'Basic nonsense')).status];
      expect([nameOf(route), ...statuses]).toEqual([nameOf(route), statuses[0], statuses[0]]);
      expect(refused(String(statuses[0]))).toBe(false);
    }
  });

  it('refuses requests without credentials, whatever the path', async () => {
    for (const route of guarded()) {
      const response = await send(route);
      expect([nameOf(route), response.status]).toEqual([nameOf(route), 401]);
      const challenge = response.headers.get('www-authenticate') ?? '';
      expect([nameOf(route), challenge]).toEqual([nameOf(route), expect.stringMatching(/^Bearer /)]);
      expect(challenge).not.toContain('error=');
    }
  });

  it.each(COLUMNS.names)('with a secret, column %s', async (column) => {
    for (const route of guarded()) {
      const got = await outcome(await send(route, authorizationOf(column)));
      expectOutcome(route, column, got, isOfSpec(route) ? '403 DENIED' : '403');
    }
  });

  it.each(COLUMNS.names)('with a token, column %s', async (column) => {
    for (const route of guarded()) {
      const got = await outcome(await send(route, tokens.get(column)));
      if (!isOfSpec(route)) expect([nameOf(route), got]).toEqual([nameOf(route), '401 invalid_token']);
      else expectOutcome(route, column, got, '401 UNAUTHORIZED insufficient_scope');
    }
  });

  it('accepts a token that the tests signed without a change', async () => {
    const route = { method: 'GET', path: '/v2/*name/manifests/:reference' };
    expect((await send(route, await badToken({}))).status).toBe(200);
  });

  it.each(BAD_CREDENTIALS)('refuses %s on each row', async (_, makeAuthorization) => {
    const authorization = await makeAuthorization();
    for (const route of oneOfEachRow()) {
      const got = await outcome(await send(route, authorization));
      const refusal = isOfSpec(route) ? '401 UNAUTHORIZED invalid_token' : '401 invalid_token';
      expect([nameOf(route), got]).toEqual([nameOf(route), refusal]);
    }
  });

  it.each<[string, () => Promise<string | undefined>]>([
    ['no credentials', () => Promise.resolve(undefined)],
    ['a secret', () => Promise.resolve(authorizationOf('maintain'))],
    ['a token', () => tokenOf('maintain')],
    ['a token for it', () => badToken(OF_MAINTAIN)],
  ])('with %s, a repository that is hidden looks like one that is missing', async (_, makeAuthorization) => {
    const authorization = await makeAuthorization();
    for (const route of guarded().filter(({ path }) => path.includes('*name'))) {
      const seen = async (name: string) => {
        const response = await send({ ...route, path: route.path.replace('*name', name) }, authorization);
        const { 'x-request-id': id = '', date: _date, ...headers } = Object.fromEntries(response.headers);
        const whole = JSON.stringify([response.status, headers, await response.text()]);
        return whole.replaceAll(name, 'NAME').replaceAll(id, 'ID');
      };
      expect([nameOf(route), await seen('hidden/app')]).toEqual([nameOf(route), await seen('absent/app')]);
    }
  });

  it('decides on the name that the handler uses, where a path has two', async () => {
    const grants = { narrow: 'pull', 'wide/manifests/app': 'pull' } as const;
    const { authorization } = await new AccessFixtures(query).account(freshAccount(), { grants });
    const statusOf = async (name: string) =>
      (await send({ method: 'GET', path: `/api/v1/repositories/${name}` }, authorization)).status;
    const digest = encodeURIComponent(DIGEST);
    expect(await statusOf('narrow/manifests/app')).toBe(403);
    expect(await statusOf(`narrow/manifests/${digest}`)).toBe(404);
    expect(await statusOf('wide/manifests/app')).toBe(404);
    expect(await statusOf(`wide/manifests/${digest}`)).toBe(403);
  });

  it.each<[string, Record<string, string>]>([
    ['a source that is hidden', { mount: HIDDEN, from: 'hidden/app' }],
    ['a source that is missing', { mount: HIDDEN, from: 'absent/app' }],
    ['no source, where only a hidden one has it', { mount: HIDDEN }],
    ['a blob that is nowhere', { mount: digestOf('nowhere') }],
  ])('a mount from %s begins an upload', async (_, query) => {
    const path = `/v2/*name/blobs/uploads/?${new URLSearchParams(query).toString()}`;
    for (const authorization of [authorizationOf('maintain'), await badToken(OF_MAINTAIN)]) {
      const { status, headers } = await send({ method: 'POST', path }, authorization);
      expect([status, headers.get('docker-content-digest'), headers.get('range')]).toEqual([
        202,
        null,
        '0-0',
      ]);
    }
  });

  it('a mount needs the pull of its source in the token, too', async () => {
    const path = `/v2/team/other/blobs/uploads/?mount=${encodeURIComponent(DIGEST)}`;
    const mount = async (from: string, ...names: string[]) => {
      const access = ['team/other', ...names].map((name) => ({
        type: 'repository',
        name,
        actions: ['pull', 'push'],
      }));
      const token = await badToken({ claims: { ...OF_MAINTAIN.claims, access } });
      return (await send({ method: 'POST', path: path + from }, token)).status;
    };
    expect(await mount(`&from=${REPOSITORY}`)).toBe(202);
    expect(await mount('')).toBe(202);
    expect(await mount(`&from=${REPOSITORY}`, REPOSITORY)).toBe(201);
    expect(await mount('', REPOSITORY)).toBe(201);
  });

  it('says of a blob only where the caller may pull it', async () => {
    const places = async (digest: string, column: Column) => {
      const path = `/api/v1/blobs/${encodeURIComponent(digest)}/repositories`;
      return (await send({ method: 'GET', path }, authorizationOf(column))).json();
    };
    const none = { items: [], nextCursor: null };
    const found = expect.objectContaining({ name: REPOSITORY });
    expect(await places(DIGEST, 'pull')).toMatchObject({ items: expect.arrayContaining([found]) });
    expect(await places(HIDDEN, 'admin')).toMatchObject({ items: [{ name: 'hidden/app' }] });
    for (const column of ['signed in', 'pull', 'maintain', 'reader'] as const)
      expect([column, await places(HIDDEN, column)]).toEqual([column, none]);
  });

  it('lists what the caller may pull', async () => {
    const names = async (authorization: string) => {
      const response = await send({ method: 'GET', path: '/v2/_catalog' }, authorization);
      return ((await response.json()) as { repositories: string[] }).repositories;
    };
    expect(await names(authorizationOf('signed in'))).toEqual([]);
    expect(await names(authorizationOf('reader'))).toEqual([]);
    expect(await names(authorizationOf('pull'))).toEqual(expect.arrayContaining([REPOSITORY]));
    expect(await names(authorizationOf('pull'))).not.toContain('hidden/app');
    expect(await names(tokens.get('pull') ?? '')).toEqual(await names(authorizationOf('pull')));
    expect(await names(authorizationOf('admin'))).toEqual(expect.arrayContaining(['hidden/app', REPOSITORY]));
  });
});

const query = (sql: string, parameters: unknown[] = []): Promise<never[]> =>
  berth.database.dataSource.query(sql, parameters);

/** The secret of a new admin, after a change of its rows. */
async function secretAfter(change: string): Promise<string> {
  const login = await new AccessFixtures(query).account(freshAccount(), { role: 'admin' });
  const rows = `id = (SELECT id FROM accounts WHERE name = '${login.name}')`;
  await query(change.replace('THIS', rows).replace('ITS', `account_${rows}`));
  return login.authorization;
}

let created = 0;
const freshAccount = () => `admin-${(created += 1)}`;

/** A token that would be good for everything, but for the changes. */
async function badToken(changes: TokenChanges): Promise<string> {
  const access = [{ type: 'repository', name: REPOSITORY, actions: ['pull', 'push', 'delete'] }];
  const cid = `secret:${logins.get('admin')?.secretId ?? ''}`;
  const claims = { sub: logins.get('admin')?.name, cid, access, ...changes.claims };
  return `Bearer ${await signedToken(query, { ...changes, claims })}`;
}

function oneOfEachRow(): Route[] {
  return [...new Map(guarded().map((route) => [rowOf(route.method, route.path), route])).values()];
}

function guarded(): Route[] {
  return routes.filter(({ method, path }) => rowOf(method, path) !== 'public');
}

function expectOutcome(route: Route, column: Column, got: string, refusal: string): void {
  const row = rowOf(route.method, route.path);
  const where = [nameOf(route), column];
  if (row === undefined || row === 'public') throw new Error(`no row: ${nameOf(route)}`);
  if (!allowedIn(row, column)) return expect([...where, got]).toEqual([...where, refusal]);
  const success = SUCCESS[nameOf(route)];
  if (success === undefined) expect([...where, got, refused(got)]).toEqual([...where, got, false]);
  else expect([...where, parseInt(got, 10)]).toEqual([...where, success]);
}
