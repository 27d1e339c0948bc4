import { beforeAll, describe, expect, it } from '@jest/globals';
import {
  digestOf,
  OCI_INDEX,
  OCI_MANIFEST,
  refusal,
  RegistryClient,
  specErrors,
} from '../support/registry-client.js';
import { freshName } from '../support/fresh-name.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';

const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
const CONFIG = 'application/vnd.oci.image.config.v1+json';

describe('references of manifests', () => {
  let berth: RunningBerth;
  let client: RegistryClient;
  let name: string;
  let image: Awaited<ReturnType<RegistryClient['makeImage']>>;

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
    name = freshName('manifests');
    image = await client.makeImage(name, ['one', 'two']);
  });

  const path = (reference: string) => `/v2/${name}/manifests/${reference}`;
  const pull = (reference: string, headers: Record<string, string> = {}, method = 'GET') =>
    client.fetch(path(reference), { method, headers });
  const push = (reference: string, manifest: unknown, type?: string) =>
    client.putManifest(name, reference, manifest, type === undefined ? {} : { 'Content-Type': type });
  const missing = (text: string, mediaType = 'application/vnd.oci.image.layer.v1.tar') => {
    return { mediaType, digest: digestOf(text), size: text.length };
  };

  it('23. each missing config and layer is named', async () => {
    const [config, first, second] = [missing('no config', CONFIG), missing('no layer'), missing('nor this')];
    const manifest = { ...image, config, layers: [...image.layers, first, second, first] };
    const errors = await specErrors(await push('missing', manifest, OCI_MANIFEST));
    expect(errors.map(({ code }) => code)).toEqual(Array.from({ length: 3 }, () => 'MANIFEST_BLOB_UNKNOWN'));
    const named = errors.map(({ detail }) => (detail as { digest: string }).digest);
    const expected = [config, first, second].map(({ digest }) => digest);
    expect(named).toEqual(expected);
    // Some clients print the first message only.
    expect(errors[0]?.message).toBe(`the repository does not have ${expected.join(', ')}: push them first`);
    expect(await refusal(await pull('missing'))).toBe('404 MANIFEST_UNKNOWN');
  });

  it('23. a missing child is named', async () => {
    const manifests = [missing('no child', OCI_MANIFEST)];
    const response = await push('no-child', { schemaVersion: 2, mediaType: OCI_INDEX, manifests }, OCI_INDEX);
    expect(response.status).toBe(404);
    expect(await specErrors(response)).toEqual([
      {
        code: 'MANIFEST_BLOB_UNKNOWN',
        message: `the repository does not have ${digestOf('no child')}: push it first`,
        detail: { digest: digestOf('no child') },
      },
    ]);
  });

  it.each([
    ['an index', OCI_INDEX],
    ["Docker's list", DOCKER_LIST],
  ])('23. children of %s may be blobs, as in caches of BuildKit', async (_, mediaType) => {
    const repository = freshName('cache');
    const layer = { ...missing('a cached layer'), annotations: { 'buildkit/createdat': '2021-07-02' } };
    const cacheConfig = missing('{"layers":[]}', 'application/vnd.buildkit.cacheconfig.v0');
    const cache = { schemaVersion: 2, mediaType, manifests: [layer, cacheConfig] };
    const pushCache = () => client.putManifest(repository, 'cache', cache, { 'Content-Type': mediaType });
    await client.pushBlob(repository, 'a cached layer');
    const refused = await pushCache();
    expect(refused.status).toBe(404);
    expect(await specErrors(refused)).toEqual([
      {
        code: 'MANIFEST_BLOB_UNKNOWN',
        message: `the repository does not have ${cacheConfig.digest}: push it first`,
        detail: { digest: cacheConfig.digest },
      },
    ]);
    await client.pushBlob(repository, '{"layers":[]}');
    expect((await pushCache()).status).toBe(201);
    const pulled = await client.fetch(`/v2/${repository}/manifests/cache`);
    expect([pulled.headers.get('content-type'), await pulled.json()]).toEqual([mediaType, cache]);
    const blob = `/v2/${repository}/blobs/${layer.digest}`;
    expect(await refusal(await client.fetch(blob, { method: 'DELETE' }))).toBe('405 DENIED');
    await client.fetch(`/v2/${repository}/manifests/${digestOf(JSON.stringify(cache))}`, {
      method: 'DELETE',
    });
    expect((await client.fetch(blob, { method: 'DELETE' })).status).toBe(202);
  });

  it('23. an index may list blobs, images and indexes, and have a subject', async () => {
    const repository = freshName('mixed');
    const inner = JSON.stringify(await client.makeImage(repository));
    const nested = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] });
    await client.putManifest(repository, digestOf(inner), inner);
    await client.putManifest(repository, digestOf(nested), nested, { 'Content-Type': OCI_INDEX });
    const index = {
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      manifests: [missing('layer'), missing(inner, OCI_MANIFEST), missing(nested, OCI_INDEX)],
      subject: missing(inner, OCI_MANIFEST),
    };
    const response = await client.putManifest(repository, 'mixed', index, { 'Content-Type': OCI_INDEX });
    expect([response.status, response.headers.get('oci-subject')]).toEqual([201, digestOf(inner)]);
  });

  it('23. a child that is a manifest and a blob is the manifest', async () => {
    const repository = freshName('both');
    const child = JSON.stringify(await client.makeImage(repository));
    await client.pushBlob(repository, child);
    await client.putManifest(repository, digestOf(child), child);
    const manifests = [missing(child, OCI_MANIFEST)];
    const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests };
    const pushed = await client.putManifest(repository, 'both', index, { 'Content-Type': OCI_INDEX });
    expect(pushed.status).toBe(201);
    const blob = `/v2/${repository}/blobs/${digestOf(child)}`;
    expect((await client.fetch(blob, { method: 'DELETE' })).status).toBe(202);
    expect((await client.fetch(`/v2/${repository}/manifests/${digestOf(child)}`)).status).toBe(200);
  });

  it('23. content of another repository is missing here', async () => {
    const other = freshName('other');
    const response = await client.putManifest(other, 'latest', image);
    expect(await refusal(response)).toBe('404 MANIFEST_BLOB_UNKNOWN');
    // The repository was not created either.
    expect(await refusal(await client.fetch(`/v2/${other}/tags/list`))).toBe('404 NAME_UNKNOWN');
  });

  it('23. a layer deleted from the repository is missing', async () => {
    const repository = freshName('deleted');
    const manifest = await client.makeImage(repository, ['soon gone']);
    await client.fetch(`/v2/${repository}/blobs/${digestOf('soon gone')}`, { method: 'DELETE' });
    const response = await client.putManifest(repository, 'latest', manifest);
    expect(await refusal(response)).toBe('404 MANIFEST_BLOB_UNKNOWN');
  });

  it('23. layers pushed as sha512 are found under both digests', async () => {
    const repository = freshName('sha512');
    const sha512 = await client.pushBlob(repository, 'in two algorithms', 'sha512');
    const manifest = await client.makeImage(repository);
    for (const digest of [sha512, digestOf('in two algorithms')]) {
      const layers = [{ ...missing('in two algorithms'), digest }];
      expect((await client.putManifest(repository, 'latest', { ...manifest, layers })).status).toBe(201);
    }
  });

  it('23. a missing subject is accepted; 24. OCI-Subject names it', async () => {
    const subject = missing('not pushed yet', OCI_MANIFEST);
    const onImage = await push('with-subject', { ...image, subject }, OCI_MANIFEST);
    expect([onImage.status, onImage.headers.get('oci-subject')]).toEqual([201, subject.digest]);
  });

  it('24. an index may have a subject too', async () => {
    const subject = missing('nor this', OCI_MANIFEST);
    const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [], subject };
    const response = await push('index-with-subject', index, OCI_INDEX);
    expect([response.status, response.headers.get('oci-subject')]).toEqual([201, subject.digest]);
  });

  it('24. without a subject there is no OCI-Subject', async () => {
    expect((await push('no-subject', image, OCI_MANIFEST)).headers.has('oci-subject')).toBe(false);
  });
});
