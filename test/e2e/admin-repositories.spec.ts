import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AdminClient } from '../support/admin-client.js';
import { digestOf, OCI_INDEX, OCI_MANIFEST, RegistryClient } from '../support/registry-client.js';
import { OwnBerth } from '../support/running-berth.js';

interface Named {
  name: string;
}

interface Manifest {
  digest: string;
  tags: string[];
  tagCount: number;
  subject: string | null;
  artifactType: string | null;
}

describe('admin API: repositories', () => {
  let berth: OwnBerth;
  let client: RegistryClient;
  let admin: AdminClient;
  let image: string;
  let imageDigest: string;

  beforeAll(async () => {
    berth = await OwnBerth.start();
    client = new RegistryClient(berth.url);
    admin = new AdminClient(client);
    image = JSON.stringify(await client.makeImage('team/app', ['layer one', 'layer 2']));
    imageDigest = digestOf(image);
    for (const tag of ['1.0', '1.1', 'latest']) await client.putManifest('team/app', tag, image);
    for (const name of ['team', 'team/app-2', 'team/zeta', 'other/app'])
      await client.pushBlob(name, 'layer one');
  });
  afterAll(() => berth.dispose());

  it('lists repositories with what they hold, in the order of bytes', async () => {
    const page = await admin.get<{ items: Record<string, unknown>[]; nextCursor: null }>('/repositories');
    expect(page.nextCursor).toBeNull();
    expect(page.items.map(({ name }) => name)).toEqual([
      'other/app',
      'team',
      'team/app',
      'team/app-2',
      'team/zeta',
    ]);
    const { createdAt, ...app } = page.items[2]!;
    expect(app).toEqual({ name: 'team/app', tags: 3, manifests: 1, blobs: 3, blobBytes: 9 + 7 + 2 });
    expect(Math.abs(Date.now() - Date.parse(String(createdAt)))).toBeLessThan(3_600_000);
  });

  it('returns pages that neither miss nor repeat a repository', async () => {
    const pages = await admin.pages<Named>('/repositories', 2);
    expect(pages.map((page) => page.map(({ name }) => name))).toEqual([
      ['other/app', 'team'],
      ['team/app', 'team/app-2'],
      ['team/zeta'],
    ]);
    expect(await admin.pages('/repositories', 5)).toHaveLength(1);
  });

  it.each([
    ['team/', ['team/app', 'team/app-2', 'team/zeta']],
    ['team', ['team', 'team/app', 'team/app-2', 'team/zeta']],
    ['team/app', ['team/app', 'team/app-2']],
    ['unknown', []],
    ['', ['other/app', 'team', 'team/app', 'team/app-2', 'team/zeta']],
  ])('filters by the prefix of names: q=%j', async (q, expected) => {
    const pages = await admin.pages<Named>(`/repositories?q=${encodeURIComponent(q)}`, 1);
    expect(pages.flat().map(({ name }) => name)).toEqual(expected);
  });

  it.each(['/repositories/team%2Fapp', '/repositories/team/app'])(
    'returns one repository: %s',
    async (path) => {
      expect(await admin.get(path)).toMatchObject({ name: 'team/app', tags: 3 });
    },
  );

  it('finds repositories whose names look like endpoints, with plain slashes and encoded ones', async () => {
    const names = ['names/tags/tags', 'names/manifests/tags', 'names/tags/app', 'names/manifests/latest'];
    for (const name of names) {
      await client.putManifest(name, 'v1', JSON.stringify(await client.makeImage(name, ['layer'])));
      for (const part of [name, encodeURIComponent(name)]) {
        expect(await admin.get(`/repositories/${part}/tags`)).toMatchObject({ items: [{ name: 'v1' }] });
        const { items } = await admin.get<{ items: Manifest[] }>(`/repositories/${part}/manifests`);
        expect(items).toHaveLength(1);
        const digest = items[0]!.digest;
        for (const text of [digest, encodeURIComponent(digest)])
          expect(await admin.get(`/repositories/${part}/manifests/${text}`)).toMatchObject({ digest });
      }
      expect(await admin.get(`/repositories/${encodeURIComponent(name)}`)).toMatchObject({ name, tags: 1 });
    }
    // The end of the path decides: these are no lists of tags or manifests.
    for (const name of ['names/tags/app', 'names/manifests/latest'])
      expect(await admin.get(`/repositories/${name}`)).toMatchObject({ name, tags: 1 });
  });

  it("says how it read a tag where a manifest's digest is expected", async () => {
    const { detail } = await admin.problem('/repositories/team/app/manifests/latest', 404);
    expect(detail).toContain('team/app/manifests/latest');
  });

  it("lists a repository's tags", async () => {
    const { items } = await admin.get<{ items: Record<string, unknown>[] }>('/repositories/team%2Fapp/tags');
    expect(items.map(({ name }) => name)).toEqual(['1.0', '1.1', 'latest']);
    expect(items[0]).toMatchObject({
      digest: imageDigest,
      mediaType: OCI_MANIFEST,
      sizeBytes: Buffer.byteLength(image),
      updatedBy: null,
    });
    const pages = await admin.pages<Named>('/repositories/team/app/tags', 2);
    expect(pages.map((page) => page.map(({ name }) => name))).toEqual([['1.0', '1.1'], ['latest']]);
    expect(await admin.get('/repositories/team/tags')).toEqual({ items: [], nextCursor: null });
  });

  it('lists manifests with the tags that point at them, and pages through them', async () => {
    const name = 'team/artifacts';
    const subject = { mediaType: OCI_MANIFEST, digest: imageDigest, size: Buffer.byteLength(image) };
    const digests: string[] = [];
    for (let n = 0; n < 5; n++) {
      const artifact = await client.makeImage(name, [], {
        subject,
        artifactType: 'text/x-sbom',
        annotations: { n: `${n}` },
      });
      const text = JSON.stringify(artifact);
      digests.push(digestOf(text));
      expect((await client.putManifest(name, digestOf(text), text)).status).toBe(201);
    }
    await client.putManifest(
      name,
      'one',
      JSON.stringify(
        await client.makeImage(name, [], { subject, artifactType: 'text/x-sbom', annotations: { n: '0' } }),
      ),
    );
    const pages = await admin.pages<Manifest>('/repositories/team%2Fartifacts/manifests', 2);
    expect(pages.map((page) => page.length)).toEqual([2, 2, 1]);
    const manifests = pages.flat();
    expect(manifests.map(({ digest }) => digest)).toEqual([...digests].sort());
    expect(manifests.find(({ digest }) => digest === digests[0])).toMatchObject({
      tags: ['one'],
      tagCount: 1,
      subject: imageDigest,
      artifactType: 'text/x-sbom',
    });
  });

  it('names a bounded number of tags and counts all of them', async () => {
    const tags = Array.from({ length: 25 }, (_, n) => `v${n}`);
    const query = tags.map((tag) => `tag=${tag}`).join('&');
    const other = JSON.stringify(await client.makeImage('team/many', ['x']));
    const path = `/v2/team/many/manifests/${digestOf(other)}?${query}`;
    const headers = { 'Content-Type': OCI_MANIFEST };
    expect((await client.fetch(path, { method: 'PUT', body: other, headers })).status).toBe(201);
    const [listed] = (await admin.get<{ items: Manifest[] }>('/repositories/team%2Fmany/manifests')).items;
    expect(listed?.tags).toEqual([...tags].sort().slice(0, 20));
    expect(listed?.tagCount).toBe(25);
    const one = await admin.get<Manifest>(`/repositories/team%2Fmany/manifests/${digestOf(other)}`);
    expect(one.tags).toEqual([...tags].sort());
  });

  it('shows the references of a manifest: blobs, children, and missing ones', async () => {
    const sparse = await OwnBerth.start({ MANIFEST_MISSING_REFERENCES: 'accept' });
    try {
      const to = new RegistryClient(sparse.url);
      const child = JSON.stringify(await to.makeImage('a/b', ['layer'], { annotations: { key: 'value' } }));
      await to.putManifest('a/b', digestOf(child), child);
      const descriptor = (digest: string) => ({
        mediaType: OCI_MANIFEST,
        digest,
        size: Buffer.byteLength(child),
      });
      const missing = digestOf('never pushed');
      const index = JSON.stringify({
        schemaVersion: 2,
        mediaType: OCI_INDEX,
        manifests: [descriptor(digestOf(child)), descriptor(missing)],
      });
      expect((await to.putManifest('a/b', 'all', index, { 'Content-Type': OCI_INDEX })).status).toBe(201);

      const at = new AdminClient(to);
      expect(await at.get(`/repositories/a%2Fb/manifests/${digestOf(index)}`)).toMatchObject({
        tags: ['all'],
        annotations: null,
        references: {
          blobs: [],
          manifests: [
            { digest: digestOf(child), mediaType: OCI_MANIFEST, sizeBytes: Buffer.byteLength(child) },
          ],
          missing: [missing],
        },
      });
      const blob = (text: string) => ({
        digest: digestOf(text),
        digests: [digestOf(text)],
        sizeBytes: text.length,
        linked: true,
      });
      const details = await at.get<{ references: { blobs: { digest: string }[] } }>(
        `/repositories/a/b/manifests/${digestOf(child)}`,
      );
      expect(details).toMatchObject({
        annotations: { key: 'value' },
        references: { manifests: [], missing: [] },
      });
      const blobs = [blob('layer'), blob('{}')];
      expect(details.references.blobs).toEqual(blobs.sort((a, b) => (a.digest < b.digest ? -1 : 1)));
    } finally {
      await sparse.dispose();
    }
  });

  it.each(['/repositories/no%2Fsuch', '/repositories/no%2Fsuch/tags', '/repositories/no%2Fsuch/manifests'])(
    '%s: 404 for an unknown repository',
    async (path) => {
      const problem = await admin.problem(path, 404);
      expect(problem).toMatchObject({ type: 'about:blank', title: 'Not Found', status: 404 });
      expect(problem.detail).toContain('repository name not known');
      expect(problem.requestId).toMatch(/^[0-9a-f-]{36}$/);
    },
  );

  it('404 for a manifest that the repository does not have', async () => {
    const path = `/repositories/team%2Fapp/manifests/${digestOf('another')}`;
    expect((await admin.problem(path, 404)).detail).toContain('manifest unknown');
    await admin.problem(`/repositories/team/manifests/${imageDigest}`, 404);
  });
});
