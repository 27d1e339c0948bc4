import { DataSource } from 'typeorm';
import { claimDataDirectory } from '../boot/data-directory.js';
import { takeWorkerLock } from '../boot/workers/worker-lock.js';
import { StartupError } from '../common/startup.error.js';
import type { Configuration } from '../config/configuration.js';
import {
  dataSourceOptions,
  MIGRATING,
  type PostgresConnection,
} from '../database/connection/data-source-options.js';
import { connectionDemand } from '../database/connection/connection-demand.js';
import { embeddedClusterDirectory, runningServer } from '../database/database.js';
import { oneLine } from '../database/errors/one-line.js';
import { hasCluster } from '../embedded-postgres/cluster-files.js';
import { startEmbeddedPostgres } from '../embedded-postgres/embedded-postgres.js';

/** Claims DATA_DIR, runs `work` and releases it. @throws StartupError if a Berth uses it. */
export async function withDataDirectory<T>(
  { dataDir }: Configuration,
  log: (line: string) => void,
  work: () => Promise<T>,
): Promise<T> {
  const claim = await claimDataDirectory(dataDir);
  try {
    const workers = await takeWorkerLock(dataDir, log);
    try {
      return await work();
    } finally {
      workers.release();
    }
  } finally {
    claim.release();
  }
}

/**
 * Runs `work` on the database of the settings: that of DATABASE_URL, the embedded one of a running Berth, or
 * an embedded one that is started for it. Applies no migrations.
 *
 * @throws StartupError if it can't be reached
 */
export async function withDatabase<T>(
  configuration: Configuration,
  log: (line: string) => void,
  work: (dataSource: DataSource) => Promise<T>,
): Promise<T> {
  try {
    return await onServer(runningServer(configuration), work);
  } catch (error) {
    if (!(error instanceof Unreachable) || configuration.databaseUrl !== undefined) throw error;
  }
  return withDataDirectory(configuration, log, () => withEmbeddedPostgres(configuration, work));
}

/** Runs `work` on the embedded database, which is started for it. The caller holds the claim of DATA_DIR. */
export async function withEmbeddedPostgres<T>(
  configuration: Configuration,
  work: (dataSource: DataSource) => Promise<T>,
): Promise<T> {
  const dataDir = embeddedClusterDirectory(configuration);
  if (!(await hasCluster(dataDir))) {
    throw new StartupError(`There is no embedded database in ${dataDir}: set DATA_DIR or DATABASE_URL`);
  }
  const maxConnections = connectionDemand(configuration);
  const postgres = await startEmbeddedPostgres({
    dataDir,
    log: () => undefined,
    maxConnections,
    reserveBytes: 0,
  });
  try {
    return await onServer(runningServer(configuration), work);
  } finally {
    await postgres.stop();
  }
}

class Unreachable extends StartupError {}

async function onServer<T>(
  connection: PostgresConnection,
  work: (dataSource: DataSource) => Promise<T>,
): Promise<T> {
  const dataSource = new DataSource(dataSourceOptions(connection, 4, MIGRATING));
  await dataSource.initialize().catch((cause: unknown) => {
    throw new Unreachable(`The database can't be reached: ${oneLine(cause)}`, { cause });
  });
  try {
    return await work(dataSource);
  } finally {
    await dataSource.destroy();
  }
}
