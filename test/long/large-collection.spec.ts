import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { ForecastQuery } from '../../src/collection/forecast/forecast.query.js';
import { ListQueries } from '../../src/database/list-queries.js';
import { CollectingDatabase } from '../support/collecting-database.js';
import { tableReads } from '../support/table-reads.js';

/** 1: a million blobs. */
const SCALE = Number(process.env['COLLECTION_SCALE'] ?? 1);
const MANIFESTS = Math.round(200_000 * SCALE);
const REPOSITORIES = Math.round(2_000 * SCALE);
/** Of an index. */
const CHILDREN = Math.round(100_000 * SCALE);

/** Of `createTestDataSource`. */
const POOL_SIZE = 5;

const sha256 = (text: string) => `'sha256:' || encode(sha256((${text})::bytea), 'hex')`;

/** Each manifest has five blobs of its own and one that all of its repository have. */
const SEED = [
  `SET session_replication_role = replica`,
  `INSERT INTO repositories (id, name) SELECT n, 'r' || n FROM generate_series(1, ${REPOSITORIES}) AS n`,
  `INSERT INTO manifests (id, repository_id, digest, media_type, content, size_bytes)
   SELECT n, 1 + n % ${REPOSITORIES}, ${sha256(`'manifest ' || n`)}, 'text/plain',
          convert_to(n::text, 'UTF8'), 1
     FROM generate_series(1, ${MANIFESTS}) AS n`,
  `INSERT INTO blobs (id, size_bytes, object_key)
   SELECT n, 1000, 'blobs/' || n FROM generate_series(1, ${5 * MANIFESTS}) AS n`,
  `INSERT INTO blob_digests (digest, blob_id) SELECT ${sha256('id::text')}, id FROM blobs`,
  `INSERT INTO manifest_blobs (manifest_id, blob_id, repository_id)
   SELECT m.id, 5 * (m.id - 1) + k, m.repository_id FROM manifests AS m, generate_series(1, 5) AS k`,
  // The first manifests' blobs are base layers of their repositories.
  `INSERT INTO manifest_blobs (manifest_id, blob_id, repository_id)
   SELECT id, 5 * repository_id + 1, repository_id FROM manifests ON CONFLICT DO NOTHING`,
  `INSERT INTO repository_blobs (repository_id, blob_id)
   SELECT DISTINCT repository_id, blob_id FROM manifest_blobs`,
  `INSERT INTO tags (repository_id, name, manifest_id)
   SELECT repository_id, 'v' || id, id FROM manifests WHERE id % 10 <> 0`,
  ...['repositories', 'manifests', 'blobs'].map(
    (table) => `SELECT setval(pg_get_serial_sequence('${table}', 'id'), (SELECT max(id) FROM ${table}))`,
  ),
  `VACUUM (ANALYZE)`,
];

describe('a collection of a large registry', () => {
  let database: CollectingDatabase;
  const figures: Record<string, unknown>[] = [];

  beforeAll(async () => {
    database = await CollectingDatabase.create();
    await inSession(SEED);
  });
  afterAll(() => database.dispose());
  afterAll(() => console.table(figures));

  /** Without the time limits of a server. Returns the rows of the last statement. */
  const inSession = async <Row extends pg.QueryResultRow>(statements: readonly string[]) => {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    try {
      let rows: Row[] = [];
      for (const statement of statements) ({ rows } = await client.query<Row>(statement));
      return rows;
    } finally {
      await client.end();
    }
  };
  /** Collects. Returns what it did, and what it read. */
  const collect = async (what: string) => {
    let progress: Record<string, number> = {};
    let seconds = 0;
    const reads = await tableReads(database.dataSource, POOL_SIZE, async () => {
      const startedAt = performance.now();
      progress = await database.collect();
      seconds = (performance.now() - startedAt) / 1_000;
    });
    figures.push({ what, seconds: seconds.toFixed(3), ...reads });
    return { progress, reads, seconds };
  };

  it('looks at each link of an older registry once', async () => {
    const { progress, reads } = await collect('all links are candidates; weekly check');
    expect(progress).toEqual({ neededLinks: expect.any(Number) });
    expect(progress['neededLinks']).toBeGreaterThanOrEqual(5 * MANIFESTS);
    expect(reads.byScan).toBe(0);
  });

  it('reads at most 50 rows when nothing is to be done', async () => {
    await inSession(['VACUUM (ANALYZE)']);
    const { progress, reads } = await collect('nothing to do');
    expect(progress).toEqual({});
    expect(reads.byIndex + reads.byScan).toBeLessThanOrEqual(50);
  });

  it('forecasts what 10 % of the manifests, which have no tag, alone need', async () => {
    const [expected] = await inSession<{ count: number; bytes: number }>([
      `SELECT ${MANIFESTS / 10} AS count, 1000::float8 * count(*) AS bytes
         FROM (SELECT FROM manifest_blobs GROUP BY blob_id HAVING bool_and(manifest_id % 10 = 0)) AS own`,
    ]);
    const startedAt = performance.now();
    const lists = new ListQueries(database.dataSource);
    const { stages } = await new ForecastQuery(lists, database.configuration).measure();
    figures.push({ what: 'forecast', seconds: ((performance.now() - startedAt) / 1_000).toFixed(3) });
    expect(stages.untagged).toEqual({ enabled: false, ...expected });
  });

  it('finds what 1 % of the manifests alone needed by index', async () => {
    await inSession([
      `SELECT soft_delete_manifest(r.name, m.digest, NULL)
         FROM manifests AS m JOIN repositories AS r ON r.id = m.repository_id
        WHERE m.id % 100 = 50`,
    ]);
    const needed = `SELECT r.repository_id, r.blob_id
                      FROM manifest_blobs AS r JOIN live_manifests AS m ON m.id = r.manifest_id`;
    const [expected] = await inSession<Record<string, number>>([
      `SELECT (SELECT count(*)::int FROM (SELECT repository_id, blob_id FROM repository_blobs
                                           EXCEPT ${needed}) AS gone) AS links,
              (SELECT count(*)::int FROM (SELECT id FROM blobs
                                           EXCEPT SELECT blob_id FROM (${needed}) AS n) AS gone) AS blobs`,
    ]);
    const { progress, reads } = await collect('1 % deleted');
    const deleted = MANIFESTS / 100;
    expect(progress).toMatchObject({ manifests: deleted, deletions: deleted, ...expected });
    expect(progress['blobBytes']).toBe(1_000 * Number(progress['blobs']));
    expect(progress['blobs']).toBeGreaterThan(4.9 * deleted);
    expect(reads.byScan).toBe(0);
    expect(reads.byIndex).toBeLessThan(100 * deleted);
  });

  it('deletes a repository with 1 % of the links in batches', async () => {
    await inSession([...[1, 2, 3, 4].map((n) => `SELECT delete_repository('r${n}', NULL, NULL)`)]);
    const { reads } = await collect('4 repositories deleted');
    expect(reads.byScan).toBe(0);
    expect(await database.rows('SELECT FROM repositories WHERE name IS NULL')).toEqual([]);
  });

  it('deletes an index with 100,000 children, and them, in bounded batches', async () => {
    const children = MANIFESTS + 1;
    const index = children + CHILDREN;
    await inSession([
      `INSERT INTO manifests (id, repository_id, digest, media_type, content, size_bytes)
       SELECT n, 10, ${sha256(`'child ' || n`)}, 'text/plain', '', 0
         FROM generate_series(${children}, ${index}) AS n`,
      `INSERT INTO manifest_children (parent_id, child_id)
       SELECT ${index}, n FROM generate_series(${children}, ${index - 1}) AS n`,
      `SELECT soft_delete_manifest('r10', digest, NULL) FROM manifests WHERE id = ${index}`,
    ]);
    const { progress, reads } = await collect('an index of 100,000 children');
    expect(progress).toMatchObject({ followers: CHILDREN, manifests: CHILDREN + 1 });
    expect(reads.byScan).toBe(0);
  });
});
