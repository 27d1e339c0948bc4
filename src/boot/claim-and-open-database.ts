import type { Logger } from 'pino';
import type { Configuration } from '../config/configuration.js';
import { claimDataDirectory } from './data-directory.js';
import type { FileLock } from '../common/file-lock.js';
import { type Database, openDatabase } from '../database/database.js';
import type { Opened } from './cleanup-stack.js';
import { takeWorkerLock } from './workers/worker-lock.js';

export interface OwnDatabase {
  readonly database: Database;
  /** To be given to each worker: it is how the next start knows that none of this one is left. Only where the data is ours alone. */
  readonly workerLock: FileLock | undefined;
}

/**
 * Opens the database as the process that is responsible for it. An embedded one is opened by the holder of the data
 * directory's claim alone, and only when no process that an earlier holder left behind can use it any more.
 *
 * @throws StartupError
 */
export async function openOwnDatabase(
  configuration: Readonly<Configuration>,
  logger: Logger,
  opened: Opened,
): Promise<OwnDatabase> {
  let workerLock: FileLock | undefined;
  if (configuration.databaseUrl === undefined) {
    const claim = await claimDataDirectory(configuration.dataDir);
    opened.add(() => claim.release());
    const lock = await takeWorkerLock(configuration.dataDir, (line) => logger.warn(line));
    opened.add(() => lock.release());
    workerLock = lock;
  }
  const database = await openDatabase(
    configuration,
    (line) => logger.debug({ context: 'postgres' }, line),
    (line) => logger.warn(line),
  );
  opened.add(() => database.close());
  return { database, workerLock };
}
