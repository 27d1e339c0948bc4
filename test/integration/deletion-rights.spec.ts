import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { AccessFixtures, type AccountOptions } from '../support/access-fixtures.js';
import { AdminClient } from '../support/admin-client.js';
import { freshName } from '../support/fresh-name.js';
import { RegistryClient } from '../support/registry-client.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';

describe('rights on deletions', () => {
  let berth: TestBerth;
  let accounts: AccessFixtures;
  let admin: AdminClient;
  let name: string;
  /** Of the repository, of one of its tags. */
  let id: string;
  let ofTag: string;

  beforeAll(async () => {
    berth = await startTestBerth({ ACCESS_MODE: 'token' });
    accounts = new AccessFixtures((sql, parameters) => berth.query(sql, parameters));
  });
  afterAll(() => berth.dispose());

  beforeEach(async () => {
    name = freshName();
    const registry = await clientOf({ role: 'admin' });
    admin = new AdminClient(registry);
    await registry.putManifest(name, '1.0', await registry.makeImage(name));
    await registry.putManifest(name, '2.0', await registry.makeImage(name));
    await registry.fetch(`/v2/${name}/manifests/1.0`, { method: 'DELETE' });
    const { items } = await admin.get<{ items: { id: string }[] }>(`/deletions?repository=${name}`);
    ofTag = items[0]!.id;
    ({ id } = await admin.call<{ id: string }>('DELETE', `/repositories/${name}`, 200));
  });

  const clientOf = async (options: AccountOptions) => {
    const { authorization } = await accounts.account(freshName().replace(/\W/g, '-').slice(-60), options);
    return new RegistryClient(berth.url, authorization);
  };

  it.each<[string, (repository: string) => AccountOptions, [number, number, number, number]]>([
    ['none', () => ({}), [403, 404, 404, 404]],
    ['pull elsewhere', (repository) => ({ grants: { [`${repository}/x`]: 'pull' } }), [403, 404, 404, 404]],
    ['pull', (repository) => ({ grants: { [repository]: 'pull' } }), [200, 200, 403, 403]],
    ['push', (repository) => ({ grants: { [repository]: 'push' } }), [200, 200, 403, 403]],
    ['reader', () => ({ role: 'reader' }), [200, 200, 403, 403]],
    ['maintain', (repository) => ({ grants: { [repository]: 'maintain' } }), [200, 200, 200, 202]],
    ['admin', () => ({ role: 'admin' }), [200, 200, 200, 202]],
  ])('with %s', async (_, optionsOf, expected) => {
    const caller = new AdminClient(await clientOf(optionsOf(name)));
    const send = async (method: string, path: string) => (await caller.send(method, path)).status;
    expect([
      await send('GET', `/deletions?repository=${name}`),
      await send('GET', `/deletions/${id}`),
      await send('POST', `/deletions/${id}/restore`),
      await send('POST', `/deletions/${ofTag}/purge`),
    ]).toEqual(expected);
  });

  it('a deletion that is hidden looks like one that is missing', async () => {
    const caller = new AdminClient(await clientOf({ grants: { 'other/**': 'maintain' } }));
    for (const [method, path] of [
      ['GET', ''],
      ['POST', '/restore'],
      ['POST', '/purge'],
    ] as const) {
      const { detail } = await caller.problem(`/deletions/${id}${path}`, 404, { method });
      expect(detail).toBe(`no deletion has the id ${id}`);
    }
  });

  it.each(['restore', 'purge'])('the refusal of a %s says what it takes', async (verb) => {
    const caller = new AdminClient(await clientOf({ grants: { [name]: 'push' } }));
    const { detail } = await caller.problem(`/deletions/${id}/${verb}`, 403, { method: 'POST' });
    expect(detail).toMatch(/may not change .+: that takes the role maintain on it, which an administrator/);
  });

  it.each<[string, string, RegExp]>([
    ['GET', '/deletions', /reader or admin: list those of one repository, with \?repository=NAME/],
    ['GET', '/garbage', /may not read this: that takes the registry role reader or admin/],
    ['PUT', '/jobs/collect/paused', /may not change this: that takes the registry role admin/],
  ])('the refusal of %s %s says what it takes', async (method, path, message) => {
    const caller = new AdminClient(await clientOf({ grants: { '**': 'maintain' } }));
    expect((await caller.problem(path, 403, { method })).detail).toMatch(message);
  });

  it('the list of all repositories is for admins and readers', async () => {
    for (const [options, status] of [
      [{ role: 'admin' }, 200],
      [{ role: 'reader' }, 200],
      [{ grants: { '**': 'maintain' } }, 403],
    ] as const)
      expect((await new AdminClient(await clientOf(options)).fetch('/deletions')).status).toBe(status);
  });

  it('a restore under another name takes push on that name, and the rights on both', async () => {
    const as = `${name}/restored`;
    const narrow = new AdminClient(await clientOf({ grants: { [name]: 'maintain' } }));
    const { detail } = await narrow.call<{ detail: string }>('POST', `/deletions/${id}/restore`, 403, { as });
    expect(detail).toContain(`may not push to ${as}`);
    const wide = new AdminClient(await clientOf({ grants: { [name]: 'maintain', [as]: 'push' } }));
    await wide.call('POST', `/deletions/${id}/restore`, 200, { as });
    const listed = async (by: AdminClient) =>
      (await by.get<{ items: object[] }>(`/deletions?repository=${name}`)).items[0];
    expect(await listed(wide)).toMatchObject({ id, restoredAs: as });
    expect(await listed(narrow)).toMatchObject({ id, restoredAs: null });
    // The tag was deleted under the old name, and would come back under the new one.
    expect((await narrow.send('GET', `/deletions/${ofTag}`)).status).toBe(404);
    expect((await wide.send('GET', `/deletions/${ofTag}`)).status).toBe(200);
    expect((await wide.send('POST', `/deletions/${ofTag}/restore`)).status).toBe(403);
    await admin.call('POST', `/deletions/${ofTag}/restore`, 200);
  });

  it('a token of /auth/token is no credential here', async () => {
    const { status } = await new RegistryClient(berth.url, 'Bearer x').fetch(`/api/v1/deletions/${id}`);
    expect(status).toBe(401);
  });
});
