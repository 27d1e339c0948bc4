import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { AdminClient } from '../support/admin-client.js';
import { freshName } from '../support/fresh-name.js';
import { digestOf, OCI_INDEX, OCI_MANIFEST, RegistryClient } from '../support/registry-client.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';
import { until } from '../support/until.js';

interface Deletion {
  id: string;
  repository: string;
  kind: string;
  reference: string | null;
  state: string;
  restoredAs: string | null;
  restorableUntil: string | null;
  deletedAt: string;
  endedAt: string | null;
  purgeRequestedAt: string | null;
  manifests: number;
  tags: number;
  restoration: { manifests: number; tags: number; tagsNotRestored: number; notRestored: object[] } | null;
}

const WEEK_MS = 7 * 24 * 60 * 60 * 1000;

describe('admin API: deletions', () => {
  let berth: RunningBerth;
  let client: RegistryClient;
  let admin: AdminClient;
  let name: string;

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
    admin = new AdminClient(client);
  });
  beforeEach(() => {
    name = freshName();
  });

  const status = async (reference: string, repository = name) =>
    (await client.fetch(`/v2/${repository}/manifests/${reference}`)).status;

  /** Pushes an image of these layers and returns its digest. */
  const pushImage = async (tags: readonly string[], layers: readonly string[], repository = name) => {
    const image = JSON.stringify(await client.makeImage(repository, layers));
    for (const reference of tags.length === 0 ? [digestOf(image)] : tags)
      expect((await client.putManifest(repository, reference, image)).status).toBe(201);
    return { digest: digestOf(image), size: image.length };
  };

  const pushIndex = async (tag: string, children: readonly { digest: string; size: number }[]) => {
    const manifests = children.map(({ digest, size }) => ({ mediaType: OCI_MANIFEST, digest, size }));
    const index = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
    const { status: pushed } = await client.putManifest(name, tag, index, { 'Content-Type': OCI_INDEX });
    expect(pushed).toBe(201);
    return digestOf(index);
  };

  /** Deletes a tag or a manifest and returns its deletion. */
  const remove = async (reference: string): Promise<Deletion> => {
    const response = await client.fetch(`/v2/${name}/manifests/${reference}`, { method: 'DELETE' });
    expect(response.status).toBe(202);
    return newest();
  };

  const newest = async (repository = name) => {
    const { items } = await admin.get<{ items: Deletion[] }>(`/deletions?repository=${repository}&limit=1`);
    return items[0]!;
  };
  const removeRepository = (repository = name) =>
    admin.call<Deletion>('DELETE', `/repositories/${repository}`, 200);
  const restore = (id: string, body?: object, expected = 200) =>
    admin.call<Deletion>('POST', `/deletions/${id}/restore`, expected, body);
  const refused = async (id: string, action: string, body?: object) =>
    (await admin.call<{ detail: string }>('POST', `/deletions/${id}/${action}`, 409, body)).detail;
  const auditOf = async (action: string) => {
    const { items } = await admin.get<{ items: { action: string; subject: string }[] }>(
      `/audit?repository=${name}&action=${action}`,
    );
    return items.map(({ subject }) => subject);
  };

  it('restores a deleted tag', async () => {
    const { digest } = await pushImage(['1.0'], ['a layer']);
    const deletion = await remove('1.0');
    expect(deletion).toMatchObject({ repository: name, kind: 'tag', reference: '1.0', state: 'restorable' });
    expect(Date.parse(String(deletion.restorableUntil)) - Date.parse(deletion.deletedAt)).toBe(WEEK_MS);
    expect(await admin.get(`/deletions/${deletion.id}`)).toMatchObject({
      manifests: 0,
      tags: 1,
      restoration: null,
    });

    const restored = await restore(deletion.id);
    expect(restored).toMatchObject({ state: 'restored', restorableUntil: null, endedAt: expect.any(String) });
    const { headers } = await client.fetch(`/v2/${name}/manifests/1.0`);
    expect(headers.get('docker-content-digest')).toBe(digest);
    const { items } = await admin.get<{ items: { kind: string }[] }>(`/repositories/${name}/tags/1.0/events`);
    expect(items.map(({ kind }) => kind)).toEqual(['created', 'deleted', 'created']);
    expect(await auditOf('deletion.restore')).toEqual(['1.0']);
    expect(await refused(deletion.id, 'restore')).toBe(`the deletion ${deletion.id} was restored already`);
  });

  it('restores a manifest with the tags whose names are free, and its blobs', async () => {
    const { digest } = await pushImage(['free', 'taken', 'same'], ['only here']);
    const deletion = await remove(digest);
    expect(await admin.get(`/deletions/${deletion.id}`)).toMatchObject({ manifests: 1, tags: 3 });
    const blob = `/v2/${name}/blobs/${digestOf('only here')}`;
    expect((await client.fetch(blob, { method: 'DELETE' })).status).toBe(202);
    expect((await client.fetch(blob)).status).toBe(404);
    await pushImage(['taken'], ['another']);

    const { restoration } = await restore(deletion.id, {});
    expect(restoration).toMatchObject({
      ...{ manifests: 1, tags: 2, tagsNotRestored: 1 },
      notRestored: [{ tag: 'taken', reason: 'taken', deletionId: null }],
    });
    expect(await Promise.all(['free', 'same', digest].map((each) => status(each)))).toEqual([200, 200, 200]);
    expect((await client.blob(name, digestOf('only here'))).toString()).toBe('only here');
  });

  it('restores an index with its children, whatever deleted them, and no tags of these', async () => {
    const [first, second] = [await pushImage(['arm'], ['arm']), await pushImage([], ['amd'])];
    const index = await pushIndex('all', [first, second]);
    const ofIndex = await remove(index);
    const ofChild = await remove(first.digest);
    expect(await status('all')).toBe(404);

    expect(await restore(ofIndex.id)).toMatchObject({ restoration: { tags: 1, tagsNotRestored: 0 } });
    expect(
      await Promise.all(['all', first.digest, second.digest, 'arm'].map((each) => status(each))),
    ).toEqual([...[200, 200, 200, 404]]);
    // Nothing of it is deleted any more, but its tag.
    expect(await restore(ofChild.id)).toMatchObject({ restoration: { manifests: 0, tags: 1 } });
    expect(await status('arm')).toBe(200);
  });

  it('says which deletion has the manifest of a tag', async () => {
    const { digest } = await pushImage(['1.0', '2.0'], ['x']);
    const ofTag = await remove('1.0');
    const ofManifest = await remove(digest);
    expect(await refused(ofTag.id, 'restore')).toBe(
      `the manifest of the tag 1.0 is deleted itself: restore the deletion ${ofManifest.id} first`,
    );
    await restore(ofManifest.id);
    const other = await pushImage(['1.0'], ['y']);
    expect(await refused(ofTag.id, 'restore')).toBe(
      'the tag 1.0 points at another manifest now: delete that tag first',
    );
    await remove('1.0');
    expect(await restore(ofTag.id)).toMatchObject({ state: 'restored', restoration: { tags: 1 } });
    expect([await status('1.0'), await status(other.digest)]).toEqual([200, 200]);
  });

  describe('of a repository', () => {
    it('makes everything unknown at once, and restores it', async () => {
      const { digest } = await pushImage(['1.0'], ['a layer']);
      const blob = digestOf('a layer');
      const deletion = await removeRepository();
      expect(deletion).toMatchObject({ kind: 'repository', reference: null, manifests: 1, tags: 1 });
      const paths = ['manifests/1.0', `manifests/${digest}`, `blobs/${blob}`, 'tags/list'];
      for (const path of paths) expect((await client.fetch(`/v2/${name}/${path}`)).status).toBe(404);
      const { status: mounted } = await client.fetch(
        `/v2/${name}-other/blobs/uploads/?mount=${blob}&from=${name}`,
        { method: 'POST' },
      );
      expect(mounted).toBe(202);
      await admin.problem(`/repositories/${name}`, 404);
      await admin.problem(`/repositories/${name}`, 404, { method: 'DELETE' });

      expect(await restore(deletion.id)).toMatchObject({
        ...{ state: 'restored', restoredAs: null, restoration: null },
      });
      for (const path of paths) expect((await client.fetch(`/v2/${name}/${path}`)).status).toBe(200);
      expect(await auditOf('repository.delete')).toEqual([name]);
      expect(await auditOf('deletion.restore')).toEqual([name]);
    });

    it('restores it as another one if the name is taken', async () => {
      const old = await pushImage(['1.0'], ['old']);
      const { id } = await removeRepository();
      const { digest } = await pushImage(['1.0'], ['new']);
      expect(await refused(id, 'restore')).toBe(
        `the repository ${name} exists: restore this one under another name, with {"as": "…"}`,
      );
      expect(await refused(id, 'restore', { as: name })).toContain(`the repository ${name} exists`);
      const { detail } = await admin.call<{ detail: string }>('POST', `/deletions/${id}/restore`, 400, {
        as: null,
      });
      expect(detail).toBe('as: expected the name of a repository');
      expect((await newest()).restoredAs).toBeNull();
      const restoredAs = `${name}/restored`;
      expect(await restore(id, { as: restoredAs })).toMatchObject({ restoredAs });
      expect(await newest()).toMatchObject({ id, repository: name, restoredAs });
      expect(await status(old.digest, `${name}/restored`)).toBe(200);
      expect([await status(digest), await status(old.digest)]).toEqual([200, 404]);
    });

    it('refuses to restore what was deleted in it before, until it is restored', async () => {
      const { digest } = await pushImage(['1.0'], ['a layer']);
      const ofManifest = await remove(digest);
      const ofRepository = await removeRepository();
      expect(await refused(ofManifest.id, 'restore')).toBe(
        `the repository of the deletion ${ofManifest.id} is deleted itself: ` +
          `restore the deletion ${ofRepository.id} first`,
      );
      await restore(ofRepository.id, { as: `${name}/restored` });
      expect(await status('1.0', `${name}/restored`)).toBe(404);
      await restore(ofManifest.id);
      expect(await status('1.0', `${name}/restored`)).toBe(200);
    });
  });

  describe('a purge', () => {
    it('ends all windows: the collector deletes at once what only it needs', async () => {
      const { digest } = await pushImage(['1.0'], [`secret of ${name}`]);
      const { id } = await remove(digest);
      const deletion = await admin.call<Deletion>('POST', `/deletions/${id}/purge`, 202);
      expect(deletion).toMatchObject({
        state: 'purging',
        restorableUntil: null,
        purgeRequestedAt: expect.any(String),
      });
      expect(await auditOf('deletion.purge')).toEqual([digest]);
      await until('it is purged', async () => (await newest()).state === 'purged');
      for (const action of ['restore', 'purge'])
        expect(await refused(id, action)).toBe(`the deletion ${id} was purged`);
      const sql = 'SELECT FROM blob_digests WHERE digest = $1';
      const secret = [digestOf(`secret of ${name}`)];
      await until('its blob is gone', async () => (await berth.query(sql, secret)).length === 0);
    });

    it('is refused if an index lists a manifest of it, and can be restored', async () => {
      const child = await pushImage([], ['child']);
      const index = await pushIndex('all', [child]);
      const ofIndex = await remove(index);
      const ofChild = await remove(child.digest);
      expect(await refused(ofChild.id, 'purge')).toBe(
        `the index ${index} lists ${child.digest} and can be restored: ` +
          `purge or restore its deletion ${ofIndex.id} first`,
      );
      await admin.call('POST', `/deletions/${ofIndex.id}/purge`, 202);
      await admin.call('POST', `/deletions/${ofChild.id}/purge`, 202);
    });

    it('is refused for what was restored', async () => {
      await pushImage(['1.0'], ['a layer']);
      const { id } = await remove('1.0');
      await restore(id);
      expect(await refused(id, 'purge')).toBe(`the deletion ${id} was restored already`);
    });
  });

  it('refuses what it can not restore, and says why', async () => {
    await pushImage(['1.0', '2.0'], ['a layer']);
    const { id } = await remove('1.0');
    const bad = async (body: object) =>
      (await admin.call<{ detail: string }>('POST', `/deletions/${id}/restore`, 400, body)).detail;
    expect(await bad({ as: `${name}/other` })).toBe(
      `as: expected for the deletion of a repository only, and ${id} is that of a tag`,
    );
    expect(await bad({ as: 'Not/A/Name' })).toContain('invalid repository name');
    expect(await bad({ name: 'x' })).toBe('unknown parameter "name"');
    for (const path of ['', '/restore', '/purge']) {
      const method = path === '' ? 'GET' : 'POST';
      const absent = await admin.problem(`/deletions/999999999${path}`, 404, { method });
      expect(absent.detail).toBe('no deletion has the id 999999999');
      const malformed = await admin.problem(`/deletions/seven${path}`, 400, { method });
      expect(malformed.detail).toBe('id: expected a number');
    }
    const setAge = (days: number) =>
      berth.query(`UPDATE deletions SET deleted_at = now() - $2 * interval '1 day' WHERE id = $1`, [
        id,
        days,
      ]);
    await setAge(8);
    expect(await admin.get(`/deletions/${id}`)).toMatchObject({ restorableUntil: null });
    expect(await refused(id, 'restore')).toMatch(/is older than GC_UNDELETE_SECONDS, 604800 s|purged$/);
  });

  it('lists deletions, newest first, by repository and state', async () => {
    await pushImage(['a', 'b', 'c', 'd'], ['a layer']);
    const ids: string[] = [];
    for (const tag of ['a', 'b', 'c', 'd']) ids.unshift((await remove(tag)).id);
    await restore(ids[1]!);
    const listed = async (query: string) =>
      (await admin.pages<Deletion>(`/deletions?${query}`, 2)).map((page) => page.map(({ id }) => id));
    expect(await listed(`repository=${name}`)).toEqual([ids.slice(0, 2), ids.slice(2)]);
    expect(await listed(`repository=${name}&state=restorable`)).toEqual([[ids[0], ids[2]], [ids[3]]]);
    expect(await listed(`repository=${name}&state=restored`)).toEqual([[ids[1]]]);
    expect(await listed(`repository=${name}/none`)).toEqual([[]]);
    for (const query of ['', 'state=restorable']) {
      const all = (await listed(query)).flat();
      expect(all).toEqual([...new Set(all)].sort((a, b) => Number(b) - Number(a)));
      expect(all).toEqual(expect.arrayContaining(ids.filter((id) => query === '' || id !== ids[1])));
    }
    expect((await admin.problem('/deletions?state=gone', 400)).detail).toBe(
      'state: expected one of restorable, restoring, restored, purging, purged',
    );
    expect((await admin.problem('/deletions?repository=A', 400)).detail).toContain('invalid repository name');
  });

  it('shows what a repository uses, exactly', async () => {
    const other = `${name}/other`;
    const usage = (repository = name) => admin.get(`/repositories/${repository}/usage`);
    await pushImage(['live'], ['shared layer', 'of the live one']);
    await pushImage(['live'], ['shared layer'], other);
    const { digest } = await pushImage(['deleted'], ['of the live one', 'of the deleted one']);
    await client.pushBlob(name, 'unneeded');
    await remove(digest);
    // The config `{}` is in both repositories, and in each image.
    const [config, shared, live, gone, unneeded] = [2, 12, 15, 18, 8];
    expect(await usage()).toEqual({
      linked: { blobs: 5, bytes: config + shared + live + gone + unneeded },
      exclusive: { blobs: 3, bytes: live + gone + unneeded },
      shared: { blobs: 2, bytes: config + shared },
      restorable: { blobs: 1, bytes: gone },
      unneeded: { blobs: 1, bytes: unneeded },
    });
    await client.fetch(`/v2/${name}/blobs/${digestOf('of the deleted one')}`, { method: 'DELETE' });
    expect(await usage()).toMatchObject({ restorable: { blobs: 1, bytes: gone } });
    expect(await usage(other)).toMatchObject({ exclusive: { blobs: 0, bytes: 0 } });
    await admin.problem(`/repositories/${name}/none/usage`, 404);
  });
});
