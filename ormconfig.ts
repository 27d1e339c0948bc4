import 'reflect-metadata';
import { config as loadDotEnv } from 'dotenv';
import { DataSource } from 'typeorm';
import { loadConfiguration } from './src/config/load-configuration.js';
import {
  dataSourceOptions,
  MIGRATING,
  type PostgresConnection,
} from './src/database/connection/data-source-options.js';
import { embeddedClusterDirectory } from './src/database/database.js';
import { embeddedConnectionOptions } from './src/embedded-postgres/connection-options.js';

/** For the TypeORM CLI: the database of `DATABASE_URL`, or the embedded one of a Berth that is running. */
loadDotEnv({ quiet: true });
const configuration = loadConfiguration(process.env);

function connection(): PostgresConnection {
  if (configuration.databaseUrl !== undefined) return { url: configuration.databaseUrl };
  const { user, ...options } = embeddedConnectionOptions(embeddedClusterDirectory(configuration));
  return { ...options, username: user };
}

export default new DataSource(dataSourceOptions(connection(), configuration.databasePoolSize, MIGRATING));
