import type { Logger } from 'pino';
import type { FileLock } from '../common/file-lock.js';
import type { Configuration } from '../config/configuration.js';
import { type Database, openDatabase } from '../database/database.js';
import type { CleanupStack } from './cleanup-stack.js';
import { claimDataDirectory } from './data-directory.js';
import { freePort } from './free-port.js';
import { takeWorkerLock } from './workers/worker-lock.js';

export interface ClaimedDatabase {
  readonly database: Database;
  /**
   * Each worker inherits it, so that the next start can wait for workers left running. Unset for
   * `DATABASE_URL`.
   */
  readonly workerLock: FileLock | undefined;
}

/**
 * Opens the database of the main process. For an embedded one, claims the data directory first, and waits
 * until no worker of an earlier Berth can use the database. Before that it checks the address: a start that
 * can't listen creates no cluster and waits for no server.
 *
 * @throws StartupError
 */
export async function claimAndOpenDatabase(
  configuration: Readonly<Configuration>,
  logger: Logger,
  cleanup: CleanupStack,
): Promise<ClaimedDatabase> {
  let workerLock: FileLock | undefined;
  if (configuration.databaseUrl === undefined) {
    const claim = await claimDataDirectory(configuration.dataDir);
    cleanup.add(() => claim.release());
    const lock = await takeWorkerLock(configuration.dataDir, (line) => logger.warn(line));
    cleanup.add(() => lock.release());
    workerLock = lock;
  }
  await freePort(configuration);
  const database = await openDatabase(
    configuration,
    (line) => logger.debug({ context: 'postgres' }, line),
    (line) => logger.warn(line),
  );
  cleanup.add(() => database.close());
  return { database, workerLock };
}
