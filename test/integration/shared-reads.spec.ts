import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BlobStore } from '../../src/blobs/blob.store.js';
import { BATCH_LIMITS } from '../../src/database/batch-loader.js';
import { queryRows } from '../../src/database/query-rows.js';
import { ManifestReader } from '../../src/manifests/manifest.reader.js';
import { type Digest, parseDigest } from '../../src/oci/digest.js';
import { parseReference } from '../../src/oci/reference.js';
import { parseRepositoryName } from '../../src/oci/repository-name.js';
import { InvalidObjectKeyError } from '../../src/storage/storage.errors.js';
import { Configuration } from '../../src/config/configuration.js';
import { interposedQueries } from '../support/interposed-queries.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { freshName } from '../support/fresh-name.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';

/** Where the same tags mean different manifests, and the same digests are in some and not in others. */
const REPOSITORIES = Array.from({ length: 4 }, () => freshName());
const EMPTY = freshName('nothing-in-it');
const TAGS = ['latest', 'v1', 'v2', 'Latest', 'missing'];
const BLOBS = ['one', 'two', 'three', 'four'];

/** Enough keys for more than one query. */
const MISSING = Array.from({ length: 100 }, (_, n) => digestOf(`never pushed: ${n}`));
const READS = { minLength: 1, maxLength: 1500 };

describe('reads that share a query', () => {
  let berth: TestBerth;
  /** `repository reference` → digest, and `repository digest` → size, of pushed content. */
  const manifests = new Map<string, string>();
  const blobs = new Map<string, number>();

  beforeAll(async () => {
    berth = await startTestBerth();
    const client = new RegistryClient(berth.url);
    for (const [index, name] of REPOSITORIES.entries()) {
      for (const [n, tag] of TAGS.slice(0, -1).entries()) {
        if ((index + n) % 3 === 2) continue;
        // Some are in two repositories.
        const version = `${tag} of ${index % 3}`;
        const image = JSON.stringify(await client.makeImage(name, [], { annotations: { version } }));
        expect((await client.putManifest(name, tag, image)).status).toBe(201);
        manifests.set(`${name} ${tag}`, digestOf(image));
        manifests.set(`${name} ${digestOf(image)}`, digestOf(image));
      }
      for (const [n, text] of BLOBS.entries()) {
        if ((index + n) % 3 === 0) continue;
        blobs.set(`${name} ${await client.pushBlob(name, text)}`, text.length);
        if (n % 2 === 0) blobs.set(`${name} ${await client.pushBlob(name, text, 'sha512')}`, text.length);
      }
    }
  });
  afterAll(() => berth.dispose());

  /** Many requests, most of them repeated, for existing and missing content. */
  const requestsFor = (references: readonly string[]) => {
    const repository = fc.constantFrom(...REPOSITORIES, EMPTY, freshName('unknown'));
    return fc.array(fc.tuple(repository, fc.constantFrom(...references)), READS);
  };

  /** Each query contains the maximum number of reads. */
  const queriesFor = (plan: readonly unknown[]) => Math.ceil(plan.length / BATCH_LIMITS.maxBatchSize);

  it('each get their own manifest’s head', async () => {
    const digests = [...new Set(manifests.values()), ...MISSING];
    await fc.assert(
      fc.asyncProperty(requestsFor([...TAGS, ...digests]), async (plan) => {
        const { dataSource, sent } = interposedQueries(berth.database.dataSource);
        const reader = new ManifestReader(dataSource);
        const heads = await Promise.all(
          plan.map(([name, text]) => reader.head(parseRepositoryName(name), parseReference(text))),
        );
        expect(heads.map((head) => head?.digest)).toEqual(
          plan.map(([name, text]) => manifests.get(`${name} ${text}`)),
        );
        const isDigest = ([, text]: readonly string[]) => text?.startsWith('sha256:') === true;
        const byTag = plan.filter((wish) => !isDigest(wish));
        expect(sent).toHaveLength(queriesFor(byTag) + queriesFor(plan.filter(isDigest)));
      }),
      { numRuns: 40 },
    );
  });

  it('each get their own manifest, with its bytes', async () => {
    const reader = new ManifestReader(berth.database.dataSource);
    const plan = [...manifests.keys(), ...manifests.keys()].map((each) => each.split(' '));
    const read = await Promise.all(
      plan.map(([name = '', text = '']) => reader.get(parseRepositoryName(name), parseReference(text))),
    );
    expect(read.map((manifest) => manifest && digestOf(manifest.content))).toEqual(
      plan.map((each) => manifests.get(each.join(' '))),
    );
  });

  it('each get their own blob', async () => {
    const pushed = BLOBS.flatMap((text) => [digestOf(text), digestOf(text, 'sha512')]);
    await fc.assert(
      fc.asyncProperty(requestsFor([...pushed, ...MISSING]), async (plan) => {
        const { dataSource, sent } = interposedQueries(berth.database.dataSource);
        const store = new BlobStore(dataSource, new Configuration());
        const found = await Promise.all(
          plan.map(([name, text]) => store.findLinked(parseRepositoryName(name), parseDigest(text))),
        );
        expect(found.map((blob) => blob?.sizeBytes)).toEqual(
          plan.map(([name, text]) => blobs.get(`${name} ${text}`)),
        );
        expect(sent).toHaveLength(queriesFor(plan));
      }),
      { numRuns: 40 },
    );
  });

  it('fail only for the row that cannot be parsed', async () => {
    const { manager } = berth.database.dataSource;
    const bad: Digest = parseDigest(digestOf('its row was damaged'));
    const [name = '', other = ''] = REPOSITORIES;
    await queryRows(
      manager,
      `WITH b AS (INSERT INTO blobs (size_bytes, object_key) VALUES (1, '../outside') RETURNING id),
            d AS (INSERT INTO blob_digests (digest, blob_id) SELECT $1, id FROM b)
       INSERT INTO repository_blobs (repository_id, blob_id)
       SELECT r.id, b.id FROM b, repositories r WHERE r.name = $2`,
      [bad, name],
    );
    const { dataSource, sent } = interposedQueries(berth.database.dataSource);
    const store = new BlobStore(dataSource, new Configuration());
    const good = [...blobs].map(([each]) => each.split(' '));
    const wanted = [[name, bad], ...good, [other, bad], [name, bad]];
    const found = await Promise.allSettled(
      wanted.map(([each = '', digest = '']) =>
        store.findLinked(parseRepositoryName(each), parseDigest(digest)),
      ),
    );
    const failed = { status: 'rejected', reason: expect.any(InvalidObjectKeyError) };
    expect(found).toEqual([
      failed,
      ...[...blobs.values()].map((sizeBytes) => ({
        status: 'fulfilled',
        value: expect.objectContaining({ sizeBytes }),
      })),
      { status: 'fulfilled', value: undefined },
      failed,
    ]);
    expect(sent).toHaveLength(1);
  });
});
