import { describe, it } from '@jest/globals';
import { expectResponse } from '../../support/query-plans/expect-response.js';
import type { PlannedRegistry } from '../../support/query-plans/planned-registry.js';
import { BIG_REPOSITORY as BIG } from '../../support/query-plans/seed-statements.js';
import { digestOf, OCI_INDEX, OCI_MANIFEST } from '../../support/registry-client.js';

/**
 * More than file systems stack. For thousands the planner reads whole tables, where these are small enough
 * for that to be the cheaper way.
 */
const LAYERS = 100;
const CHILDREN = 50;
const TAGS = 20;

const descriptorOf = (digest: string) => ({ mediaType: 'application/x.layer', digest, size: 1 });
const times = <T>(count: number, make: (n: number) => T) => Array.from({ length: count }, (_, n) => make(n));

export function describeManifestPushes(registry: PlannedRegistry): void {
  describePushes(registry);
  describeDeletions(registry);
}

function describePushes(registry: PlannedRegistry): void {
  /** Of blobs that the repository links: of those first that many others link too. */
  const image = async (name: string, layers: number, further: object = {}) => {
    const [config, ...others] = (await registry.blobsOf(name, layers + 1)).map(descriptorOf);
    return { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: others, ...further };
  };
  const index = (children: number) => ({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: times(children, (n) => descriptorOf(digestOf(`manifest ${5000 + n}`))),
  });
  const put = (name: string, reference: string, manifest: { mediaType: string }, status = 201) =>
    expectResponse(
      registry.client.putManifest(name, reference, manifest, { 'Content-Type': manifest.mediaType }),
      status,
    );
  const cost = (items: number, work: () => Promise<unknown>) => registry.expectCost(items, work);

  describe('pushes of manifests', () => {
    it('an image', async () => {
      const manifest = await image(BIG, 4);
      await cost(5, () => put(BIG, 'pushed', manifest));
    });
    it('an image that is there, by a tag that moves', async () => {
      const manifest = await image(BIG, 4);
      await cost(5, () => put(BIG, 'build-9', manifest));
    });
    it('an image of many layers', async () => {
      const manifest = await image(BIG, LAYERS);
      await cost(LAYERS, () => put(BIG, 'pushed', manifest));
    });
    it('an image in a small repository', async () => {
      const manifest = await image(registry.smallRepository, LAYERS);
      await cost(manifest.layers.length, () => put(registry.smallRepository, 'pushed', manifest));
    });
    it('the first image of a repository', async () => {
      await registry.client.pushBlob('brand/new', 'a config');
      const manifest = await image('brand/new', 0);
      await cost(1, () => put('brand/new', 'pushed', manifest));
    });
    it('a signature', async () => {
      const subject = { mediaType: OCI_MANIFEST, digest: registry.subject, size: 300 };
      const manifest = await image(BIG, 0, { subject, artifactType: 'application/x.signature' });
      await cost(1, () => put(BIG, 'pushed', manifest));
    });
    // Its size is the sum over the blobs of its children.
    it('an index', () => cost(CHILDREN + 6 * CHILDREN, () => put(BIG, 'pushed', index(CHILDREN))));
    it('an index of blobs', async () => {
      const manifests = (await registry.blobsOf(BIG, CHILDREN)).map(descriptorOf);
      const cache = { schemaVersion: 2, mediaType: OCI_INDEX, manifests };
      await cost(CHILDREN, () => put(BIG, 'pushed', cache));
    });
    it('an image with further tags', async () => {
      const manifest = await image(BIG, 2);
      const digest = digestOf(JSON.stringify(manifest));
      const query = times(TAGS, (n) => `tag=build-${n}`).join('&');
      await cost(TAGS, () => put(BIG, `${digest}?${query}`, manifest));
    });
    it('an image whose layers are not there', async () => {
      const manifest = await image(BIG, 1, { layers: [descriptorOf(digestOf('not there'))] });
      await cost(2, () => put(BIG, 'refused', manifest, 404));
    });
  });
}

function describeDeletions(registry: PlannedRegistry): void {
  const deletes = (what: string, items: number, reference: () => string, status = 202) =>
    it(what, () => {
      const path = `/v2/${BIG}/manifests/${reference()}`;
      return registry.expectCost(items, () =>
        expectResponse(registry.client.fetch(path, { method: 'DELETE' }), status),
      );
    });
  const seeded = (n: number) => () => digestOf(`manifest ${n}`);

  describe('deletions of manifests', () => {
    // A row of `deletions` has six index entries.
    deletes('a tag', 2, () => 'build-11');
    deletes('a tag that is not there', 1, () => 'nothing', 404);
    deletes('an image with two tags', 6, seeded(6010));
    deletes('an index', 3, seeded(6022));
    deletes('what an index lists, which is refused', 1, seeded(6063), 405);
    deletes('what has many referrers and a thousand tags', 1_006, () => registry.subject);
    deletes('a referrer', 6, seeded(500));
    deletes('what is not there', 1, () => digestOf('not there'), 404);
  });
}
