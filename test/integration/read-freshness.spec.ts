import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { digestOf, refusal, RegistryClient } from '../support/registry-client.js';
import { freshName } from '../support/fresh-name.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';

const LAYER = 'a layer that is small enough to be remembered';

/** One replica makes changes; the other one, in another process, which caches what it served, is read. */
describe('what one replica acknowledged the other one serves', () => {
  let first: RunningBerth;
  let second: TestBerth;
  let writer: RegistryClient;
  let reader: RegistryClient;

  beforeAll(async () => {
    first = await sharedBerth();
    second = await startTestBerth({
      DATABASE_URL: first.databaseUrl,
      STORAGE_FILESYSTEM_ROOT: join(first.dataDir, 'storage'),
    });
    [writer, reader] = [new RegistryClient(first.url), new RegistryClient(second.url)];
  });
  afterAll(() => second.dispose());

  const imageOf = async (name: string, version: number) =>
    JSON.stringify(await writer.makeImage(name, [LAYER], { annotations: { version: String(version) } }));

  const push = async (name: string, reference: string, image: string) => {
    expect((await writer.putManifest(name, reference, image)).status).toBe(201);
  };

  const remove = async (path: string) => {
    expect((await writer.fetch(path, { method: 'DELETE' })).status).toBe(202);
  };

  /** Returns what GET and HEAD, which use different code, both say. */
  const read = async (path: string): Promise<string> => {
    const [got, head] = await Promise.all([reader.fetch(path), reader.fetch(path, { method: 'HEAD' })]);
    expect(head.status).toBe(got.status);
    if (got.status !== 200) return refusal(got);
    expect(head.headers.get('docker-content-digest')).toBe(got.headers.get('docker-content-digest'));
    return got.text();
  };

  const MANIFEST_GONE = '404 MANIFEST_UNKNOWN';
  const BLOB_GONE = '404 BLOB_UNKNOWN';

  /** A repository with an image, whose paths the reader has already served. */
  const begin = async () => {
    const name = freshName();
    const image = await imageOf(name, 1);
    await push(name, 'latest', image);
    const paths = {
      tag: `/v2/${name}/manifests/latest`,
      manifest: `/v2/${name}/manifests/${digestOf(image)}`,
      blob: `/v2/${name}/blobs/${digestOf(LAYER)}`,
    };
    for (const _ of ['loaded', 'remembered']) {
      expect(await read(paths.tag)).toBe(image);
      expect(await read(paths.manifest)).toBe(image);
      expect(await read(paths.blob)).toBe(LAYER);
    }
    return { name, image, paths };
  };

  it('a tag that was moved, and moved back', async () => {
    const { name, image, paths } = await begin();
    const next = await imageOf(name, 2);
    for (const each of [next, image, next]) {
      await push(name, 'latest', each);
      expect(await read(paths.tag)).toBe(each);
    }
    expect(await read(paths.manifest)).toBe(image);
  });

  it('a tag that was deleted, and set again', async () => {
    const { name, image, paths } = await begin();
    await remove(paths.tag);
    expect(await read(paths.tag)).toBe(MANIFEST_GONE);
    expect(await read(paths.manifest)).toBe(image);
    await push(name, 'latest', image);
    expect(await read(paths.tag)).toBe(image);
  });

  it('a manifest that was deleted, and pushed again', async () => {
    const { name, image, paths } = await begin();
    await remove(paths.manifest);
    expect([await read(paths.tag), await read(paths.manifest)]).toEqual([MANIFEST_GONE, MANIFEST_GONE]);
    await push(name, digestOf(image), image);
    expect([await read(paths.tag), await read(paths.manifest)]).toEqual([MANIFEST_GONE, image]);
  });

  it('a blob that was taken out of the repository, and pushed again', async () => {
    const { name, paths } = await begin();
    // A blob that a manifest needs can't be deleted.
    await remove(paths.manifest);
    await remove(paths.blob);
    expect(await read(paths.blob)).toBe(BLOB_GONE);
    const part = await reader.fetch(paths.blob, { headers: { Range: 'bytes=0-3' } });
    expect(await refusal(part)).toBe(BLOB_GONE);
    await writer.pushBlob(name, LAYER);
    expect(await read(paths.blob)).toBe(LAYER);
  });

  it('a blob that was mounted', async () => {
    const { name } = await begin();
    const target = freshName();
    await writer.pushBlob(target, 'so that there is such a repository');
    const path = `/v2/${target}/blobs/${digestOf(LAYER)}`;
    expect(await read(path)).toBe(BLOB_GONE);
    const mount = new URLSearchParams({ mount: digestOf(LAYER), from: name });
    const mounted = await writer.fetch(`/v2/${target}/blobs/uploads/?${mount.toString()}`, {
      method: 'POST',
    });
    expect(mounted.status).toBe(201);
    expect(await read(path)).toBe(LAYER);
    await remove(path);
    expect(await read(path)).toBe(BLOB_GONE);
  });

  it('content cached for one repository is not served in another', async () => {
    const { image } = await begin();
    const [other, unknown] = [freshName(), freshName()];
    await writer.pushBlob(other, 'so that there is such a repository');
    expect(await read(`/v2/${other}/manifests/${digestOf(image)}`)).toBe(MANIFEST_GONE);
    expect(await read(`/v2/${other}/manifests/latest`)).toBe(MANIFEST_GONE);
    expect(await read(`/v2/${other}/blobs/${digestOf(LAYER)}`)).toBe(BLOB_GONE);
    expect(await read(`/v2/${unknown}/manifests/${digestOf(image)}`)).toBe('404 NAME_UNKNOWN');
    expect(await read(`/v2/${unknown}/blobs/${digestOf(LAYER)}`)).toBe(BLOB_GONE);
  });

  it('a tag that moves often: no read sees less than was acknowledged before it', async () => {
    const { name, paths } = await begin();
    const images = await Promise.all(Array.from({ length: 20 }, (_, n) => imageOf(name, n + 1)));
    const versions = new Map(images.map((image, n) => [digestOf(image), n + 1]));
    const reads: { readonly atLeast: number; readonly seen: number }[] = [];
    let acknowledged = 1;

    const readTag = async (method: 'GET' | 'HEAD') => {
      const atLeast = acknowledged;
      const response = await reader.fetch(paths.tag, { method });
      const body = await response.text();
      const digest = String(response.headers.get('docker-content-digest'));
      if (method === 'GET') expect(digestOf(body)).toBe(digest);
      reads.push({ atLeast, seen: versions.get(digest) ?? NaN });
    };
    const move = async () => {
      for (const [n, image] of images.entries()) {
        if (n === 0) continue;
        await push(name, 'latest', image);
        acknowledged = n + 1;
        // The tag always exists, although the manifest that it pointed at is deleted.
        await remove(`/v2/${name}/manifests/${digestOf(String(images[n - 1]))}`);
        await readTag('GET');
      }
    };
    const keepReading = async (method: 'GET' | 'HEAD') => {
      while (acknowledged < images.length) await readTag(method);
    };
    await Promise.all([
      move(),
      ...Array.from({ length: 6 }, (_, n) => keepReading(n % 3 === 0 ? 'HEAD' : 'GET')),
    ]);
    expect(reads.filter(({ atLeast, seen }) => !(seen >= atLeast))).toEqual([]);
  });
});
