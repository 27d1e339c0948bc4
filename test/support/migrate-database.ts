import 'reflect-metadata';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../src/database/connection/data-source-options.js';

/** Runs all migrations on an empty database. */
export async function migrateDatabase(url: string): Promise<void> {
  const dataSource = await new DataSource(dataSourceOptions({ url }, 1)).initialize();
  await dataSource.runMigrations();
  await dataSource.destroy();
}
