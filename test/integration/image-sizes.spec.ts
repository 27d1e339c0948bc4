import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { queryRows } from '../../src/database/query-rows.js';
import { createTestDataSource, type TestDataSource } from '../support/test-data-source.js';

/**
 * ```
 *   outer (4) ──► inner (3) ──► one (1): blobs 1, 10
 *        │             └──────► two (2): blobs 1, 100
 *        └──────────► one
 * ```
 */
describe('the size of an image', () => {
  let test: TestDataSource;
  const query = <Row>(sql: string, parameters: unknown[] = []) =>
    queryRows<Row>(test.dataSource.manager, sql, parameters);

  beforeAll(async () => {
    test = await createTestDataSource();
  });
  afterAll(() => test.dispose());

  beforeEach(async () => {
    await query('TRUNCATE repositories, blobs CASCADE');
    await query(`INSERT INTO repositories (id, name) VALUES (1, 'a')`);
    await query(`INSERT INTO blobs (id, size_bytes, object_key) SELECT n, n, 'object ' || n
                   FROM unnest(ARRAY[1, 10, 100, 1000]) AS n`);
    await query('INSERT INTO repository_blobs (repository_id, blob_id) SELECT 1, id FROM blobs');
    await query(`INSERT INTO manifests (id, repository_id, digest, media_type, content, size_bytes)
                 SELECT n, 1, 'digest ' || n, 'm', '', 0 FROM generate_series(1, 5) AS n`);
    await query(`INSERT INTO tags (repository_id, name, manifest_id)
                 SELECT 1, 'tag ' || id, id FROM manifests`);
    await query(`INSERT INTO manifest_blobs (manifest_id, blob_id, repository_id)
                 VALUES (1, 1, 1), (1, 10, 1), (2, 1, 1), (2, 100, 1)`);
    await query('INSERT INTO manifest_children (parent_id, child_id) VALUES (3, 1), (3, 2)');
    await query('INSERT INTO manifest_children (parent_id, child_id) VALUES (4, 3), (4, 1)');
  });

  /** Of the manifests 1 to 5, and of their tags, which must be the same. */
  const sizes = async () => {
    const rows = await query<{ image: string; tag: string }>(
      `SELECT m.image_size_bytes AS image, t.image_size_bytes AS tag
         FROM manifests m JOIN tags t ON t.manifest_id = m.id ORDER BY m.id`,
    );
    expect(rows.map(({ tag }) => tag)).toEqual(rows.map(({ image }) => image));
    return rows.map(({ image }) => Number(image));
  };

  it('is that of its blobs, and of all manifests below an index, where each blob counts once', async () => {
    expect(await sizes()).toEqual([11, 101, 111, 111, 0]);
  });

  it('counts blobs of the index itself', async () => {
    await query('INSERT INTO manifest_blobs (manifest_id, blob_id, repository_id) VALUES (3, 1000, 1)');
    expect(await sizes()).toEqual([11, 101, 1111, 1111, 0]);
  });

  it('follows references that are added to a manifest below', async () => {
    await query('INSERT INTO manifest_blobs (manifest_id, blob_id, repository_id) VALUES (2, 1000, 1)');
    await query('INSERT INTO manifest_children (parent_id, child_id) VALUES (5, 2)');
    expect(await sizes()).toEqual([11, 1101, 1111, 1111, 1101]);
  });

  it('follows the deletion of a manifest below', async () => {
    await query('DELETE FROM manifests WHERE id = 2');
    expect(await sizes()).toEqual([11, 11, 11, 0]);
  });

  it('follows a tag that moves', async () => {
    await query(`UPDATE tags SET manifest_id = 5 WHERE name = 'tag 4'`);
    const sql = `SELECT image_size_bytes AS size FROM tags WHERE name = 'tag 4'`;
    expect(await query(sql)).toEqual([{ size: '0' }]);
    await query(`INSERT INTO tags (repository_id, name, manifest_id) VALUES (1, 'new', 2)`);
    expect(await query(`SELECT image_size_bytes AS size FROM tags WHERE name = 'new'`)).toEqual([
      { size: '101' },
    ]);
  });

  it('ends where an index lists itself, which no digest allows', async () => {
    await query('INSERT INTO manifest_children (parent_id, child_id) VALUES (3, 4)');
    expect(await sizes()).toEqual([11, 101, 111, 111, 0]);
  });

  describe('that a push stores', () => {
    beforeEach(async () => {
      await query(`INSERT INTO blob_digests (digest, blob_id) SELECT 'blob ' || id, id FROM blobs`);
      await query('ALTER TABLE manifests ALTER COLUMN id RESTART WITH 1000');
    });

    const UPDATED = '(SELECT sum(n_tup_upd)::int FROM pg_stat_xact_user_tables)';

    /** Pushes a manifest and returns its size, that of its tag, and how many rows were updated. */
    const push = (digest: string, blobs: string[], children: string[]) =>
      test.dataSource.transaction(async (transaction) => {
        const [before] = await queryRows<{ updated: number }>(transaction, `SELECT ${UPDATED} AS updated`);
        await transaction.query(
          `SELECT put_manifest('a', $1, 'm', NULL, NULL, NULL, '', $2, $3, true, ARRAY[$1], NULL)`,
          [digest, blobs, children],
        );
        const [row] = await queryRows<{ image: string; tag: string; updated: number }>(
          transaction,
          `SELECT m.image_size_bytes AS image, t.image_size_bytes AS tag,
                  ${UPDATED} - $2::int AS updated
             FROM manifests m JOIN tags t ON t.manifest_id = m.id AND t.name = m.digest
            WHERE m.digest = $1`,
          [digest, before?.updated],
        );
        return row && [Number(row.image), Number(row.tag), row.updated];
      });

    it.each([
      ['an image', ['blob 1', 'blob 1000'], [], 1001],
      ['a manifest without references', [], [], 0],
      ['an index', [], ['digest 4', 'digest 1'], 111],
      ['an index of a blob and a manifest', [], ['blob 1000', 'digest 1'], 1011],
    ])('is right, and each row is written once: %s', async (_, blobs, children, size) => {
      expect(await push('new', blobs, children)).toEqual([size, size, 0]);
      expect(await push('new', blobs, children)).toEqual([size, size, 1]);
    });

    it('follows content that was missing until now, also in the index above', async () => {
      await push('image', ['blob 1', 'blob 7'], []);
      await push('index', [], ['image', 'digest 2']);
      await query(`INSERT INTO blobs (id, size_bytes, object_key) VALUES (7, 7, 'object 7')`);
      await query(`INSERT INTO blob_digests (digest, blob_id) VALUES ('blob 7', 7)`);
      await query('INSERT INTO repository_blobs (repository_id, blob_id) VALUES (1, 7)');
      expect((await push('image', ['blob 1', 'blob 7'], []))?.slice(0, 2)).toEqual([8, 8]);
      expect(await push('index', [], ['image', 'digest 2'])).toEqual([108, 108, 1]);
    });
  });

  it('changes nothing when references are repeated', async () => {
    const before = await query('SELECT id, xmin FROM manifests ORDER BY id');
    await query(`INSERT INTO manifest_blobs (manifest_id, blob_id, repository_id) VALUES (1, 1, 1)
                     ON CONFLICT DO NOTHING`);
    expect(await query('SELECT id, xmin FROM manifests ORDER BY id')).toEqual(before);
  });

  it('is right after children of the same indexes are deleted at the same time', async () => {
    const others = Array.from({ length: 20 }, (_, n) => 100 + n);
    await query(
      `INSERT INTO manifests (id, repository_id, digest, media_type, content, size_bytes)
       SELECT n, 1, 'digest ' || n, 'm', '', 0 FROM unnest($1::int[]) AS n`,
      [others],
    );
    await query(
      `INSERT INTO manifest_blobs (manifest_id, blob_id, repository_id)
       SELECT n, 1000, 1 FROM unnest($1::int[]) AS n`,
      [others],
    );
    await query(
      `INSERT INTO manifest_children (parent_id, child_id)
       SELECT parent, n FROM unnest($1::int[]) AS n, unnest(ARRAY[3, 5]) AS parent`,
      [others],
    );
    expect(await sizes()).toEqual([11, 101, 1111, 1111, 1000]);
    await Promise.all(others.map((id) => query('DELETE FROM manifests WHERE id = $1', [id])));
    expect(await sizes()).toEqual([11, 101, 111, 111, 0]);
  });
});
