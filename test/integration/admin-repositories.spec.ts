import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AdminClient } from '../support/admin-client.js';
import { digestOf, OCI_INDEX, OCI_MANIFEST, RegistryClient } from '../support/registry-client.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';

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
  let berth: TestBerth;
  let client: RegistryClient;
  let admin: AdminClient;
  let image: string;
  let imageDigest: string;

  beforeAll(async () => {
    berth = await startTestBerth();
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
    const names = [
      ...['names/tags', 'names/tags/tags', 'names/tags/app'],
      ...['names/manifests', 'names/manifests/tags', 'names/manifests/latest', 'names/manifests/events'],
      ...['names/events', 'names/events/app', 'names/tags/app/events'],
    ];
    for (const name of names) {
      await client.putManifest(name, 'v1', JSON.stringify(await client.makeImage(name, ['layer'])));
      for (const part of [name, encodeURIComponent(name)]) {
        expect(await admin.get(`/repositories/${part}/tags`)).toMatchObject({ items: [{ name: 'v1' }] });
        const { items } = await admin.get<{ items: Manifest[] }>(`/repositories/${part}/manifests`);
        expect(items).toHaveLength(1);
        const ofTag = { items: [{ tag: 'v1' }] };
        expect(await admin.get(`/repositories/${part}/tags/v1/events`)).toMatchObject(ofTag);
        // `a/tags/b/events` are the events of the tag `b`, so only the encoded name is a repository's.
        if (!/\/tags\/\w+$/.test(part))
          expect(await admin.get(`/repositories/${part}/events`)).toMatchObject(ofTag);
        const digest = items[0]!.digest;
        for (const text of [digest, encodeURIComponent(digest)])
          expect(await admin.get(`/repositories/${part}/manifests/${text}`)).toMatchObject({ digest });
      }
      expect(await admin.get(`/repositories/${encodeURIComponent(name)}`)).toMatchObject({ name, tags: 1 });
    }
    // The end of the path decides: these are no lists of tags or manifests.
    for (const name of ['names/tags/app', 'names/manifests/latest', 'names/events/app'])
      expect(await admin.get(`/repositories/${name}`)).toMatchObject({ name, tags: 1 });
  });

  it.each([
    ['team/app/manifests/latest', '. For a manifest, expected its digest after /manifests/, not a tag'],
    ['team/app/tags/latest', '. For tags, expected …/tags or …/tags/<tag>/events'],
    ['team/app/other', ''],
  ])('says how it read a path that is no endpoint: %s', async (path, hint) => {
    const { detail } = await admin.problem(`/repositories/${path}`, 404);
    expect(detail).toBe(`repository name not known to registry: ${path}${hint}`);
  });

  it("lists a repository's tags", async () => {
    const { items } = await admin.get<{ items: Record<string, unknown>[] }>('/repositories/team%2Fapp/tags');
    expect(items.map(({ name }) => name)).toEqual(['1.0', '1.1', 'latest']);
    expect(items[0]).toMatchObject({
      digest: imageDigest,
      mediaType: OCI_MANIFEST,
      sizeBytes: 9 + 7 + 2,
      manifestSizeBytes: Buffer.byteLength(image),
      artifactType: 'application/vnd.oci.image.config.v1+json',
      platforms: [],
      pushedBy: null,
    });
    expect(items[0]?.['clientAddress']).toMatch(/127\.0\.0\.1$/);
    expect(Math.abs(Date.now() - Date.parse(String(items[0]?.['pushedAt'])))).toBeLessThan(3_600_000);
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

  it('shows platform, size and client of images and of the index that lists them', async () => {
    const name = 'team/platforms';
    const configs = [
      { os: 'linux', architecture: 'amd64' },
      { os: 'linux', architecture: 'arm', variant: 'v7' },
    ];
    const children = [];
    for (const config of configs) {
      const text = JSON.stringify(config);
      const digest = await client.pushBlob(name, text);
      const layers = ['shared', config.architecture];
      const manifest = JSON.stringify({
        ...(await client.makeImage(name, layers)),
        config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: text.length },
      });
      expect((await client.putManifest(name, config.architecture, manifest)).status).toBe(201);
      const size = Buffer.byteLength(manifest);
      children.push({ mediaType: OCI_MANIFEST, digest: digestOf(manifest), size, platform: config });
    }
    const index = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: children });
    const headers = { 'Content-Type': OCI_INDEX };
    expect((await client.putManifest(name, 'all', index, headers)).status).toBe(201);

    const { items } = await admin.get<{ items: object[] }>('/repositories/team%2Fplatforms/tags');
    const sizes = configs.map((config) => JSON.stringify(config).length + config.architecture.length);
    const shared = 'shared'.length;
    const from = { pushedBy: null, clientAddress: expect.stringMatching(/127\.0\.0\.1$/) as unknown };
    const expected = [
      {
        name: 'all',
        platforms: ['linux/amd64', 'linux/arm/v7'],
        sizeBytes: shared + sizes[0]! + sizes[1]!,
        manifestSizeBytes: Buffer.byteLength(index),
        artifactType: null,
        ...from,
      },
      { name: 'amd64', platforms: ['linux/amd64'], sizeBytes: shared + sizes[0]!, ...from },
      { name: 'arm', platforms: ['linux/arm/v7'], sizeBytes: shared + sizes[1]!, ...from },
    ];
    expect(items).toMatchObject(expected);
    const manifest = await admin.get(`/repositories/team%2Fplatforms/manifests/${digestOf(index)}`);
    const { name: _, ...ofIndex } = expected[0]!;
    expect(manifest).toMatchObject(ofIndex);

    const path = `/v2/${name}/manifests/${digestOf(index)}`;
    expect((await client.fetch(path, { method: 'DELETE' })).status).toBe(202);
    const left = await admin.get<{ items: object[] }>('/repositories/team%2Fplatforms/tags');
    expect(left.items).toMatchObject(expected.slice(1));
  });

  describe('sorted', () => {
    const name = 'team/sorted';
    // In the order of names; `b` and `c` have the same size, `c` and `d` the same time.
    const rows = [
      { tag: 'a', layer: 'xxx', second: 4 },
      { tag: 'b', layer: 'xx', second: 1 },
      { tag: 'c', layer: 'yy', second: 3 },
      { tag: 'd', layer: 'x', second: 3 },
    ];
    const tagOf = new Map<string, string>();

    beforeAll(async () => {
      for (const { tag, layer, second } of rows) {
        const manifest = JSON.stringify(await client.makeImage(name, [layer]));
        expect((await client.putManifest(name, tag, manifest)).status).toBe(201);
        tagOf.set(digestOf(manifest), tag);
        // Microseconds, which a Date does not have, must not be lost between two pages.
        const time = `2026-01-01T00:00:00.00000${second}Z`;
        const id = '(SELECT id FROM manifests WHERE digest = $1)';
        const query = (sql: string) => berth.query(sql, [digestOf(manifest), time]);
        await query(`UPDATE manifests SET created_at = $2 WHERE id = ${id}`);
        await query(`UPDATE tags SET updated_at = $2 WHERE manifest_id = ${id}`);
      }
    });

    const digestsOf = (tags: string) =>
      [...tagOf.entries()].filter(([, tag]) => tags.includes(tag)).map(([digest]) => digest);
    /** Of manifests with the same value the one with the lower digest comes first. */
    const ascending = (...groups: string[]) =>
      groups.flatMap((tags) => digestsOf(tags).sort()).map((digest) => tagOf.get(digest)!);

    it.each([
      ['name', ['a', 'b', 'c', 'd']],
      ['pushedAt', ['b', 'c', 'd', 'a']],
      ['size', ['d', 'b', 'c', 'a']],
    ])('tags by %s, and the other way round', async (sort, expected) => {
      for (const limit of [1, 3, 4]) {
        const path = (by: string) => `/repositories/team%2Fsorted/tags?sort=${by}`;
        const names = async (by: string) =>
          (await admin.pages<Named>(path(by), limit)).flat().map(({ name }) => name);
        expect(await names(sort)).toEqual(expected);
        expect(await names(`-${sort}`)).toEqual([...expected].reverse());
      }
    });

    it.each([
      ['digest', () => ascending('abcd')],
      ['pushedAt', () => ascending('b', 'cd', 'a')],
      ['size', () => ascending('d', 'bc', 'a')],
    ])('manifests by %s, and the other way round', async (sort, expected) => {
      for (const limit of [1, 3, 4]) {
        const path = (by: string) => `/repositories/team%2Fsorted/manifests?sort=${by}`;
        const tags = async (by: string) =>
          (await admin.pages<Manifest>(path(by), limit)).flat().map(({ digest }) => tagOf.get(digest));
        expect(await tags(sort)).toEqual(expected());
        expect(await tags(`-${sort}`)).toEqual(expected().reverse());
      }
    });

    it.each(['tags', 'manifests'])(
      '%s: 400 for a cursor of another sort, or an unknown sort',
      async (list) => {
        const path = `/repositories/team%2Fsorted/${list}`;
        const { nextCursor } = await admin.get<{ nextCursor: string }>(`${path}?sort=size&limit=1`);
        await admin.get(`${path}?sort=size&cursor=${nextCursor}`);
        for (const sort of ['-size', 'pushedAt']) {
          const { detail } = await admin.problem(`${path}?sort=${sort}&cursor=${nextCursor}`, 400);
          expect(detail).toContain(
            'cursor: expected the nextCursor of a page of this list, with the same sort',
          );
        }
        await admin.problem(`${path}?cursor=${nextCursor}`, 400);
        expect((await admin.problem(`${path}?sort=bytes`, 400)).detail).toContain('sort: expected one of');
      },
    );
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
    const sparse = await startTestBerth({ MANIFEST_MISSING_REFERENCES: 'accept' });
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
            {
              digest: digestOf(child),
              mediaType: OCI_MANIFEST,
              sizeBytes: 'layer'.length + 2,
              manifestSizeBytes: Buffer.byteLength(child),
            },
          ],
          missing: [missing],
          blobCount: 0,
          manifestCount: 1,
          missingCount: 1,
        },
      });
      // A push repeated when the content is there makes it a reference: also a blob that an index lists.
      await to.pushBlob('a/b', 'never pushed');
      await to.putManifest('a/b', 'all', index, { 'Content-Type': OCI_INDEX });
      expect(await at.get(`/repositories/a%2Fb/manifests/${digestOf(index)}`)).toMatchObject({
        references: { blobs: [{ digest: missing }], blobCount: 1, manifestCount: 1, missing: [] },
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

  it.each(['', '/tags', '/manifests', '/events', '/tags/latest/events'])(
    'repositories/{name}%s: 404 for an unknown repository',
    async (list) => {
      const path = `/repositories/no%2Fsuch${list}`;
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
