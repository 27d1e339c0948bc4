import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AdminClient } from '../support/admin-client.js';
import { RegistryClient } from '../support/registry-client.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';

interface Group {
  readonly name: string;
  readonly memberCount: number;
  readonly grantCount: number;
}

interface Grant {
  readonly id: string;
  readonly subject: string;
  readonly name: string | null;
  readonly pattern: string;
  readonly role: string;
}

interface Explanation {
  readonly isAllowed: boolean;
  readonly missing: string | null;
  readonly grants: readonly Grant[];
  readonly explanation: string;
}

let berth: TestBerth;
let admin: AdminClient;

beforeAll(async () => {
  berth = await startTestBerth();
  admin = new AdminClient(new RegistryClient(berth.url));
});
afterAll(() => berth.dispose());

const account = (name: string, fields = `'user', NULL, false, NULL, NULL`) =>
  berth.query(
    `INSERT INTO accounts (name, kind, registry_role, disabled, expires_at, deleted_at)
     VALUES ($1, ${fields})`,
    [name],
  );
const group = (name: string) => admin.call<Group>('POST', '/groups', 201, { name });
const member = (of: string, name: string, status = 204) =>
  admin.call('PUT', `/groups/${of}/members/${name}`, status);
const put = (subject: string, name: string | undefined, pattern: string, role: string, status = 201) =>
  admin.call<Grant>('POST', '/grants', status, { subject, name, pattern, role });
const detail = async (method: string, path: string, status: number, body?: unknown) =>
  (await admin.call<{ detail: string }>(method, path, status, body)).detail;
const eventsOf = async (subject: string) => {
  const sql = `SELECT action, before, after FROM audit_events WHERE subject = $1 ORDER BY id`;
  return (await berth.query<{ action: string; before: unknown; after: unknown }>(sql, [subject])).map(
    ({ action, before, after }) => [action, before, after],
  );
};

describe('groups', () => {
  it('are created, shown, changed and deleted, with an event each time', async () => {
    const name = 'builders';
    const created = await admin.call('POST', '/groups', 201, { name, description: 'They build' });
    const shown = { name, description: 'They build', memberCount: 0, grantCount: 0, createdBy: null };
    expect(created).toEqual({ ...shown, createdAt: expect.any(String) });
    expect(await admin.get(`/groups/${name}`)).toEqual(created);
    const changed = await admin.call('PATCH', `/groups/${name}`, 200, { description: 'They built' });
    expect(changed).toMatchObject({ ...shown, description: 'They built' });
    await admin.call('PATCH', `/groups/${name}`, 200, { description: 'They built' });
    await account('bob');
    for (const _ of ['first', 'again']) await member(name, 'bob');
    await put('group', name, 'built/**', 'push');
    expect(await admin.get(`/groups/${name}`)).toMatchObject({ memberCount: 1, grantCount: 1 });
    await admin.call('DELETE', `/groups/${name}`, 204);
    await admin.problem(`/groups/${name}`, 404);
    const grants = [{ pattern: 'built/**', role: 'push' }];
    expect(await eventsOf(name)).toEqual([
      ['group.create', null, { description: 'They build' }],
      ['group.update', { description: 'They build' }, { description: 'They built' }],
      ['group.member.add', null, { account: 'bob' }],
      ['grant.create', null, { subject: 'group', ...grants[0] }],
      ['group.delete', { description: 'They built', members: ['bob'], grants }, null],
    ]);
    expect(await berth.query('SELECT FROM grants WHERE pattern = $1', ['built/**'])).toEqual([]);
    // Unlike the name of an account, that of a group is free again.
    await group(name);
  });

  it('list their members, users and robots, in pages', async () => {
    await group('crew');
    await account('crew-user');
    await account('crew-robot', `'robot', NULL, false, NULL, NULL`);
    for (const name of ['crew-robot', 'crew-user']) await member('crew', name);
    for (const limit of [1, 100]) {
      const members = await admin.pages<{ name: string; kind: string }>('/groups/crew/members', limit);
      expect(members.flat()).toEqual([
        { name: 'crew-user', kind: 'user', addedAt: expect.any(String) },
        { name: 'crew-robot', kind: 'robot', addedAt: expect.any(String) },
      ]);
    }
    await admin.call('DELETE', '/groups/crew/members/crew-user', 204);
    expect(await detail('DELETE', '/groups/crew/members/crew-user', 404)).toBe(
      'crew-user is not a member of the group crew',
    );
    expect((await admin.pages('/groups/crew/members', 100)).flat()).toHaveLength(1);
    await admin.call('DELETE', '/groups/crew/members/crew-robot', 204);
    expect((await admin.pages('/groups/crew/members', 100)).flat()).toEqual([]);
  });

  it('are listed by name, in pages', async () => {
    for (const name of ['zz-2', 'zz-1', 'zz-3']) await group(name);
    const all = await admin.pages<Group>('/groups', 2);
    const names = all.flat().map(({ name }) => name);
    expect(names.slice(-3)).toEqual(['zz-1', 'zz-2', 'zz-3']);
    expect(names).toEqual([...names].sort());
  });

  it('has a taken name: 409, also for one of two requests at the same time', async () => {
    const responses = await Promise.all(
      [1, 2, 3].map(() => admin.send('POST', '/groups', { name: 'twice' })),
    );
    expect(responses.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
    expect(await detail('POST', '/groups', 409, { name: 'twice' })).toBe(
      'the name twice belongs to another group',
    );
  });

  it.each([
    ['POST', '/groups', 400, { name: 'UPPER' }, /^name: expected 2 to 64 characters/],
    ['POST', '/groups', 400, { name: 'a' }, /^name: expected 2 to 64 characters/],
    ['POST', '/groups', 400, {}, /^name: expected/],
    ['POST', '/groups', 400, { name: 'ok', description: 5 }, /^description: expected a text/],
    ['POST', '/groups', 400, { name: 'ok', description: 'x'.repeat(257) }, /^description: expected a text/],
    ['POST', '/groups', 400, { name: 'ok', description: 'a\u0000b' }, /^description: expected a text/],
    ['PATCH', '/groups/zz-1', 400, { description: 'a\ud800b' }, /^description: expected a text/],
    ['POST', '/groups', 400, { name: 'ok', members: [] }, /unknown parameter "members"/],
    ['PATCH', '/groups/zz-1', 400, {}, /^description: expected a text/],
    ['PATCH', '/groups/nobody', 404, { description: '' }, /^no group has the name nobody/],
    ['GET', '/groups/nobody', 404, undefined, /^no group has the name nobody/],
    ['GET', '/groups/nobody/members', 404, undefined, /^no group has the name nobody/],
    ['GET', '/groups/%00', 400, undefined, /^name: expected/],
    ['GET', '/groups?cursor=x', 400, undefined, /^cursor: expected/],
    ['DELETE', '/groups/nobody', 404, undefined, /^no group has the name nobody/],
    ['PUT', '/groups/nobody/members/bob', 404, undefined, /^no group has the name nobody/],
    ['PUT', '/groups/zz-1/members/nobody', 404, undefined, /^no account has the name nobody/],
    ['PUT', '/groups/zz-1/members/UPPER', 400, undefined, /^name: expected/],
    ['PUT', '/groups', 405, undefined, /./],
    ['PUT', '/groups/zz-1', 405, undefined, /./],
    ['POST', '/groups/zz-1/members', 405, undefined, /./],
    ['GET', '/groups/zz-1/members/bob', 405, undefined, /./],
  ])('%s %s: %i', async (method, path, status, body, message) => {
    expect(await detail(method, path, status, body)).toMatch(message);
  });

  it('have no deleted accounts', async () => {
    await account('gone', `'user', NULL, false, NULL, now()`);
    expect(await detail('PUT', '/groups/zz-1/members/gone', 404)).toBe('no account has the name gone');
  });
});

describe('grants', () => {
  it('are created, replaced by another role, and deleted, with an event each time', async () => {
    await account('carol');
    const grant = await put('account', 'carol', 'carols/app', 'pull');
    expect(grant).toEqual({
      ...{ subject: 'account', name: 'carol', pattern: 'carols/app', role: 'pull' },
      ...{ id: grant.id, createdAt: expect.any(String), createdBy: null },
    });
    expect(await put('account', 'carol', 'carols/app', 'maintain', 200)).toEqual({
      ...grant,
      role: 'maintain',
    });
    await put('account', 'carol', 'carols/app', 'maintain', 200);
    await admin.call('DELETE', `/grants/${grant.id}`, 204);
    expect(await detail('DELETE', `/grants/${grant.id}`, 404)).toBe(`no grant has the id ${grant.id}`);
    const [pull, maintain] = ['pull', 'maintain'].map((role) => ({
      subject: 'account',
      pattern: 'carols/app',
      role,
    }));
    expect(await eventsOf('carol')).toEqual([
      ['grant.create', null, pull],
      ['grant.update', pull, maintain],
      ['grant.delete', maintain, null],
    ]);
  });

  it('are one per subject and pattern, also of requests at the same time', async () => {
    await account('dave');
    const responses = await Promise.all(
      ['pull', 'push', 'maintain', 'pull'].map((role) =>
        admin.send('POST', '/grants', { subject: 'account', name: 'dave', pattern: '**', role }),
      ),
    );
    expect(responses.map(({ status }) => status).sort()).toEqual([200, 200, 200, 201]);
    expect((await admin.pages<Grant>('/grants?subject=account&name=dave', 10)).flat()).toHaveLength(1);
  });

  it('are listed by subject, name and pattern, in pages', async () => {
    await account('erin');
    await group('erins');
    const wanted: [string, string | undefined, string, string][] = [
      ['account', 'erin', 'erin/one', 'push'],
      ['group', 'erins', 'erin/one', 'pull'],
      ['signed-in', undefined, 'erin/one', 'push'],
      ['anonymous', undefined, 'erin/one', 'pull'],
      ['account', 'erin', 'erin/**', 'maintain'],
    ];
    const ids: string[] = [];
    for (const each of wanted) ids.push((await put(...each)).id);
    const listed = async (query: string, limit: number) =>
      (await admin.pages<Grant>(`/grants?${query}`, limit)).flat().map(({ id }) => ids.indexOf(id));
    for (const limit of [1, 100]) {
      expect(await listed('subject=account&name=erin', limit)).toEqual([0, 4]);
      expect(await listed('subject=group&name=erins', limit)).toEqual([1]);
      expect(await listed('pattern=erin/one', limit)).toEqual([0, 1, 2, 3]);
      expect(await listed('pattern=erin/one&subject=signed-in', limit)).toEqual([2]);
      expect(await listed('pattern=erin/**&subject=account&name=erin', limit)).toEqual([4]);
      expect(await listed('subject=anonymous', limit)).toEqual([3]);
      expect(await listed('subject=account&name=nobody', limit)).toEqual([]);
      expect((await listed('', limit)).filter((n) => n >= 0)).toEqual([0, 1, 2, 3, 4]);
    }
    for (const id of ids.slice(2, 4)) await admin.call('DELETE', `/grants/${id}`, 204);
    expect((await eventsOf('anonymous')).at(-1)).toEqual([
      'grant.delete',
      { subject: 'anonymous', pattern: 'erin/one', role: 'pull' },
      null,
    ]);
  });

  const PATTERN =
    /^pattern: expected a repository \(a\/b\), all repositories below a name \(a\/b\/\*\*\), or \*\*/;

  it.each([
    ['a/*', PATTERN],
    ['a/b*', PATTERN],
    ['*', PATTERN],
    ['**/a', PATTERN],
    ['a/**/b', PATTERN],
    ['/**', PATTERN],
    ['a//b', PATTERN],
    ['A/b', PATTERN],
    ['', PATTERN],
    [' a', PATTERN],
    ['a\0', PATTERN],
    [`${'a'.repeat(256)}/**`, PATTERN],
    [['a'], /^pattern: expected a text/],
    [undefined, /^pattern: expected a text/],
  ])('have no pattern %j: 400', async (pattern, message) => {
    const body = { subject: 'signed-in', pattern, role: 'pull' };
    expect(await detail('POST', '/grants', 400, body)).toMatch(message);
  });

  const valid = { subject: 'account', name: 'carol', pattern: 'a', role: 'pull' };

  it.each([
    ['POST', '/grants', 400, { ...valid, role: 'admin' }, /^role: expected one of pull, push, maintain/],
    ['POST', '/grants', 400, { ...valid, subject: 'all' }, /^subject: expected one of account, group, /],
    ['POST', '/grants', 400, { ...valid, name: undefined }, /^name: expected the name of the account/],
    ['POST', '/grants', 400, { ...valid, subject: 'signed-in' }, /^name: expected none with the subject/],
    ['POST', '/grants', 400, { ...valid, name: null }, /^name: expected 2 to 64/],
    ['POST', '/grants', 404, { ...valid, name: 'nobody' }, /^no account has the name nobody/],
    ['POST', '/grants', 404, { ...valid, subject: 'group' }, /^no group has the name carol/],
    ...['push', 'maintain'].map(
      (role) =>
        [
          'POST',
          '/grants',
          400,
          { subject: 'anonymous', pattern: 'a', role },
          /^role: expected pull, which is all that anonymous callers can have/,
        ] as const,
    ),
    ['GET', '/grants?name=carol', 400, undefined, /^name: expected with it subject=/],
    ['GET', '/grants?subject=anonymous&name=carol', 400, undefined, /^name: expected with it subject=/],
    ['GET', '/grants?pattern=*', 400, undefined, PATTERN],
    ['GET', '/grants?subject=x', 400, undefined, /^subject: expected one of/],
    ['DELETE', '/grants/x', 400, undefined, /^id: expected a number/],
    ['DELETE', '/grants/0', 400, undefined, /^id: expected a number/],
    ['DELETE', '/grants/999999999999999999', 404, undefined, /^no grant has the id/],
    ['PUT', '/grants', 405, undefined, /./],
    ['GET', '/grants/1', 405, undefined, /./],
  ] as const)('%s %s: %i', async (method, path, status, body, message) => {
    expect(await detail(method, path, status, body)).toMatch(message);
  });
});

describe('at most 1,000 grants reach an account', () => {
  const fill = (column: string, table: string, name: string, count: number) =>
    berth.query(
      `INSERT INTO grants (subject, ${column}, pattern, role)
       SELECT $1, (SELECT id FROM ${table} WHERE name = $2), $2 || '/' || n, 'pull'
         FROM generate_series(1, $3::int) AS n`,
      [column.replace('_id', ''), name, count],
    );
  const refused = (name: string, count = '1001') =>
    new RegExp(`^the ${name} would have ${count} grants, .*at most 1000 are possible`);
  const last = (subject: string, name?: string) => ({ subject, name, pattern: 'last', role: 'pull' });

  it('of its own', async () => {
    await account('many-own');
    await fill('account_id', 'accounts', 'many-own', 999);
    await put('account', 'many-own', 'last', 'pull');
    const one = { ...last('account', 'many-own'), pattern: 'one/more' };
    expect(await detail('POST', '/grants', 409, one)).toMatch(refused('account many-own'));
    expect((await eventsOf('many-own')).map(([action]) => action)).toEqual(['grant.create']);
    // The role of one that is there can be replaced.
    await put('account', 'many-own', 'last', 'push', 200);
    // What reaches everybody would reach it too.
    for (const subject of ['signed-in', 'anonymous'])
      expect(await detail('POST', '/grants', 409, last(subject))).toMatch(refused('account many-own'));
    await berth.query(`DELETE FROM grants WHERE account_id IS NOT NULL`);
    await put('signed-in', undefined, 'last', 'pull');
    await berth.query(`DELETE FROM grants WHERE subject = 'signed-in'`);
  });

  it('through its groups', async () => {
    for (const name of ['many-one', 'many-two']) await group(name);
    for (const name of ['many-in-both', 'many-in-one']) await account(name);
    await fill('group_id', 'groups', 'many-one', 600);
    await fill('group_id', 'groups', 'many-two', 399);
    for (const name of ['many-in-both', 'many-in-one']) await member('many-one', name);
    await member('many-two', 'many-in-both');
    await put('group', 'many-two', 'last', 'pull');
    expect(await detail('POST', '/grants', 409, last('group', 'many-one'))).toMatch(
      refused('account many-in-both'),
    );
    expect(await detail('POST', '/grants', 409, last('account', 'many-in-both'))).toMatch(
      refused('account many-in-both'),
    );
    await put('account', 'many-in-one', 'last', 'pull');
    expect(await detail('PUT', '/groups/many-two/members/many-in-one', 409)).toMatch(
      refused('account many-in-one'),
    );
    expect(await admin.get('/groups/many-two')).toMatchObject({ memberCount: 1 });
    await berth.query(`DELETE FROM grants WHERE pattern LIKE 'many-%' OR pattern = 'last'`);
  });

  it('of a group that has no member yet', async () => {
    await group('many-alone');
    await fill('group_id', 'groups', 'many-alone', 1_000);
    for (const [subject, name] of [['group', 'many-alone'], ['anonymous']] as const)
      expect(await detail('POST', '/grants', 409, last(subject, name))).toMatch(refused('group many-alone'));
    await admin.call('DELETE', '/groups/many-alone', 204);
    const [event] = (await eventsOf('many-alone')).slice(-1);
    expect(event).toMatchObject(['group.delete', { members: [], omitted: { grants: 950 } }, null]);
  });

  it('of which two requests at the same time can not add one each', async () => {
    await account('many-race');
    await group('many-racers');
    await fill('account_id', 'accounts', 'many-race', 998);
    await fill('group_id', 'groups', 'many-racers', 1);
    const responses = await Promise.all([
      admin.send('PUT', '/groups/many-racers/members/many-race'),
      admin.send('POST', '/grants', last('account', 'many-race')),
      admin.send('POST', '/grants', last('signed-in')),
    ]);
    const statuses = responses.map(({ status }) => status);
    expect(statuses.filter((status) => status === 409)).toHaveLength(1);
    await berth.query('DELETE FROM grants');
  });
});

describe('access is explained', () => {
  const ids: Record<string, string> = {};

  beforeAll(async () => {
    await berth.query('DELETE FROM grants');
    await account('xavier');
    await account('xena', `'user', 'admin', false, NULL, NULL`);
    await account('xandra', `'user', 'reader', false, NULL, NULL`);
    await account('xoff', `'user', 'admin', true, NULL, NULL`);
    await account('xold', `'robot', NULL, false, '2026-01-31T12:00:00Z', NULL`);
    await account('xgone', `'user', NULL, false, NULL, now()`);
    await group('xs');
    await member('xs', 'xavier');
    for (const [key, subject, name, pattern, role] of [
      ['own', 'account', 'xavier', 'team/app', 'pull'],
      ['group', 'group', 'xs', 'team/**', 'push'],
      ['signed-in', 'signed-in', undefined, 'public/**', 'pull'],
      ['old', 'account', 'xold', '**', 'maintain'],
    ] as const)
      ids[key] = (await put(subject, name, pattern, role)).id;
  });

  const explain = (query: string) => admin.get<Explanation>(`/access/explain?${query}`);

  it.each([
    ['account=xavier&repository=team/app&action=pull', ['group', 'own'], /^xavier may pull team\/app: grant/],
    [
      'account=xavier&repository=team%2Fapp&action=push',
      ['group'],
      /may push team\/app: grant \d+ gives the group xs the role push on team\/\*\*$/,
    ],
    ['account=xavier&repository=public/x&action=pull', ['signed-in'], /gives every account the role pull on/],
    [
      'account=xena&repository=any&action=delete',
      [],
      /^xena may delete any: the account has the .* role admin$/,
    ],
    ['account=xena&registry=admin&action=write', [], /may write the admin of the registry: .* role admin$/],
    ['account=xandra&registry=admin&action=read', [], /the registry role reader$/],
    ['account=xandra&registry=metrics&action=read', [], /the registry role reader$/],
    ['account=xavier&registry=catalog&action=read', [], /every caller may see the list of repositories/],
  ])('allowed: %s', async (query, keys, explanation) => {
    const answer = await explain(query);
    expect(answer).toMatchObject({ isAllowed: true, missing: null });
    expect(answer.grants.map(({ id }) => id).sort()).toEqual(keys.map((key) => ids[key]).sort());
    expect(answer.explanation).toMatch(explanation);
  });

  it('shows who has the grants', async () => {
    const { grants } = await explain('account=xavier&repository=team/app&action=pull');
    const shown = grants.map(({ subject, name, pattern, role }) => `${subject} ${name} ${pattern} ${role}`);
    expect(shown.sort()).toEqual(['account xavier team/app pull', 'group xs team/** push']);
  });

  it.each([
    [
      'account=xavier&repository=team/app&action=delete',
      'grant',
      /^xavier may not delete team\/app: that takes a grant with the role maintain on team\/app, team\/\*\* or \*\*$/,
    ],
    [
      'account=xavier&repository=team&action=pull',
      'grant',
      /the role pull, push or maintain on team or \*\*$/,
    ],
    ['account=xavier&repository=team-x/app&action=pull', 'grant', /a grant/],
    ['account=xandra&repository=team/app&action=pull', 'grant', /a grant/],
    ['account=xandra&registry=admin&action=write', 'role', /takes the registry role admin$/],
    ['account=xavier&registry=admin&action=read', 'role', /takes the registry role reader or admin$/],
    ['account=xoff&repository=team/app&action=pull', 'enabled', /the account is disabled$/],
    ['account=xold&repository=team/app&action=pull', 'time', /expired at 2026-01-31T12:00:00.000Z$/],
    ['repository=team/app&action=pull', 'credentials', /^a caller without credentials may not pull/],
    ['registry=catalog&action=read', 'credentials', /no grant is for anonymous callers/],
  ])('not allowed: %s', async (query, missing, explanation) => {
    const answer = await explain(query);
    expect(answer).toMatchObject({ isAllowed: false, missing });
    expect(answer.explanation).toMatch(explanation);
  });

  it('to callers without credentials, from the first grant for them on', async () => {
    const { id } = await put('anonymous', undefined, 'open/**', 'pull');
    const allowed = await explain('repository=open/app&action=pull');
    expect(allowed).toMatchObject({ isAllowed: true, grants: [{ id, subject: 'anonymous', name: null }] });
    expect(await explain('registry=catalog&action=read')).toMatchObject({ isAllowed: true });
    expect(await explain('repository=open/app&action=push')).toMatchObject({ missing: 'grant' });
    // Signed-in callers have it, too.
    expect(await explain('account=xandra&repository=open/app&action=pull')).toMatchObject({
      grants: [{ id }],
    });
    await admin.call('DELETE', `/grants/${id}`, 204);
  });

  it.each([
    ['account=xavier&action=pull', 400, /^expected either repository or registry/],
    ['account=xavier&action=pull&repository=a&registry=admin', 400, /^expected either/],
    ['account=xavier&repository=a', 400, /^action: expected one of pull, push, delete, read, write/],
    ['account=xavier&repository=a&action=read', 400, /^action: expected on a repository pull, push, delete/],
    ['account=xavier&registry=admin&action=pull', 400, /^action: expected on the registry read, write/],
    ['account=xavier&registry=all&action=read', 400, /^registry: expected one of catalog, admin, metrics/],
    ['account=xavier&repository=A&action=pull', 400, /repository name/],
    ['account=X&repository=a&action=pull', 400, /^account: expected 2 to 64/],
    ['account=nobody&repository=a&action=pull', 404, /^no account has the name nobody/],
    ['account=xgone&repository=a&action=pull', 404, /^no account has the name xgone/],
  ])('%s: %i', async (query, status, message) => {
    expect((await admin.problem(`/access/explain?${query}`, status)).detail).toMatch(message);
  });
});
