import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AccessFixtures, basic, type Login } from '../support/access-fixtures.js';
import { AdminClient } from '../support/admin-client.js';
import { freshName } from '../support/fresh-name.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { until } from '../support/until.js';

/** Where the name of the account is kept that a request came from. */
describe('the name of the account', () => {
  let berth: TestBerth;
  let login: Login;
  let admin: AdminClient;
  let client: RegistryClient;
  const own = `names-${process.pid}-${Date.now()}`;
  const name = freshName('named/app');
  const source = freshName('named/source');

  beforeAll(async () => {
    berth = await startTestBerth({ ACCESS_MODE: 'token', LOG_LEVEL: 'info' });
    const fixtures = new AccessFixtures((sql, parameters) => berth.query(sql, parameters));
    login = await fixtures.account(own, { grants: { [name]: 'maintain', [source]: 'push' } });
    const { authorization } = await fixtures.account(`${own}-admin`, { role: 'admin' });
    admin = new AdminClient(new RegistryClient(berth.url, authorization));
    client = new RegistryClient(berth.url, login.authorization);
  });
  afterAll(() => berth.dispose());

  const columns = async (sql: string, parameters: unknown[] = [name]) =>
    (await berth.query<{ actor: string | null }>(sql, parameters)).map(({ actor }) => actor);
  const lineOf = async (headers: Record<string, string>, path: string) => {
    const id = randomUUID();
    const response = await new RegistryClient(berth.url).fetch(path, {
      headers: { ...headers, 'X-Request-Id': id },
    });
    await response.body?.cancel();
    await until('the line', () => berth.log().some(({ requestId }) => requestId === id));
    return berth.log().find(({ requestId }) => requestId === id);
  };

  it('is in the rows of a push, of uploads, and of each move of a tag', async () => {
    const [one, two] = [await client.makeImage(name, ['one']), await client.makeImage(name, ['two'])];
    for (const image of [one, two])
      expect((await client.putManifest(name, 'latest', image)).status).toBe(201);
    const location = await client.startUpload(name);
    expect((await client.patch(location, 'chunk')).status).toBe(202);
    const id = location.split('/').at(-1);
    expect((await client.fetch(location, { method: 'DELETE' })).status).toBe(204);

    const ofRepository = 'repository_id = (SELECT id FROM repositories WHERE name = $1)';
    expect(await columns(`SELECT created_by AS actor FROM manifests WHERE ${ofRepository}`)).toEqual([
      own,
      own,
    ]);
    expect(await columns(`SELECT updated_by AS actor FROM tags WHERE ${ofRepository}`)).toEqual([own]);
    expect(await columns(`SELECT actor FROM tag_events WHERE ${ofRepository}`)).toEqual([own, own]);
    expect(new Set(await columns('SELECT actor FROM upload_events WHERE upload_id = $1', [id]))).toEqual(
      new Set([own]),
    );
    const [tag] = (await admin.get<{ items: object[] }>(`/repositories/${name}/tags`)).items;
    expect(tag).toMatchObject({ pushedBy: own });
  });

  it('is in the events of deletions, of a mount, and of its login', async () => {
    const blob = await client.pushBlob(source, 'to mount and to delete');
    const mount = `/v2/${name}/blobs/uploads/?mount=${blob}&from=${source}`;
    expect((await client.fetch(mount, { method: 'POST' })).status).toBe(201);
    const image = JSON.stringify(await client.makeImage(name, ['three']));
    expect((await client.putManifest(name, 'three', image)).status).toBe(201);
    for (const path of ['manifests/three', `manifests/${digestOf(image)}`, `blobs/${blob}`])
      expect((await client.fetch(`/v2/${name}/${path}`, { method: 'DELETE' })).status).toBe(202);
    const { items } = await admin.get<{ items: { action: string; subject: string; actor: string }[] }>(
      `/audit?actor=${own}`,
    );
    expect(items.map(({ action, subject }) => `${action} ${subject}`)).toEqual([
      `blob.delete ${blob}`,
      `manifest.delete ${digestOf(image)}`,
      'tag.delete three',
      `blob.mount ${blob}`,
      `login ${own}`,
    ]);
  });

  it('is in the events of changes of access, and in what they create', async () => {
    const group = `${own}-group`;
    const made = await admin.call('POST', '/groups', 201, { name: group });
    expect(made).toMatchObject({ createdBy: `${own}-admin` });
    const wanted = { subject: 'group', name: group, pattern: `${own}/**`, role: 'pull' };
    const grant = await admin.call<{ id: string }>('POST', '/grants', 201, wanted);
    expect(grant).toMatchObject({ createdBy: `${own}-admin` });
    // It acts at once.
    const path = `/v2/${own}/app/tags/list`;
    expect((await client.fetch(path)).status).toBe(403);
    await admin.call('PUT', `/groups/${group}/members/${own}`, 204);
    expect((await client.fetch(path)).status).toBe(404);
    await admin.call('DELETE', `/grants/${grant.id}`, 204);
    expect((await client.fetch(path)).status).toBe(403);
    const events = await admin.get<{ items: { action: string; actor: string }[] }>(
      `/audit?actor=${own}-admin&limit=4`,
    );
    expect(events.items.map(({ action }) => action)).toEqual([
      'grant.delete',
      'group.member.add',
      'grant.create',
      'group.create',
    ]);
  });

  it('is in the line of each request, with the kind of its credentials', async () => {
    const path = `/v2/${name}/tags/list`;
    const line = { account: own, path };
    expect(await lineOf({ Authorization: login.authorization }, path)).toMatchObject({
      ...line,
      credential: 'secret',
    });
    const scope = `service=berth&scope=repository:${name}:pull`;
    const response = await client.fetch(`/auth/token?${scope}`);
    const { token } = (await response.json()) as { token: string };
    expect(await lineOf({ Authorization: `Bearer ${token}` }, path)).toMatchObject({
      ...line,
      credential: 'token',
    });
    expect(await lineOf({ Authorization: login.authorization }, `/auth/token?${scope}`)).toMatchObject({
      account: own,
      path: '/auth/token',
    });
  });

  it('is in no line if it was refused: it may be a password', async () => {
    const typed = `hunter2-${own}`;
    const refused = { status: 401 };
    for (const [tried, password] of [
      [typed, 'x'.repeat(12)],
      [own, `berth_${'0'.repeat(12)}_wrong`],
    ] as const) {
      const line = await lineOf({ Authorization: basic(tried, password) }, `/v2/${name}/tags/list`);
      expect(line).toMatchObject(refused);
      expect(line).not.toHaveProperty('account');
      expect(line).not.toHaveProperty('credential');
    }
    expect(JSON.stringify(berth.log())).not.toContain(typed);
    expect(await columns('SELECT subject AS actor FROM audit_events WHERE subject = $1', [typed])).toEqual(
      [],
    );
    const line = await lineOf({}, `/v2/${name}/tags/list`);
    expect(line).toMatchObject(refused);
    expect(line).not.toHaveProperty('account');
  });
});
