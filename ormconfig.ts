import 'reflect-metadata';
import { DataSource } from 'typeorm';
import { StartupError } from './src/common/startup.error.js';
import type { Configuration } from './src/config/configuration.js';
import { addDotEnv } from './src/config/dot-env.js';
import { loadConfiguration } from './src/config/load-configuration.js';
import { dataSourceOptions, MIGRATING } from './src/database/connection/data-source-options.js';
import { embeddedClusterDirectory, runningServer } from './src/database/database.js';
import { oneLine } from './src/database/errors/one-line.js';

/** The CLI would print a stack for each failure of a connection. */
class CommandDataSource extends DataSource {
  constructor(private readonly configuration: Configuration) {
    super(dataSourceOptions(runningServer(configuration), configuration.databasePoolSize, MIGRATING));
  }

  override async initialize(): Promise<this> {
    try {
      return await super.initialize();
    } catch (cause) {
      const { databaseUrl } = this.configuration;
      return fail(
        databaseUrl === undefined
          ? `The embedded PostgreSQL in ${embeddedClusterDirectory(this.configuration)} can't be reached ` +
              `(${oneLine(cause)}): start Berth, which runs it, or set DATABASE_URL.`
          : `Can't use the database of DATABASE_URL: ${oneLine(cause)}.`,
      );
    }
  }
}

function create(): DataSource {
  try {
    addDotEnv(process.env);
    return new CommandDataSource(loadConfiguration(process.env));
  } catch (error) {
    if (error instanceof StartupError) fail(error.message);
    throw error;
  }
}

function fail(sentence: string): never {
  process.stderr.write(`${sentence}\n`);
  process.exit(1);
}

/** For the TypeORM CLI: the database of `DATABASE_URL`, or the embedded one of a Berth that is running. */
export default create();
