import { beforeAll, describe, expect, it } from '@jest/globals';
import { AdminClient } from '../support/admin-client.js';
import { RegistryClient } from '../support/registry-client.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';

interface Account {
  name: string;
  role: string | null;
  disabled: boolean;
  activeTokens: number;
}

interface Token {
  id: string;
  secret: string;
  expiresAt: string | null;
  usage: Record<string, string>;
}

const PASSWORD = 'a password of a test';
/** Of PASSWORD, made with `htpasswd -nbB`. */
const HASH = '$2y$04$......................DunJ0NhOinbZprl1sCtuSWfJkZJJgCO';
const DAY_MS = 24 * 60 * 60 * 1000;
const SECRET = /^berth_[0-9a-z]{12}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}$/;
const GRANT = { pattern: 'a/b', role: 'pull' };
const FUTURE = '2999-01-31T12:00:00.000Z';

let berth: RunningBerth;
let admin: AdminClient;
let number = 0;

/** A name that no other test uses. */
const fresh = (prefix: string) => `${prefix}-${process.pid}-${(number += 1)}`;

const detailOf = async (method: string, path: string, status: number, body?: unknown) =>
  (await admin.call<{ detail: string }>(method, path, status, body)).detail;

const newUser = async (fields: object = {}) => {
  const name = fresh('user');
  await admin.call('POST', '/users', 201, { name, password: PASSWORD, ...fields });
  return name;
};

const newRobot = async (fields: object = {}) => {
  const name = fresh('robot');
  const robot = await admin.call<Account & { token: Token }>('POST', '/robots', 201, { name, ...fields });
  return { name, token: robot.token };
};

beforeAll(async () => {
  berth = await sharedBerth();
  admin = new AdminClient(new RegistryClient(berth.url));
});

const eventsOf = (subject: string) =>
  berth.query<{ action: string; before: unknown; after: unknown }>(
    'SELECT action, before, after FROM audit_events WHERE subject = $1 ORDER BY happened_at, id',
    [subject],
  );

describe('users', () => {
  it('are created, shown, changed and deleted, with an event each time', async () => {
    const name = fresh('user');
    const created = await admin.call('POST', '/users', 201, { name, password: PASSWORD, role: 'reader' });
    expect(created).toEqual({
      name,
      role: 'reader',
      disabled: false,
      expiresAt: null,
      hasPassword: true,
      groups: [],
      activeTokens: 0,
      tokenLastUsedAt: null,
      nextTokenExpiry: null,
      createdAt: expect.any(String),
      createdBy: null,
      password: null,
    });
    const changed = await admin.call('PATCH', `/users/${name}`, 200, {
      role: null,
      disabled: true,
      expiresAt: FUTURE,
    });
    expect(changed).toMatchObject({ name, role: null, disabled: true, expiresAt: FUTURE });
    expect(await admin.get(`/users/${name}`)).toEqual(changed);
    await admin.call('PATCH', `/users/${name}`, 200, {});
    await admin.call('PATCH', `/users/${name}`, 200, { expiresAt: null, password: 'another long password' });
    await admin.call('DELETE', `/users/${name}`, 204);
    expect(await eventsOf(name)).toEqual([
      {
        action: 'account.create',
        before: null,
        after: { kind: 'user', role: 'reader', disabled: false, expiresAt: null },
      },
      {
        action: 'account.update',
        before: { role: 'reader', disabled: false, expiresAt: null },
        after: { role: null, disabled: true, expiresAt: FUTURE },
      },
      {
        action: 'account.update',
        before: { role: null, disabled: true, expiresAt: FUTURE },
        after: { role: null, disabled: true, expiresAt: null },
      },
      { action: 'account.password', before: { passwordGeneration: 0 }, after: { passwordGeneration: 1 } },
      {
        action: 'account.delete',
        before: {
          ...{ kind: 'user', role: null, disabled: true, expiresAt: null },
          ...{ groups: [], grants: [], tokens: [] },
        },
        after: null,
      },
    ]);
  });

  it('get a password from Berth if the request has none', async () => {
    const name = fresh('user');
    const { password } = await admin.call<{ password: string }>('POST', '/users', 201, { name });
    expect(password).toMatch(/^([2-9a-z]{5}-){4}[2-9a-z]{5}$/);
  });

  it('are listed by name, in pages, and by prefix', async () => {
    const prefix = fresh('list');
    const names = [`${prefix}.a`, `${prefix}.b`, `${prefix}.c`];
    for (const name of [...names].reverse()) await admin.call('POST', '/users', 201, { name });
    await admin.call('POST', '/robots', 201, { name: `${prefix}.robot` });
    const pages = await admin.pages<Account>(`/users?q=${prefix}.`, 2);
    expect(pages.map((page) => page.map(({ name }) => name))).toEqual([names.slice(0, 2), names.slice(2)]);
    const robots = await admin.pages<Account>(`/robots?q=${prefix}`, 2);
    expect(robots.flat().map(({ name }) => name)).toEqual([`${prefix}.robot`]);
  });

  it('keep their names for ever', async () => {
    const [user, robot] = [await newUser(), (await newRobot()).name];
    for (const path of ['/users', '/robots']) {
      expect(await detailOf('POST', path, 409, { name: user })).toBe(`a user has the name ${user}`);
      expect(await detailOf('POST', path, 409, { name: robot })).toBe(`a robot has the name ${robot}`);
    }
    await admin.call('DELETE', `/users/${user}`, 204);
    await admin.call('DELETE', `/robots/${robot}`, 204);
    for (const path of ['/users', '/robots']) {
      for (const name of [user, robot]) {
        expect(await detailOf('POST', path, 409, { name })).toMatch(/deleted; names are never used again/);
      }
    }
    for (const path of [`/users/${user}`, `/robots/${robot}`]) {
      for (const method of ['GET', 'DELETE']) await admin.call(method, path, 404);
      await admin.call('PATCH', path, 404, {});
    }
  });

  it('and robots are not the same', async () => {
    const [user, robot] = [await newUser(), (await newRobot()).name];
    expect(await detailOf('GET', `/users/${robot}`, 404)).toBe(`no user has the name ${robot}`);
    expect(await detailOf('GET', `/robots/${user}`, 404)).toBe(`no robot has the name ${user}`);
    for (const path of [`/users/${robot}`, `/robots/${user}`]) {
      await admin.call('DELETE', path, 404);
      await admin.call('PATCH', path, 404, { disabled: true });
    }
    await admin.call('POST', `/robots/${user}/tokens`, 404, { name: 'x' });
    await admin.call('GET', `/robots/${user}/tokens`, 404);
  });

  it.each([
    ['no body', undefined, 'name: expected 2 to 64'],
    ['an array', [], 'name: expected 2 to 64'],
    ['a short name', { name: 'a' }, 'name: expected 2 to 64'],
    ['a long name', { name: 'a'.repeat(65) }, 'name: expected 2 to 64'],
    ['capital letters', { name: 'Alice' }, 'name: expected 2 to 64'],
    ['a newline', { name: 'alice\n' }, 'name: expected 2 to 64'],
    ['a list of names', { name: ['alice'] }, 'name: expected 2 to 64'],
    ['a short password', { name: 'alice', password: 'short' }, 'password: expected 12 to 256 bytes'],
    ['a long password', { name: 'alice', password: 'é'.repeat(129) }, 'password: expected 12 to 256 bytes'],
    ['no password', { name: 'alice', password: null }, 'password: expected 12 to 256 bytes'],
    ['a secret', { name: 'alice', password: 'berth_01234567' }, 'not beginning with berth_'],
    ['a role', { name: 'alice', role: 'owner' }, 'role: expected reader, admin or null'],
    [
      'a past time',
      { name: 'alice', expiresAt: '2020-01-01T00:00:00Z' },
      'expiresAt: expected a time in the',
    ],
    [
      'a local time',
      { name: 'alice', expiresAt: '2030-01-01T00:00:00' },
      'expiresAt: expected a time of ISO',
    ],
    ['no time', { name: 'alice', expiresAt: '2030-02-30T00:00:00Z' }, 'expiresAt: expected a time of ISO'],
    ['a number', { name: 'alice', expiresAt: 5 }, 'expiresAt: expected a time of ISO'],
    ['an unknown field', { name: 'alice', passwordHash: 'x' }, 'unknown parameter "passwordHash"'],
  ])('are not created from %s', async (_, body, detail) => {
    expect(await detailOf('POST', '/users', 400, body)).toContain(detail);
  });

  it.each([
    [{ disabled: null }, 'disabled: expected true or false'],
    [{ disabled: 'yes' }, 'disabled: expected true or false'],
    [{ revokeTokens: null }, 'revokeTokens: expected true or false'],
    [{ password: null }, 'password: expected 12 to 256 bytes'],
    [{ role: '' }, 'role: expected reader, admin or null'],
    [[], 'object is expected'],
    [{ name: 'bob' }, 'unknown parameter "name"'],
  ])('are not changed by %j', async (body, detail) => {
    const name = await newUser();
    expect(await detailOf('PATCH', `/users/${name}`, 400, body)).toContain(detail);
  });
});

describe('the import of users', () => {
  const run = (lines: string[], existing?: string) =>
    ['POST', '/users/import', { htpasswd: lines.join('\n'), existing }] as const;

  it('creates all of them', async () => {
    const [one, two] = [fresh('user'), fresh('user')];
    const [method, path, body] = run([`# people`, `${one}:${HASH}`, '', `${two}:${HASH}`, '']);
    expect(await admin.call(method, path, 200, body)).toEqual({
      created: [one, two],
      updated: [],
      skipped: [],
    });
    expect(await admin.get(`/users/${two}`)).toMatchObject({ name: two, role: null, hasPassword: true });
    expect(JSON.stringify(await eventsOf(one))).not.toContain(HASH);
  });

  it('imports nothing if a line is wrong, and names the lines', async () => {
    const name = fresh('user');
    const [method, path, body] = run([`${name}:${HASH}`, 'Alice:x', `bob:{SHA}abc`]);
    expect(await detailOf(method, path, 400, body)).toMatch(
      /^nothing was imported: line 2: the name "Alice" is invalid.*; line 3: the hash of bob is not bcrypt/,
    );
    await admin.call('GET', `/users/${name}`, 404);
  });

  it.each([undefined, 'refuse'])('imports nothing if a name is taken: existing=%s', async (existing) => {
    const [name, taken, deleted] = [fresh('user'), await newUser(), await newUser()];
    await admin.call('DELETE', `/users/${deleted}`, 204);
    const [method, path, body] = run(
      [name, taken, deleted].map((each) => `${each}:${HASH}`),
      existing,
    );
    expect(await detailOf(method, path, 409, body)).toMatch(
      new RegExp(
        `^nothing was imported: line 2: a user has the name ${taken}; line 3: the name ${deleted} bel`,
      ),
    );
    await admin.call('GET', `/users/${name}`, 404);
  });

  it('skips the names that are taken, or updates users, as told', async () => {
    const [name, taken, robot] = [fresh('user'), await newUser(), (await newRobot()).name];
    const lines = [taken, robot, name].map((each) => `${each}:${HASH}`);
    const [method, path, skip] = run(lines, 'skip');
    expect(await admin.call(method, path, 200, skip)).toEqual({
      created: [name],
      updated: [],
      skipped: [taken, robot],
    });
    const [, , update] = run(lines, 'update');
    expect(await detailOf(method, path, 409, update)).toBe(
      `nothing was imported: line 2: a robot has the name ${robot}`,
    );
    const [, , users] = run([lines[0]!, lines[2]!], 'update');
    expect(await admin.call(method, path, 200, users)).toEqual({
      created: [],
      updated: [taken, name],
      skipped: [],
    });
    expect((await eventsOf(taken)).at(-1)).toMatchObject({ action: 'account.password' });
  });

  it.each([
    [{}, 'htpasswd: expected the text'],
    [{ htpasswd: 5 }, 'htpasswd: expected the text'],
    [{ htpasswd: '', existing: 'replace' }, 'existing: expected one of refuse, skip, update'],
    [{ htpasswd: '', existing: null }, 'existing: expected one of refuse, skip, update'],
  ])('refuses %j', async (body, detail) => {
    expect(await detailOf('POST', '/users/import', 400, body)).toContain(detail);
  });
});

describe('robots', () => {
  it('are created with grants, a secret, and lines to paste', async () => {
    const name = fresh('robot');
    const grants = [
      { pattern: 'demo/**', role: 'push' },
      { pattern: 'base/image', role: 'pull' },
    ];
    const { token, ...robot } = await admin.call<Account & { token: Token }>('POST', '/robots', 201, {
      name,
      grants,
    });
    expect(robot).toMatchObject({ name, role: null, disabled: false, activeTokens: 1 });
    expect(robot).not.toHaveProperty('hasPassword');
    expect(token.secret).toMatch(SECRET);
    expect(token.secret).toContain(token.id);
    const lifetime = Date.parse(token.expiresAt ?? '') - Date.now();
    expect(Math.abs(lifetime - 90 * DAY_MS)).toBeLessThan(DAY_MS / 24);
    const host = new URL(berth.url).host;
    for (const [program, text] of Object.entries(token.usage)) {
      expect([program, text]).toEqual([program, expect.stringContaining(host)]);
      expect([program, text]).toEqual([program, expect.stringContaining(token.secret)]);
      expect([program, text]).toEqual([program, expect.stringContaining(name)]);
    }
    const rows = await berth.query(
      `SELECT pattern, role FROM grants JOIN accounts a ON a.id = account_id
        WHERE a.name = $1 ORDER BY grants.id`,
      [name],
    );
    expect(rows).toEqual(grants);
    expect((await eventsOf(name)).map(({ action }) => action)).toEqual([
      'account.create',
      'grant.create',
      'grant.create',
      'token.create',
    ]);
    expect(JSON.stringify(await eventsOf(name))).not.toContain(token.secret.split('_')[2]);
  });

  it('are created with a secret that does not expire, and changed', async () => {
    const { name, token } = await newRobot({ tokenExpiresAt: null, role: 'reader' });
    expect(token.expiresAt).toBeNull();
    const changed = await admin.call('PATCH', `/robots/${name}`, 200, { disabled: true, revokeTokens: true });
    expect(changed).toMatchObject({ name, role: 'reader', disabled: true, activeTokens: 0 });
    expect((await eventsOf(name)).slice(-2)).toMatchObject([
      { action: 'account.update' },
      { action: 'token.revoke', before: { id: token.id } },
    ]);
    await admin.call('DELETE', `/robots/${name}`, 204);
  });

  it('have a bounded number of secrets that ended', async () => {
    const { name, token } = await newRobot();
    await berth.query(
      `INSERT INTO access_tokens (id, account_id, name, sha256, revoked_at, expires_at)
       SELECT $1 || i, id, i, '', now() - i * interval '1 s',
              CASE i % 2 WHEN 0 THEN now() + interval '1 day' END
         FROM accounts, generate_series(1, 1100) i WHERE name = $1`,
      [name],
    );
    await berth.query(
      `INSERT INTO access_tokens (id, account_id, name, sha256, expires_at)
       SELECT $1 || '-old', id, 'old', '', now() - interval '31 days' FROM accounts WHERE name = $1`,
      [name],
    );
    const next = await admin.call<Token>('POST', `/robots/${name}/tokens`, 201, { name: 'next' });
    const kept = await berth.query<{ id: string }>(
      `SELECT t.id FROM access_tokens t JOIN accounts a ON a.id = account_id WHERE a.name = $1`,
      [name],
    );
    const ended = Array.from({ length: 1_000 }, (_, index) => `${name}${index + 1}`);
    expect(kept.map(({ id }) => id).sort()).toEqual([...ended, token.id, next.id].sort());
  });

  it('lose their secrets with their deletion, whose event names those that were valid', async () => {
    const { name, token } = await newRobot();
    const revoked = await admin.call<Token>('POST', `/robots/${name}/tokens`, 201, { name: 'old' });
    await admin.call('DELETE', `/robots/${name}/tokens/${revoked.id}`, 204);
    await admin.call('DELETE', `/robots/${name}`, 204);
    expect((await eventsOf(name)).at(-1)).toMatchObject({
      action: 'account.delete',
      before: { tokens: [{ id: token.id, name }] },
    });
  });

  it('have further secrets, which are listed without their texts, and revoked', async () => {
    const { name, token: first } = await newRobot();
    const options = { name: 'ci ✓', expiresAt: FUTURE, ceiling: 'pull' };
    const second = await admin.call<Token>('POST', `/robots/${name}/tokens`, 201, options);
    expect(second).toMatchObject({ ...options, secret: expect.stringMatching(SECRET) });
    await admin.call('DELETE', `/robots/${name}/tokens/${first.id}`, 204);
    await admin.call('DELETE', `/robots/${name}/tokens/${first.id}`, 404);
    const { items } = await admin.get<{ items: object[] }>(`/robots/${name}/tokens?sort=createdAt`);
    expect(items).toEqual([
      expect.objectContaining({ id: first.id, name, state: 'revoked', revokedAt: expect.any(String) }),
      expect.objectContaining({
        id: second.id,
        ...options,
        state: 'active',
        revokedAt: null,
        lastUsedAt: null,
      }),
    ]);
    expect(JSON.stringify(items)).not.toContain(second.secret.split('_')[2]);
    const pages = await admin.pages<Token>(`/robots/${name}/tokens?sort=-createdAt`, 1);
    expect(pages.map(([token]) => token?.id)).toEqual([second.id, first.id]);
    expect(await admin.get(`/robots/${name}`)).toMatchObject({ activeTokens: 1, nextTokenExpiry: FUTURE });
  });

  it('have at most 100 active secrets, and forget those that ended long ago', async () => {
    const { name, token } = await newRobot();
    const id = `(SELECT id FROM accounts WHERE name = $1)`;
    await berth.query(
      `INSERT INTO access_tokens (id, account_id, name, sha256, revoked_at)
       SELECT left(md5(random()::text), 12), ${id}, 'old', ''::bytea, now() - interval '31 days'
         FROM generate_series(1, 5)
        UNION ALL
       SELECT left(md5(random()::text), 12), ${id}, 'new', ''::bytea, NULL FROM generate_series(1, 99)`,
      [name],
    );
    expect(await detailOf('POST', `/robots/${name}/tokens`, 409, { name: 'x' })).toBe(
      `${name} has 100 active secrets, the maximum: revoke one first`,
    );
    await admin.call('DELETE', `/robots/${name}/tokens/${token.id}`, 204);
    await admin.call('POST', `/robots/${name}/tokens`, 201, { name: 'x' });
    expect((await admin.pages(`/robots/${name}/tokens`, 1000)).flat()).toHaveLength(101);
  });

  it.each([
    [{ grants: {} }, 'grants: expected a list'],
    [{ grants: [5] }, 'grants: expected objects with pattern and role'],
    [{ grants: [[]] }, 'grants: expected objects with pattern and role'],
    [
      { grants: [{ pattern: 'a', role: 'owner' }] },
      'grants: expected in each a role, one of pull, push, maintain',
    ],
    [{ grants: [{ pattern: 'a/*', role: 'pull' }] }, 'pattern: expected a repository (a/b)'],
    [{ grants: [{ pattern: 'a', role: 'pull', more: 1 }] }, 'unknown parameter "more"'],
    [{ grants: [GRANT, GRANT] }, 'grants: the pattern a/b is there twice'],
    [{ tokenExpiresAt: 'tomorrow' }, 'tokenExpiresAt: expected a time of ISO'],
    [{ tokenExpiresAt: '2020-01-01T00:00:00Z' }, 'tokenExpiresAt: expected a time in the future'],
    [{ password: PASSWORD }, 'unknown parameter "password"'],
  ])('are not created with %j', async (fields, detail) => {
    const name = fresh('robot');
    expect(await detailOf('POST', '/robots', 400, { name, ...fields })).toContain(detail);
    await admin.call('GET', `/robots/${name}`, 404);
  });

  it('are not created with more than 1,000 grants', async () => {
    const grants = Array(1_001).fill(GRANT) as object[];
    const detail = await detailOf('POST', '/robots', 400, { name: fresh('robot'), grants });
    expect(detail).toBe('grants: expected at most 1000');
  });

  it.each([
    [{}, 'name: expected 1 to 64 characters'],
    [{ name: 'a\u0007' }, 'name: expected 1 to 64 characters'],
    [{ name: 'a', ceiling: 'push' }, 'ceiling: expected pull or null'],
    [{ name: 'a', expiresAt: '2020-01-01T00:00:00Z' }, 'expiresAt: expected a time in the future'],
  ])('get no secret from %j', async (body, detail) => {
    const { name } = await newRobot();
    expect(await detailOf('POST', `/robots/${name}/tokens`, 400, body)).toContain(detail);
  });
});
