import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../src/database/connection/data-source-options.js';
import { createMigratedDatabase, createTestDatabase } from './test-postgres.js';

/** TypeORM on a database of its own. */
export interface TestDataSource {
  readonly dataSource: DataSource;
  readonly url: string;
  dispose(): Promise<void>;
}

/** @param migrated whether the database has Berth's schema, or is empty. */
export async function createTestDataSource({ migrated = true } = {}): Promise<TestDataSource> {
  const database = await (migrated ? createMigratedDatabase() : createTestDatabase());
  const dataSource = await new DataSource(dataSourceOptions({ url: database.url }, 5)).initialize();
  return {
    dataSource,
    url: database.url,
    dispose: async () => {
      await dataSource.destroy();
      await database.drop();
    },
  };
}
