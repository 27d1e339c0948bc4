import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { digestOf, OCI_INDEX, refusal, RegistryClient, specErrors } from '../support/registry-client.js';
import { freshName } from '../support/fresh-name.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';

describe('a manifest that is pushed before its blobs', () => {
  let berth: TestBerth;
  let client: RegistryClient;
  const layer = digestOf('late');
  const sha512 = digestOf('late', 'sha512');

  beforeAll(async () => {
    berth = await startTestBerth({ MANIFEST_MISSING_REFERENCES: 'accept' });
    client = new RegistryClient(berth.url);
  });
  afterAll(() => berth.dispose());

  const remove = (name: string, path: string) => client.fetch(`/v2/${name}/${path}`, { method: 'DELETE' });

  /** Pushes an image of a layer that the repository lacks. Returns the digest of the image. */
  async function pushSparse(name: string, digest = layer): Promise<string> {
    const image = await client.makeImage(name);
    const manifest = JSON.stringify({ ...image, layers: [{ mediaType: 'a/b', digest, size: 4 }] });
    expect((await client.putManifest(name, 'latest', manifest)).status).toBe(201);
    return digestOf(manifest);
  }

  it.each([
    ['sha256', layer],
    ['sha512', sha512],
  ] as const)('needs those that arrive later, named by %s', async (algorithm, digest) => {
    const name = freshName();
    const manifest = await pushSparse(name, digest);
    await client.pushBlob(name, 'late', algorithm);
    // The blob is deleted by either of its digests.
    for (const path of [`blobs/${layer}`, `blobs/${digest}`]) {
      const refused = await remove(name, path);
      expect(refused.status).toBe(405);
      expect(await specErrors(refused)).toMatchObject([{ code: 'DENIED', detail: { manifest } }]);
    }
    expect((await remove(name, `manifests/${manifest}`)).status).toBe(202);
    expect((await remove(name, `blobs/${layer}`)).status).toBe(202);
  });

  it('needs a blob that its index lists', async () => {
    const name = freshName();
    const manifests = [{ mediaType: 'a/b', digest: layer, size: 4 }];
    const index = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
    await client.putManifest(name, 'cache', index, { 'Content-Type': OCI_INDEX });
    await client.pushBlob(name, 'late');
    expect(await refusal(await remove(name, `blobs/${layer}`))).toBe('405 DENIED');
  });

  it('needs no blob of another repository', async () => {
    const name = freshName();
    await pushSparse(freshName());
    await client.pushBlob(name, 'late');
    expect((await remove(name, `blobs/${layer}`)).status).toBe(202);
  });

  it('keeps a layer that is deleted while it and the manifest are pushed', async () => {
    for (let round = 0; round < 5; round += 1) {
      const name = freshName();
      await pushSparse(name);
      let pushing = true;
      const pushes = Promise.all([client.pushBlob(name, 'late'), pushSparse(name)]).finally(() => {
        pushing = false;
      });
      const deletions = async () => {
        while (pushing) expect([404, 405]).toContain((await remove(name, `blobs/${layer}`)).status);
      };
      await Promise.all([pushes, deletions(), deletions()]);
      const { status } = await client.fetch(`/v2/${name}/blobs/${layer}`, { method: 'HEAD' });
      expect(status).toBe(200);
    }
  });
});
