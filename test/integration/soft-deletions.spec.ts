import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { queryRows } from '../../src/database/query-rows.js';
import { AdminClient } from '../support/admin-client.js';
import { freshName } from '../support/fresh-name.js';
import {
  digestOf,
  OCI_INDEX,
  OCI_MANIFEST,
  refusal,
  RegistryClient,
  specErrors,
} from '../support/registry-client.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';

const OF_MANIFEST = 'repository_id = (SELECT id FROM repositories WHERE name = $1) AND digest = $2';

describe('what a deletion keeps', () => {
  let berth: TestBerth;
  let client: RegistryClient;
  let admin: AdminClient;

  beforeAll(async () => {
    berth = await startTestBerth();
    client = new RegistryClient(berth.url);
    admin = new AdminClient(client);
  });
  afterAll(() => berth.dispose());

  const query = <Row>(sql: string, parameters: unknown[] = []) =>
    queryRows<Row>(berth.database.dataSource.manager, sql, parameters);
  const remove = async (name: string, path: string) => {
    const response = await client.fetch(`/v2/${name}/${path}`, { method: 'DELETE' });
    expect([path, response.status]).toEqual([path, 202]);
  };
  const push = async (name: string, reference: string, text: string, type = OCI_MANIFEST) => {
    const response = await client.putManifest(name, reference, text, { 'Content-Type': type });
    expect(response.status).toBe(201);
  };
  const status = async (name: string, path: string) => (await client.fetch(`/v2/${name}/${path}`)).status;
  const indexOf = (...manifests: string[]) =>
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      manifests: manifests.map((text) => ({
        mediaType: text.includes(OCI_INDEX) ? OCI_INDEX : OCI_MANIFEST,
        digest: digestOf(text),
        size: text.length,
      })),
    });
  const rowOf = async (name: string, text: string) => {
    const sql = `SELECT id, deletion_id, is_follower, created_at FROM manifests WHERE ${OF_MANIFEST}`;
    type Row = { id: string; deletion_id: string | null; is_follower: boolean; created_at: Date };
    const [row] = await query<Row>(sql, [name, digestOf(text)]);
    if (row === undefined) throw new Error('no such manifest');
    return row;
  };
  const repositoryId = async (name: string) =>
    (await query<{ id: string }>('SELECT id FROM repositories WHERE name = $1', [name]))[0]?.id;

  /** A repository with an image of one layer, tagged twice. */
  async function image(name = freshName(), layer = 'layer'): Promise<{ name: string; text: string }> {
    const text = JSON.stringify(await client.makeImage(name, [layer]));
    await push(name, 'one', text);
    await push(name, 'two', text);
    return { name, text };
  }

  it('a manifest: invisible, with its row, its references and the history of its tags', async () => {
    const { name, text } = await image();
    const digest = digestOf(text);
    const referrer = JSON.stringify({
      ...(await client.makeImage(name, [])),
      subject: { mediaType: OCI_MANIFEST, digest, size: text.length },
    });
    await push(name, digestOf(referrer), referrer);
    const before = await admin.get<{ counts: { manifests: number; tags: number } }>('/overview');
    for (const each of [text, referrer]) await remove(name, `manifests/${digestOf(each)}`);

    for (const path of ['one', 'two', digest]) expect(await status(name, `manifests/${path}`)).toBe(404);
    expect(await (await client.fetch(`/v2/${name}/tags/list`)).json()).toEqual({ name, tags: [] });
    expect(await (await client.fetch(`/v2/${name}/referrers/${digest}`)).json()).toMatchObject({
      manifests: [],
    });
    const repository = `/repositories/${name}`;
    expect(await admin.get(`${repository}/manifests`)).toMatchObject({ items: [] });
    expect(await admin.get(`${repository}/tags`)).toMatchObject({ items: [] });
    expect(await admin.get(repository)).toMatchObject({ tags: 0, manifests: 0, blobs: 2 });
    await admin.problem(`${repository}/manifests/${digest}`, 404);
    const { counts } = await admin.get<typeof before>('/overview');
    expect([before.counts.manifests - counts.manifests, before.counts.tags - counts.tags]).toEqual([2, 2]);

    const { id, deletion_id: deletion } = await rowOf(name, text);
    expect(await query('SELECT count(*)::int AS n FROM manifest_blobs WHERE manifest_id = $1', [id])).toEqual(
      [{ n: 2 }],
    );
    expect(
      await query(
        `SELECT repository_id, repository, kind, reference, state, followed FROM deletions WHERE id = $1`,
        [deletion],
      ),
    ).toEqual([
      {
        repository_id: await repositoryId(name),
        repository: name,
        kind: 'manifest',
        reference: digest,
        state: 'restorable',
        followed: false,
      },
    ]);
    expect(
      await query('SELECT tag, from_digest FROM tag_events WHERE deletion_id = $1 ORDER BY tag', [deletion]),
    ).toEqual(['one', 'two'].map((tag) => ({ tag, from_digest: digest })));
  });

  it('a tag: the digest that it pointed at', async () => {
    const { name, text } = await image();
    await remove(name, 'manifests/one');
    expect(await status(name, 'manifests/two')).toBe(200);
    expect(
      await query(
        `SELECT d.kind, d.reference, d.followed, e.from_digest
           FROM deletions d JOIN tag_events e ON e.deletion_id = d.id WHERE d.repository = $1`,
        [name],
      ),
    ).toEqual([{ kind: 'tag', reference: 'one', followed: true, from_digest: digestOf(text) }]);
  });

  describe('a push of a deleted manifest', () => {
    it('makes it live, as if it were new', async () => {
      const { name, text } = await image();
      const first = await rowOf(name, text);
      await remove(name, `manifests/${digestOf(text)}`);
      await push(name, 'three', text);
      const second = await rowOf(name, text);
      expect(second).toMatchObject({ id: first.id, deletion_id: null });
      expect(second.created_at.getTime()).toBeGreaterThan(first.created_at.getTime());
      expect(await (await client.fetch(`/v2/${name}/tags/list`)).json()).toEqual({ name, tags: ['three'] });
    });

    it('needs a blob again that was deleted meanwhile', async () => {
      const { name, text } = await image();
      const layer = digestOf('layer');
      await remove(name, `manifests/${digestOf(text)}`);
      await remove(name, `blobs/${layer}`);
      expect(await status(name, `blobs/${layer}`)).toBe(404);
      const refused = await client.putManifest(name, 'one', text);
      expect(await specErrors(refused)).toMatchObject([
        { code: 'MANIFEST_BLOB_UNKNOWN', detail: { digest: layer } },
      ]);
      expect((await rowOf(name, text)).deletion_id).not.toBeNull();
      await client.pushBlob(name, 'layer');
      await push(name, 'one', text);
      expect(await status(name, `blobs/${layer}`)).toBe(200);
    });

    it('keeps a reference to what is missing, if that is accepted', async () => {
      const { name, text } = await image();
      const index = indexOf(text);
      await push(name, 'index', index, OCI_INDEX);
      for (const each of [index, text]) await remove(name, `manifests/${digestOf(each)}`);
      await remove(name, `blobs/${digestOf('layer')}`);
      const put = (content: string, blobs: string[], children: string[]) =>
        query(`SELECT put_manifest($1, $2, 'a/b', NULL, NULL, NULL, $3, $4, $5, true, '{}', NULL)`, [
          ...[name, digestOf(content), Buffer.from(content), blobs, children],
        ]);
      // The index first: its child is deleted.
      await put(index, [], [digestOf(text)]);
      await put(text, [digestOf('{}'), digestOf('layer')], []);
      const references = (of: string) => admin.get(`/repositories/${name}/manifests/${digestOf(of)}`);
      expect(await references(index)).toMatchObject({
        sizeBytes: 0,
        references: { manifests: [], manifestCount: 0, missing: [digestOf(text)] },
      });
      expect(await references(text)).toMatchObject({
        sizeBytes: 2,
        references: { blobs: [{ digest: digestOf('{}') }], blobCount: 1, missing: [digestOf('layer')] },
      });
    });
  });

  describe('a push of an index', () => {
    /** As the collector does with children that nothing holds. */
    const follow = (name: string, text: string) =>
      query(`UPDATE manifests SET deletion_id = 1, is_follower = true WHERE ${OF_MANIFEST}`, [
        name,
        digestOf(text),
      ]);

    it('revives children that the collector deleted, with their children and blobs', async () => {
      const { name, text } = await image();
      const [inner, outer] = [indexOf(text), indexOf(indexOf(text))];
      for (const index of [inner, outer]) await push(name, digestOf(index), index, OCI_INDEX);
      await remove(name, `manifests/${digestOf(outer)}`);
      await remove(name, `manifests/${digestOf(inner)}`);
      await remove(name, `manifests/${digestOf(text)}`);
      await follow(name, inner);
      await remove(name, `blobs/${digestOf('layer')}`);
      await push(name, 'outer', outer, OCI_INDEX);
      for (const each of [outer, inner, text])
        expect(await rowOf(name, each)).toMatchObject({ deletion_id: null, is_follower: false });
      for (const path of [`manifests/${digestOf(text)}`, `blobs/${digestOf('layer')}`])
        expect(await status(name, path)).toBe(200);
    });

    it('does not find a child of which a part is being purged', async () => {
      const { name, text } = await image();
      const [inner, outer] = [indexOf(text), indexOf(indexOf(text))];
      await push(name, digestOf(inner), inner, OCI_INDEX);
      for (const each of [inner, text]) await remove(name, `manifests/${digestOf(each)}`);
      await follow(name, inner);
      await query(`UPDATE deletions SET state = 'purging' WHERE id = $1`, [
        (await rowOf(name, text)).deletion_id,
      ]);
      const response = await client.putManifest(name, 'outer', outer, { 'Content-Type': OCI_INDEX });
      expect(await refusal(response)).toBe('404 MANIFEST_BLOB_UNKNOWN');
      expect((await rowOf(name, inner)).deletion_id).not.toBeNull();
    });

    it('does not find a child that a request deleted', async () => {
      const { name, text } = await image();
      await remove(name, `manifests/${digestOf(text)}`);
      const response = await client.putManifest(name, 'index', indexOf(text), { 'Content-Type': OCI_INDEX });
      expect(await refusal(response)).toBe('404 MANIFEST_BLOB_UNKNOWN');
    });

    it('protects a child that was pushed after it', async () => {
      const { name, text } = await image();
      const late = text.replace('{', '{ ');
      const index = indexOf(late);
      await query(
        `SELECT put_manifest($1, $2, $3, NULL, NULL, NULL, $4, '{}', ARRAY[$5], true, '{index}', NULL)`,
        [name, digestOf(index), OCI_INDEX, Buffer.from(index), digestOf(late)],
      );
      await push(name, 'late', late);
      const refused = await client.fetch(`/v2/${name}/manifests/${digestOf(late)}`, { method: 'DELETE' });
      expect(refused.status).toBe(405);
      expect(await specErrors(refused)).toMatchObject([
        { code: 'DENIED', detail: { manifest: digestOf(index) } },
      ]);
    });
  });

  it('a repository: everything, under no name', async () => {
    const layer = `only in this repository ${freshName()}`;
    const { name, text } = await image(freshName(), layer);
    const location = await client.startUpload(name);
    expect((await client.patch(location, 'begun ')).status).toBe(202);
    const before = await admin.get<{ counts: object }>('/overview');
    const id = await repositoryId(name);
    const [row] = await query<{ id: string }>(`SELECT delete_repository($1, 'alice', 'a reason') AS id`, [
      name,
    ]);
    expect(
      await query('SELECT repository_id, kind, actor, reason, followed FROM deletions WHERE id = $1', [
        row?.id,
      ]),
    ).toEqual([
      { repository_id: id, kind: 'repository', actor: 'alice', reason: 'a reason', followed: true },
    ]);

    for (const path of [
      'manifests/one',
      `manifests/${digestOf(text)}`,
      `blobs/${digestOf(layer)}`,
      'tags/list',
    ])
      expect([path, await status(name, path)]).toEqual([path, 404]);
    const { repositories } = (await (await client.fetch('/v2/_catalog')).json()) as {
      repositories: string[];
    };
    expect(repositories).not.toContain(name);
    expect(await admin.get(`/repositories?q=${encodeURIComponent(name)}`)).toMatchObject({ items: [] });
    for (const path of ['', '/tags', '/manifests', '/events', `/manifests/${digestOf(text)}`])
      await admin.problem(`/repositories/${name}${path}`, 404);
    const { counts } = await admin.get<{ counts: Record<string, number> }>('/overview');
    const { repositories: n, manifests, tags } = before.counts as Record<string, number>;
    expect(counts).toMatchObject({
      repositories: Number(n) - 1,
      manifests: Number(manifests) - 1,
      tags: Number(tags) - 2,
    });

    for (const from of [`&from=${name}`, '']) {
      const mount = `/v2/${freshName()}/blobs/uploads/?mount=${digestOf(layer)}${from}`;
      expect((await client.fetch(mount, { method: 'POST' })).status).toBe(202);
    }
    expect(await query('SELECT delete_repository($1, NULL) AS id', [name])).toEqual([{ id: null }]);

    // The upload was begun before.
    expect((await client.commit(location, digestOf('begun before'), 'before')).status).toBe(201);
    expect(await status(name, `blobs/${digestOf('begun before')}`)).toBe(200);
    expect(await repositoryId(name)).not.toBe(id);
    await image(name);
    expect((await (await client.fetch(`/v2/${name}/tags/list`)).json()) as object).toEqual({
      name,
      tags: ['one', 'two'],
    });
  });

  it('the same for older replicas', async () => {
    const { name, text } = await image();
    const index = indexOf(text);
    await query(
      `SELECT push_manifest($1, $2, $3, NULL, NULL, NULL, $4, '{}', ARRAY[$5], false, '{}', NULL)`,
      [...[name, digestOf(index), OCI_INDEX, Buffer.from(index), digestOf(text)]],
    );
    const older = (call: string, of: string) =>
      query<{ deleted: boolean | null }>(`SELECT ${call}($1, $2, NULL) AS deleted`, [name, digestOf(of)]);
    await expect(older('remove_manifest', text)).rejects.toThrow(
      `the index ${digestOf(index)} lists the manifest`,
    );
    expect(await older('remove_manifest', index)).toEqual([{ deleted: true }]);
    expect(await older('delete_manifest', text)).toEqual([{ deleted: true }]);
    expect(await older('delete_manifest', text)).toEqual([{ deleted: false }]);
    expect((await rowOf(name, text)).deletion_id).not.toBeNull();
    expect(await query('SELECT remove_manifest($1, $2, NULL) AS deleted', [freshName(), 'a'])).toEqual([
      { deleted: null },
    ]);
  });
});
