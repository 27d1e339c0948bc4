import { beforeAll, describe, expect, it } from '@jest/globals';
import { digestOf, OCI_INDEX, OCI_MANIFEST, refusal, RegistryClient } from '../support/registry-client.js';
import { freshName } from '../support/fresh-name.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Record<string, string>;
}

describe('referrers', () => {
  let berth: RunningBerth;
  let client: RegistryClient;
  let name: string;
  let image: Awaited<ReturnType<RegistryClient['makeImage']>>;
  let counter = 0;

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
    name = freshName('referrers');
    image = await client.makeImage(name);
  });

  /** A subject that no other test refers to. It does not have to be pushed. */
  const freshSubject = () => {
    const text = `subject ${(counter += 1)}`;
    return { mediaType: OCI_MANIFEST, digest: digestOf(text), size: text.length };
  };

  /** Pushes a manifest and returns the descriptor that the list should have. */
  async function push(
    manifest: object,
    expected: Partial<Descriptor>,
    type = OCI_MANIFEST,
  ): Promise<Descriptor> {
    const text = JSON.stringify(manifest);
    const digest = digestOf(text);
    const response = await client.putManifest(name, digest, text, { 'Content-Type': type });
    expect(response.status).toBe(201);
    return { mediaType: type, digest, size: Buffer.byteLength(text), ...expected };
  }

  async function list(subject: { digest: string }, query = '', repository = name) {
    const response = await client.fetch(`/v2/${repository}/referrers/${subject.digest}${query}`);
    expect([response.status, response.headers.get('content-type')]).toEqual([200, OCI_INDEX]);
    const { manifests, ...rest } = (await response.json()) as { manifests: Descriptor[] };
    expect(rest).toEqual({ schemaVersion: 2, mediaType: OCI_INDEX });
    return { manifests, headers: response.headers };
  }

  const inOrder = (descriptors: Descriptor[]) =>
    [...descriptors].sort((a, b) => (a.digest < b.digest ? -1 : 1));

  it('29. an unknown subject, and an unknown repository, have the empty index', async () => {
    expect((await list(freshSubject())).manifests).toEqual([]);
    expect((await list(freshSubject(), '', freshName('unknown'))).manifests).toEqual([]);
  });

  it('29. images and indexes, with their annotations and artifact types', async () => {
    const subject = freshSubject();
    const annotations = { 'org.example.a': 'b', ä: '€ 😀', '': 'empty key', ['__proto__']: '\u2028"\\' };
    const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [], subject };
    const expected = [
      await push(
        { ...image, subject, artifactType: 'application/x.one', annotations },
        { artifactType: 'application/x.one', annotations },
      ),
      // Without an artifact type, an image has its config's media type…
      await push({ ...image, subject }, { artifactType: image.config.mediaType }),
      await push({ ...image, subject, artifactType: '' }, { artifactType: image.config.mediaType }),
      // … and an index has none.
      await push(index, {}, OCI_INDEX),
      await push(
        { ...index, artifactType: 'application/x.index', annotations },
        { artifactType: 'application/x.index', annotations },
        OCI_INDEX,
      ),
    ];
    await push({ ...image, subject: freshSubject(), other: true }, {});
    const { manifests, headers } = await list(subject);
    expect(manifests).toEqual(inOrder(expected));
    expect(headers.has('oci-filters-applied')).toBe(false);
  });

  it('29. a subject of sha512', async () => {
    const subject = { mediaType: OCI_MANIFEST, digest: digestOf('sha512', 'sha512'), size: 6 };
    const referrer = await push({ ...image, subject }, { artifactType: image.config.mediaType });
    expect((await list(subject)).manifests).toEqual([referrer]);
  });

  it('29. artifactType filters, and OCI-Filters-Applied names it', async () => {
    const subject = freshSubject();
    const type = 'application/vnd.example+json';
    const wanted = await push({ ...image, subject, artifactType: type }, { artifactType: type });
    const byConfig = await push({ ...image, subject }, { artifactType: image.config.mediaType });
    await push({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [], subject }, {}, OCI_INDEX);
    for (const [artifactType, expected] of [
      [type, [wanted]],
      [image.config.mediaType, [byConfig]],
      ['application/vnd.none', []],
    ] as const) {
      const { manifests, headers } = await list(subject, `?artifactType=${encodeURIComponent(artifactType)}`);
      expect(manifests).toEqual(expected);
      expect(headers.get('oci-filters-applied')).toBe('artifactType');
    }
  });

  it.each(['application/vnd.a+json', 'application/vnd.a%2Bjson', 'application/vnd.a%20json'])(
    '29. artifactType=%s is a media type with a plus',
    async (value) => {
      const subject = freshSubject();
      const artifactType = 'application/vnd.a+json';
      const wanted = await push({ ...image, subject, artifactType }, { artifactType });
      await push({ ...image, subject }, {});
      const { manifests, headers } = await list(subject, `?artifactType=${value}`);
      expect(manifests).toEqual([wanted]);
      expect(headers.get('oci-filters-applied')).toBe('artifactType');
    },
  );

  it('29. artifactType and n without a value count as absent', async () => {
    const subject = freshSubject();
    const referrer = await push({ ...image, subject }, { artifactType: image.config.mediaType });
    const { manifests, headers } = await list(subject, '?artifactType=&n=');
    expect(manifests).toEqual([referrer]);
    expect(headers.has('oci-filters-applied')).toBe(false);
  });

  it('29. a referrer is listed in its own repository alone', async () => {
    const subject = freshSubject();
    await push({ ...image, subject }, {});
    expect((await list(subject, '', freshName('other'))).manifests).toEqual([]);
  });

  it('29. a deleted referrer is gone from the list; a deleted subject keeps its list', async () => {
    const text = JSON.stringify({ ...image, deleted: 'subject' });
    const subject = { mediaType: OCI_MANIFEST, digest: digestOf(text), size: text.length };
    await client.putManifest(name, subject.digest, text);
    const referrer = await push({ ...image, subject }, { artifactType: image.config.mediaType });
    await client.fetch(`/v2/${name}/manifests/${subject.digest}`, { method: 'DELETE' });
    expect((await list(subject)).manifests).toEqual([referrer]);
    await client.fetch(`/v2/${name}/manifests/${referrer.digest}`, { method: 'DELETE' });
    expect((await list(subject)).manifests).toEqual([]);
  });

  it('29. pages by Link, the filter kept', async () => {
    const subject = freshSubject();
    const artifactType = 'application/x+y';
    const all: Descriptor[] = [];
    for (let page = 0; page < 5; page += 1) {
      all.push(await push({ ...image, subject, page, artifactType }, { artifactType }));
    }
    await push({ ...image, subject, artifactType: 'application/x.other' }, {});
    const seen: Descriptor[] = [];
    const counts: number[] = [];
    let query: string | undefined = `?n=2&artifactType=${encodeURIComponent(artifactType)}`;
    while (query !== undefined) {
      const { manifests, headers }: Awaited<ReturnType<typeof list>> = await list(subject, query);
      expect(headers.get('oci-filters-applied')).toBe('artifactType');
      seen.push(...manifests);
      counts.push(manifests.length);
      const link = headers.get('link');
      query = link === null ? undefined : /^<[^?]+(\?[^>]+)>; rel="next"$/.exec(link)?.[1];
    }
    expect(counts).toEqual([2, 2, 1]);
    expect(seen).toEqual(inOrder(all));
  });

  it('29. annotations of more than a page of bytes make more pages, with every descriptor once', async () => {
    const subject = freshSubject();
    const all: Descriptor[] = [];
    const artifactType = image.config.mediaType;
    for (let page = 0; page < 3; page += 1) {
      const annotations = { large: `${page}`.repeat(2_000_000) };
      all.push(await push({ ...image, subject, annotations }, { artifactType, annotations }));
    }
    const seen: string[] = [];
    let pages = 0;
    let path: string | undefined = `/v2/${name}/referrers/${subject.digest}`;
    while (path !== undefined) {
      const response: Response = await client.fetch(path);
      const { manifests } = (await response.json()) as { manifests: Descriptor[] };
      seen.push(...manifests.map(({ digest }) => digest));
      for (const { annotations } of manifests) expect(annotations?.['large']?.length).toBe(2_000_000);
      pages += 1;
      path = /^<([^>]+)>; rel="next"$/.exec(response.headers.get('link') ?? '')?.[1];
    }
    expect(pages).toBeGreaterThan(1);
    expect(seen).toEqual(inOrder(all).map(({ digest }) => digest));
  });

  it.each(['sha256:short', 'latest', 'md5:d41d8cd98f00b204e9800998ecf8427e', 'sha256:%00'])(
    '29. the malformed digest %s is a 400',
    async (digest) => {
      expect(await refusal(await client.fetch(`/v2/${name}/referrers/${digest}`))).toBe('400 DIGEST_INVALID');
    },
  );
});
