import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DataSource, type QueryRunner } from 'typeorm';
import { dataSourceOptions, MIGRATING } from '../../src/database/connection/data-source-options.js';
import { SupersededBlobKey1764220000006 } from '../../src/database/migrations/1764220000006-superseded-blob-key.js';
import { MIGRATIONS } from '../../src/database/migrations/index.js';
import { queryRows } from '../../src/database/query-rows.js';
import { refuseNewerSchema, runMigrations } from '../../src/database/run-migrations.js';
import { until } from '../support/until.js';
import { createTestDataSource, type TestDataSource } from '../support/test-data-source.js';

describe('the schema', () => {
  let test: TestDataSource;

  beforeEach(async () => {
    test = await createTestDataSource({ migrated: false });
  });
  afterEach(() => test.dispose());

  const differences = async () => {
    const { upQueries } = await test.dataSource.driver.createSchemaBuilder().log();
    return upQueries.map(({ query }) => query);
  };

  it('is the same from migrations and from entities', async () => {
    expect(await differences()).not.toEqual([]);
    await runMigrations(test.dataSource);
    expect(await differences()).toEqual([]);
  });

  it('detects an entity without a migration', async () => {
    await runMigrations(test.dataSource);
    await test.dataSource.query('ALTER TABLE uploads DROP COLUMN user_agent');
    expect(await differences()).toHaveLength(1);
  });

  it('is refused if a newer version has changed it, unless that is accepted', async () => {
    await refuseNewerSchema(test.dataSource, undefined);
    await runMigrations(test.dataSource);
    await refuseNewerSchema(test.dataSource, undefined);
    const insert = `INSERT INTO migrations (timestamp, name) VALUES (0, 'Newer9000000000001'), (0, 'Newest9000000000002')`;
    await test.dataSource.query(insert);
    for (const accepted of [undefined, 'Newer9000000000001'])
      await expect(refuseNewerSchema(test.dataSource, accepted)).rejects.toThrow(
        /a newer version .* \(migration Newest9000000000002\).* start with DATABASE_ACCEPT_NEWER=Newest9000000000002$/,
      );
    await refuseNewerSchema(test.dataSource, 'Newest9000000000002');
  });

  it('can be reverted', async () => {
    await runMigrations(test.dataSource);
    for (const _ of MIGRATIONS) await test.dataSource.undoLastMigration();
    const tables = await test.dataSource.query<unknown[]>(
      `SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'migrations'`,
    );
    expect(tables).toEqual([]);
    await runMigrations(test.dataSource);
    expect(await differences()).toEqual([]);
  });

  describe('beside a serving replica, while a long transaction reads a table', () => {
    const retry = { pauseMs: 500, maxPauseMs: 500, timeoutMs: 60_000 };
    const isLater = ({ name }: { name: string }) => Number(/\d{13}$/.exec(name)?.[0]) >= 1_764_220_000_000;
    let migrating: DataSource;
    let reader: QueryRunner;

    beforeEach(async () => {
      await runMigrations(test.dataSource);
      for (const _ of MIGRATIONS.filter(isLater)) await test.dataSource.undoLastMigration();
      migrating = new DataSource(
        dataSourceOptions({ url: test.url }, 2, { ...MIGRATING, lock_timeout: 200 }),
      );
      await migrating.initialize();
      reader = test.dataSource.createQueryRunner();
      await reader.startTransaction();
      await reader.query('SELECT FROM blobs');
    });
    afterEach(async () => {
      if (reader.isTransactionActive) await reader.rollbackTransaction();
      await reader.release();
      await migrating.destroy();
    });

    const applied = async () =>
      (await test.dataSource.query<{ name: string }[]>('SELECT name FROM migrations')).length;

    it('waits for the table without blocking others', async () => {
      const lines: string[] = [];
      const migration = runMigrations(migrating, (line) => lines.push(line), retry);
      await until('attempts', () => Promise.resolve(lines.length >= 2));
      // Behind a lock that is waited for without end this would fail by its own lock_timeout.
      await test.dataSource.query('SELECT FROM blobs');
      expect(lines[0]).toContain('LOCK TABLE blobs');
      expect(await applied()).toBe(MIGRATIONS.indexOf(SupersededBlobKey1764220000006));
      await reader.commitTransaction();
      await migration;
      expect(await differences()).toEqual([]);
    });

    it('fails if a lock is not granted in time, and keeps the migrations already applied', async () => {
      await expect(runMigrations(migrating, undefined, { ...retry, timeoutMs: 0 })).rejects.toThrow(
        /can't lock what another session uses: LOCK TABLE blobs.* then start again/,
      );
      await reader.commitTransaction();
      await runMigrations(migrating);
      expect(await applied()).toBe(MIGRATIONS.length);
    });

    it('has a short lock timeout', () => expect(MIGRATING.lock_timeout).toBe(2_000));
  });

  it('restores deleted links of manifests, and keeps them, also with older replicas', async () => {
    await runMigrations(test.dataSource);
    const query = <Row>(sql: string) => queryRows<Row>(test.dataSource.manager, sql);
    const isLater = ({ name }: { name: string }) => Number(/\d{13}$/.exec(name)?.[0]) >= 1_764_220_000_000;
    for (const _ of MIGRATIONS.filter(isLater)) await test.dataSource.undoLastMigration();
    await query(`INSERT INTO repositories (id, name) VALUES (1, 'a'), (2, 'b')`);
    await query(`INSERT INTO blobs (id, size_bytes, object_key) VALUES (1, 1, 'one'), (2, 1, 'two')`);
    await query(`INSERT INTO manifests (id, repository_id, digest, media_type, content, size_bytes)
                 VALUES (1, 1, 'd', 'm', '', 0), (2, 2, 'd', 'm', '', 0)`);
    await query(`INSERT INTO manifest_blobs (manifest_id, blob_id) VALUES (1, 1), (1, 2), (2, 1)`);
    await query(`INSERT INTO repository_blobs (repository_id, blob_id) VALUES (1, 1)`);
    await runMigrations(test.dataSource);
    await query(`INSERT INTO repository_blobs (repository_id, blob_id) VALUES (2, 2)`);
    await query(
      `INSERT INTO manifest_blobs (manifest_id, blob_id) VALUES (2, 1), (2, 2) ON CONFLICT DO NOTHING`,
    );
    for (const table of ['repository_blobs', 'manifest_blobs']) {
      const sql = `SELECT repository_id || ' ' || blob_id AS pair
                     FROM ${table} ORDER BY repository_id, blob_id`;
      expect((await query<{ pair: string }>(sql)).map(({ pair }) => pair)).toEqual([
        '1 1',
        '1 2',
        '2 1',
        '2 2',
      ]);
    }
    await expect(query('DELETE FROM repository_blobs WHERE blob_id = 2')).rejects.toThrow('foreign key');
    await query('DELETE FROM repositories WHERE id = 1');
    expect(await query('SELECT 1 FROM repository_blobs WHERE repository_id = 1')).toEqual([]);
  });

  it('computes the sizes of images that are older than them', async () => {
    await runMigrations(test.dataSource);
    const query = <Row>(sql: string) => queryRows<Row>(test.dataSource.manager, sql);
    const isLater = ({ name }: { name: string }) => Number(/\d{13}$/.exec(name)?.[0]) >= 1_764_360_000_000;
    for (const _ of MIGRATIONS.filter(isLater)) await test.dataSource.undoLastMigration();
    await query(`INSERT INTO repositories (id, name) VALUES (1, 'a')`);
    await query(`INSERT INTO blobs (id, size_bytes, object_key) VALUES (1, 5, 'one'), (2, 7, 'two')`);
    await query('INSERT INTO repository_blobs (repository_id, blob_id) VALUES (1, 1), (1, 2)');
    // In more than one batch. The index has the first id, as if its children had been pushed later.
    await query(`INSERT INTO manifests (id, repository_id, digest, media_type, content, size_bytes)
                 SELECT id, 1, 'd' || id, 'm', '', 0 FROM unnest(ARRAY[1, 2, 3, 1500]) AS id`);
    await query(`INSERT INTO manifest_blobs (manifest_id, blob_id, repository_id)
                 VALUES (2, 1, 1), (1500, 1, 1), (1500, 2, 1)`);
    await query('INSERT INTO manifest_children (parent_id, child_id) VALUES (1, 2), (1, 1500)');
    await query(`INSERT INTO tags (repository_id, name, manifest_id) SELECT 1, 't' || id, id FROM manifests`);
    await runMigrations(test.dataSource);
    const sizes = await query<{ size: string }>(
      `SELECT m.image_size_bytes || ' ' || t.image_size_bytes AS size
         FROM manifests m JOIN tags t ON t.manifest_id = m.id ORDER BY m.id`,
    );
    expect(sizes.map(({ size }) => size)).toEqual(['12 12', '5 5', '0 0', '12 12']);
  });

  it('is migrated once by replicas that start together', async () => {
    const others = await Promise.all(
      [1, 2, 3].map(() => new DataSource(dataSourceOptions({ url: test.url }, 2)).initialize()),
    );
    try {
      await Promise.all([test.dataSource, ...others].map((each) => runMigrations(each)));
      expect(await test.dataSource.query<unknown[]>('SELECT * FROM migrations')).toHaveLength(
        MIGRATIONS.length,
      );
    } finally {
      await Promise.all(others.map((other) => other.destroy()));
    }
  });

  it('sorts names by bytes, whatever the locale of the database', async () => {
    await runMigrations(test.dataSource);
    await test.dataSource.query(
      `INSERT INTO repositories (name) VALUES ('a_b'), ('a/b'), ('a-b'), ('ab'), ('a.b')`,
    );
    const rows = await test.dataSource.query<{ name: string }[]>(
      'SELECT name FROM repositories ORDER BY name',
    );
    expect(rows.map(({ name }) => name)).toEqual(['a-b', 'a.b', 'a/b', 'a_b', 'ab']);
  });
});
