import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AccessFixtures, basic, type Login } from '../support/access-fixtures.js';
import { AdminClient } from '../support/admin-client.js';
import { RegistryClient } from '../support/registry-client.js';
import { sharedBerth } from '../support/running-berth.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { until } from '../support/until.js';

interface Token {
  id: string;
  secret: string;
}

const [PASSWORD, NEW_PASSWORD] = ['the first password', 'the second password'];
const FUTURE = '2999-01-31T12:00:00.000Z';

let berth: TestBerth;
let fixtures: AccessFixtures;
let adminLogin: Login;
let admin: AdminClient;
const own = `me-${process.pid}-${Date.now()}`;
let number = 0;

const fresh = (prefix: string) => `${prefix}-${own}-${(number += 1)}`;

/** A client with these credentials. */
const as = (authorization: string) => new AdminClient(new RegistryClient(berth.url, authorization));
const bearer = (secret: string) => `Bearer ${secret}`;
const statusOf = async (authorization: string, path = '/v2/') =>
  (await new RegistryClient(berth.url, authorization).fetch(path)).status;

async function newUser(fields: object = {}) {
  const name = fresh('user');
  await admin.call('POST', '/users', 201, { name, password: PASSWORD, ...fields });
  return { name, authorization: basic(name, PASSWORD), me: as(basic(name, PASSWORD)) };
}

beforeAll(async () => {
  berth = await startTestBerth({ ACCESS_MODE: 'token', LOG_LEVEL: 'info' });
  fixtures = new AccessFixtures((sql, parameters) => berth.query(sql, parameters));
  adminLogin = await fixtures.account(fresh('admin'), { role: 'admin' });
  admin = as(adminLogin.authorization);
});
afterAll(() => berth.dispose());

describe('GET /api/v1/me', () => {
  it('describes a login by password', async () => {
    const { name, me } = await newUser({ expiresAt: FUTURE, role: 'reader' });
    await fixtures.grant(name, 'b/**', 'push');
    await fixtures.grant(name, 'a', 'pull');
    const { grants, ...others } = await me.get<{ grants: object[] }>('/me');
    expect(others).toEqual({
      access: 'token',
      name,
      kind: 'user',
      role: 'reader',
      expiresAt: FUTURE,
      credential: { kind: 'password', tokenId: null, ceiling: null, expiresAt: null },
    });
    // Those of signed-in and anonymous callers are other tests'.
    expect(grants.filter((grant) => 'subject' in grant && grant.subject === 'account')).toEqual([
      { pattern: 'a', role: 'pull', subject: 'account', group: null },
      { pattern: 'b/**', role: 'push', subject: 'account', group: null },
    ]);
  });

  it.each([
    ['as a password', ({ authorization }: Login) => authorization],
    ['alone', ({ secret }: Login) => bearer(secret)],
  ])('describes a login with a secret %s', async (_, authorization) => {
    const robot = await fixtures.account(fresh('robot'), { kind: 'robot', ceiling: 'pull' });
    await berth.query('UPDATE access_tokens SET expires_at = $2 WHERE id = $1', [robot.secretId, FUTURE]);
    expect(await as(authorization(robot)).get('/me')).toMatchObject({
      name: robot.name,
      kind: 'robot',
      role: null,
      credential: { kind: 'secret', tokenId: robot.secretId, ceiling: 'pull', expiresAt: FUTURE },
    });
  });

  it('says that access is open, where nobody signs in', async () => {
    const open = new AdminClient(new RegistryClient((await sharedBerth()).url, basic('nobody', 'x')));
    expect(await open.get('/me')).toEqual({
      access: 'loopback',
      name: null,
      kind: null,
      role: null,
      expiresAt: null,
      credential: { kind: 'none', tokenId: null, ceiling: null, expiresAt: null },
      grants: [],
    });
    const passwords = { currentPassword: PASSWORD, newPassword: NEW_PASSWORD };
    for (const [method, path, body] of [
      ['PUT', '/me/password', passwords],
      ['GET', '/me/tokens', undefined],
      ['POST', '/me/tokens', { name: 'x' }],
      ['DELETE', '/me/tokens/0123456789ab', undefined],
    ] as const) {
      const { detail } = await open.call<{ detail: string }>(method, path, 409, body);
      expect(detail).toMatch(/^access is open/);
    }
  });
});

describe('PUT /api/v1/me/password', () => {
  const change = { currentPassword: PASSWORD, newPassword: NEW_PASSWORD };

  it('changes the password: the old one ends at once, secrets stay', async () => {
    const { name, authorization, me } = await newUser();
    const { secret } = await me.call<Token>('POST', '/me/tokens', 201, { name: 'laptop' });
    await me.call('PUT', '/me/password', 204, change);
    expect(await statusOf(authorization)).toBe(401);
    expect(await statusOf(basic(name, NEW_PASSWORD))).toBe(200);
    expect(await statusOf(basic(name, secret))).toBe(200);
  });

  let user: ReturnType<typeof newUser> | undefined;
  const anyUser = () => (user ??= newUser());

  it.each([
    [403, { ...change, currentPassword: NEW_PASSWORD }, 'currentPassword: this is not your password'],
    [400, { ...change, currentPassword: undefined }, 'currentPassword: expected your password'],
    [400, { ...change, currentPassword: ['a'] }, 'currentPassword: expected your password'],
    [400, { ...change, newPassword: undefined }, 'newPassword: expected 12 to 256 bytes'],
    [400, { ...change, newPassword: 'short' }, 'newPassword: expected 12 to 256 bytes'],
    [400, { ...change, newPassword: 'tab\tin a password' }, 'newPassword: expected 12 to 256 bytes'],
  ])('%d: %j', async (status, body, expected) => {
    const { me, authorization } = await anyUser();
    const { detail } = await me.call<{ detail: string }>('PUT', '/me/password', status, body);
    expect(detail).toContain(expected);
    expect(await statusOf(authorization)).toBe(200);
  });

  it('needs a login by password: a secret that was found must not take an account over', async () => {
    const { name, me } = await newUser();
    const { secret } = await me.call<Token>('POST', '/me/tokens', 201, { name: 'laptop' });
    for (const authorization of [basic(name, secret), bearer(secret)]) {
      const { detail } = await as(authorization).call<{ detail: string }>('PUT', '/me/password', 403, change);
      expect(detail).toBe('sign in with your password to change it: a secret does not suffice');
    }
  });

  it('happens once if it is asked for twice at the same time', async () => {
    const { me } = await newUser();
    const both = await Promise.all([1, 2].map(() => me.send('PUT', '/me/password', change)));
    const statuses = both.map(({ status }) => status).sort();
    // The second may be refused at its login, or because its password is not the current one any more.
    expect([statuses[0], [401, 403].includes(statuses[1] ?? 0)]).toEqual([204, true]);
  });
});

describe('secrets of a user', () => {
  it('sign in, and stop at once when they are revoked', async () => {
    const { name, me } = await newUser();
    const token = await me.call<Token>('POST', '/me/tokens', 201, { name: 'laptop' });
    expect(await statusOf(bearer(token.secret))).toBe(200);
    expect(await as(bearer(token.secret)).get('/me')).toMatchObject({ name });
    const { items } = await me.get<{ items: object[] }>('/me/tokens');
    expect(items).toMatchObject([{ id: token.id, name: 'laptop', state: 'active', createdBy: name }]);
    await me.call('DELETE', `/me/tokens/${token.id}`, 204);
    for (const authorization of [bearer(token.secret), basic(name, token.secret)])
      expect(await statusOf(authorization)).toBe(401);
    await me.call('DELETE', `/me/tokens/${token.id}`, 404);
  });

  it("are each user's own", async () => {
    const [{ me }, other] = [await newUser(), await newUser()];
    const token = await other.me.call<Token>('POST', '/me/tokens', 201, { name: 'laptop' });
    await me.call('DELETE', `/me/tokens/${token.id}`, 404);
    expect(await me.get('/me/tokens')).toEqual({ items: [], nextCursor: null });
    expect(await statusOf(bearer(token.secret))).toBe(200);
  });

  it('can make others, unless they have a ceiling', async () => {
    const { me } = await newUser();
    const first = await me.call<Token>('POST', '/me/tokens', 201, { name: 'laptop' });
    const body = { name: 'job', ceiling: 'pull' };
    const low = await as(bearer(first.secret)).call<Token>('POST', '/me/tokens', 201, body);
    const { detail } = await as(bearer(low.secret)).call<{ detail: string }>('POST', '/me/tokens', 403, body);
    expect(detail).toMatch(/^this secret may only pull/);
    await as(bearer(low.secret)).call('DELETE', `/me/tokens/${first.id}`, 403);
    expect(await statusOf(bearer(first.secret))).toBe(200);
    // A secret may end itself.
    await as(bearer(low.secret)).call('DELETE', `/me/tokens/${low.id}`, 204);
    expect(await statusOf(bearer(low.secret))).toBe(401);
  });

  it.each(['Ab', 'a-b', 'a'.repeat(65)])('have ids of another form than %s', async (id) => {
    await admin.call('DELETE', `/me/tokens/${id}`, 400);
  });

  it('are not made of a document with thousands of levels', async () => {
    const name: unknown = JSON.parse(`${'['.repeat(2_000)}${']'.repeat(2_000)}`);
    const { detail } = await admin.call<{ detail: string }>('POST', '/me/tokens', 400, { name });
    expect(detail).toBe('the body has more than 16 levels');
  });
});

describe('changes by an admin', () => {
  it.each<[string, object]>([
    ['disabling', { disabled: true }],
    ['a new password', { password: NEW_PASSWORD }],
  ])('end the logins of a user at once: %s', async (_, change) => {
    const { name, authorization } = await newUser();
    expect(await statusOf(authorization)).toBe(200);
    await admin.call('PATCH', `/users/${name}`, 200, change);
    expect(await statusOf(authorization)).toBe(401);
  });

  it('end the secrets of a user', async () => {
    const { name, authorization, me } = await newUser();
    const { secret } = await me.call<Token>('POST', '/me/tokens', 201, { name: 'laptop' });
    await admin.call('PATCH', `/users/${name}`, 200, { revokeTokens: true });
    expect([await statusOf(bearer(secret)), await statusOf(authorization)]).toEqual([401, 200]);
  });

  it('let a disabled user in again', async () => {
    const { name, authorization } = await newUser({ role: null });
    await admin.call('PATCH', `/users/${name}`, 200, { disabled: true });
    expect(await statusOf(authorization)).toBe(401);
    await admin.call('PATCH', `/users/${name}`, 200, { disabled: false });
    expect(await statusOf(authorization)).toBe(200);
  });

  it('give and take the registry role at once', async () => {
    const { name, me } = await newUser();
    await me.call('GET', '/users', 403);
    await admin.call('PATCH', `/users/${name}`, 200, { role: 'reader' });
    await me.call('GET', '/users', 200);
    await me.call('POST', '/users', 403, { name: fresh('user') });
    await admin.call('PATCH', `/users/${name}`, 200, { role: 'admin' });
    await me.call('POST', '/users', 201, { name: fresh('user') });
    await admin.call('PATCH', `/users/${name}`, 200, { role: null });
    await me.call('GET', '/users', 403);
  });

  it('are not made with a secret that may only pull', async () => {
    const low = await fixtures.account(fresh('admin'), { role: 'admin', ceiling: 'pull' });
    await as(low.authorization).call('GET', '/users', 200);
    await as(low.authorization).call('POST', '/users', 403, { name: fresh('user') });
  });

  it('make a robot that signs in with its secret, until it is revoked or the robot deleted', async () => {
    const name = fresh('robot');
    const grants = [{ pattern: `${own}/**`, role: 'push' }];
    const robot = await admin.call<{ createdBy: string; token: Token }>('POST', '/robots', 201, {
      name,
      grants,
    });
    expect(robot.createdBy).toBe(adminLogin.name);
    const client = new RegistryClient(berth.url, basic(name, robot.token.secret));
    await client.pushBlob(`${own}/image`, 'content');
    expect((await client.fetch(`/v2/other/blobs/uploads/`, { method: 'POST' })).status).toBe(403);
    const path = `/robots/${name}/tokens`;
    const second = await admin.call<Token>('POST', path, 201, { name: 'second' });
    await admin.call('DELETE', `${path}/${robot.token.id}`, 204);
    expect(await statusOf(basic(name, robot.token.secret))).toBe(401);
    expect(await statusOf(basic(name, second.secret))).toBe(200);
    await admin.call('DELETE', `/robots/${name}`, 204);
    expect(await statusOf(bearer(second.secret))).toBe(401);
    const events = await berth.query(
      `SELECT action, actor FROM audit_events WHERE subject = $1 AND action NOT LIKE 'login%' ORDER BY id`,
      [name],
    );
    const actions = ['account.create', 'grant.create', 'token.create', 'token.create', 'token.revoke'];
    expect(events).toEqual(
      [...actions, 'account.delete'].map((action) => ({ action, actor: adminLogin.name })),
    );
  });

  it('import users, who sign in with their passwords', async () => {
    const name = fresh('user');
    const hash = '$2y$04$......................DunJ0NhOinbZprl1sCtuSWfJkZJJgCO';
    await admin.call('POST', '/users/import', 200, { htpasswd: `${name}:${hash}` });
    expect(await statusOf(basic(name, 'correct horse battery staple'))).toBe(200);
  });
});

it('logs no password and no secret', async () => {
  const { name, me } = await newUser();
  const { password } = await admin.call<{ password: string }>('POST', '/users', 201, { name: fresh('user') });
  const { secret } = await me.call<Token>('POST', '/me/tokens', 201, { name: 'laptop' });
  await me.call('PUT', '/me/password', 204, { currentPassword: PASSWORD, newPassword: NEW_PASSWORD });
  const robot = await admin.call<{ token: Token }>('POST', '/robots', 201, { name: fresh('robot') });
  await admin.send('POST', '/users', { name: 'x', password: 'a refused password', secret });
  const malformed = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: `{"${secret}` };
  expect((await admin.fetch('/users', malformed)).status).toBe(400);
  const id = randomUUID();
  await me.fetch(`/users/${name}`, { headers: { 'X-Request-Id': id } });
  const logged = () => JSON.stringify(berth.log());
  await until('the line of the last request', () => logged().includes(id));
  const secrets = [{ secret }, robot.token, adminLogin].map((each) => each.secret.split('_')[2] ?? '');
  const texts = [PASSWORD, NEW_PASSWORD, password, 'a refused password', 'correct horse', ...secrets];
  expect(texts.filter((text) => logged().includes(text))).toEqual([]);
});
