import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../src/database/data-source-options.js';
import { MIGRATIONS } from '../../src/database/migrations/index.js';
import { runMigrations } from '../../src/database/run-migrations.js';
import { createTestDataSource, type TestDataSource } from '../support/test-data-source.js';

describe('the schema', () => {
  let test: TestDataSource;

  beforeEach(async () => {
    test = await createTestDataSource();
  });
  afterEach(() => test.dispose());

  const differences = async () => {
    const { upQueries } = await test.dataSource.driver.createSchemaBuilder().log();
    return upQueries.map(({ query }) => query);
  };

  it('is the same by migrations as by entities', async () => {
    expect(await differences()).not.toEqual([]);
    await runMigrations(test.dataSource);
    expect(await differences()).toEqual([]);
  });

  it('notices an entity that no migration knows', async () => {
    await runMigrations(test.dataSource);
    await test.dataSource.query('ALTER TABLE uploads DROP COLUMN user_agent');
    expect(await differences()).toHaveLength(1);
  });

  it('can be taken back', async () => {
    await runMigrations(test.dataSource);
    for (const _ of MIGRATIONS) await test.dataSource.undoLastMigration();
    const tables = await test.dataSource.query<unknown[]>(
      `SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'migrations'`,
    );
    expect(tables).toEqual([]);
    await runMigrations(test.dataSource);
    expect(await differences()).toEqual([]);
  });

  it('is migrated once by replicas that start together', async () => {
    const others = await Promise.all(
      [1, 2, 3].map(() => new DataSource(dataSourceOptions({ url: test.url }, 2)).initialize()),
    );
    try {
      await Promise.all([test.dataSource, ...others].map(runMigrations));
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
