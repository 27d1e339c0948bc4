import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { queryRows } from '../../src/database/query-rows.js';
import { digestOf, OCI_INDEX, OCI_MANIFEST, RegistryClient } from '../support/registry-client.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';

const NAME = 'large';
const COUNT = 20_000;

/** `accept`, because the blobs are rows without objects. */
describe('a manifest of 20,000 references', () => {
  let berth: TestBerth;
  let client: RegistryClient;
  const digests = Array.from({ length: COUNT }, (_, index) => digestOf(`blob ${index}`));
  const descriptors = digests.map((digest) => ({ mediaType: 'a/b', digest, size: 1 }));

  const query = <Row>(sql: string, ...parameters: unknown[]) =>
    queryRows<Row>(berth.database.dataSource.manager, sql, parameters);

  beforeAll(async () => {
    berth = await startTestBerth({ MANIFEST_MISSING_REFERENCES: 'accept' });
    client = new RegistryClient(berth.url);
    const image = await client.makeImage(NAME);
    for (const tag of ['v1', 'v2']) expect((await client.putManifest(NAME, tag, image)).status).toBe(201);
    await query(
      `WITH blob AS (
         INSERT INTO blobs (size_bytes, object_key)
         SELECT 1, 'blobs/large-' || digest FROM unnest($1::text[]) AS digest RETURNING id, object_key),
       digest AS (
         INSERT INTO blob_digests (digest, blob_id) SELECT substr(object_key, 13), id FROM blob)
       INSERT INTO repository_blobs (repository_id, blob_id)
       SELECT (SELECT id FROM repositories WHERE name = $2), id FROM blob`,
      digests,
      NAME,
    );
  });
  afterAll(() => berth.dispose());

  it.each([
    ['an image', OCI_MANIFEST, { config: descriptors[0], layers: descriptors.slice(1) }],
    ['an index of blobs', OCI_INDEX, { manifests: descriptors }],
  ])('is stored, deleted and pushed again: %s', async (_, mediaType, fields) => {
    const manifest = JSON.stringify({ schemaVersion: 2, mediaType, ...fields });
    const pushed = await client.putManifest(NAME, 'large', manifest, { 'Content-Type': mediaType });
    expect(pushed.status).toBe(201);
    const references = `SELECT (SELECT count(*)::int FROM manifest_blobs WHERE manifest_id = m.id) AS blobs,
                               (SELECT count(*)::int FROM manifest_missing_references
                                 WHERE manifest_id = m.id) AS missing
                          FROM manifests m WHERE digest = $1`;
    expect(await query(references, digestOf(manifest))).toEqual([{ blobs: COUNT, missing: 0 }]);
    const shown = await client.fetch(`/api/v1/repositories/${NAME}/manifests/${digestOf(manifest)}`);
    const { references: listed } = (await shown.json()) as {
      references: { blobs: unknown[]; blobCount: number };
    };
    expect([listed.blobs.length, listed.blobCount]).toEqual([1_000, COUNT]);
    const path = `/v2/${NAME}/manifests/${digestOf(manifest)}`;
    expect((await client.fetch(path, { method: 'DELETE' })).status).toBe(202);
    expect((await client.fetch(path)).status).toBe(404);
    // A push makes it live again.
    expect(await query(references, digestOf(manifest))).toEqual([{ blobs: COUNT, missing: 0 }]);
    const again = await client.putManifest(NAME, 'large', manifest, { 'Content-Type': mediaType });
    expect(again.status).toBe(201);
    expect((await client.fetch(path)).status).toBe(200);
  });
});
