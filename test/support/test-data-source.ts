import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../src/database/connection/data-source-options.js';
import { createTestDatabase } from './test-postgres.js';

/** TypeORM on an empty database of its own. */
export interface TestDataSource {
  readonly dataSource: DataSource;
  readonly url: string;
  dispose(): Promise<void>;
}

export async function createTestDataSource(): Promise<TestDataSource> {
  const database = await createTestDatabase();
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
