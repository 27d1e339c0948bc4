import { readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { formatBytes, quantity } from '../common/quantity.js';
import { StartupError } from '../common/startup.error.js';
import { syncDirectory } from '../common/sync-directory.js';
import type { Configuration } from '../config/configuration.js';
import { embeddedClusterDirectory } from '../database/database.js';
import { takeClusterLock } from '../embedded-postgres/cluster-lock.js';
import { findPostgresPackage } from '../embedded-postgres/postgres-package.js';
import {
  type BackupDescription,
  DATABASE_DIRECTORY,
  readDescription,
  STORAGE_DIRECTORY,
} from './backup-description.js';
import { type CopySize, copyTree } from './durable-copy.js';
import { copyStorage } from './storage-copy.js';

/**
 * Puts the backup in `directory` where the settings say that the embedded database, and the storage if the
 * backup has it, are. Both places must be empty. The database comes last, by a rename: without it, an
 * interrupted restore can't be taken for a registry.
 *
 * The caller holds the claim of DATA_DIR.
 *
 * @throws StartupError; errors of the file system
 */
export async function restoreBackup(
  configuration: Configuration,
  directory: string,
  log: (line: string) => void,
): Promise<BackupDescription> {
  const backup = await readDescription(directory);
  refuseOtherStores(configuration, backup);
  await refuseOtherVersion(backup);
  const cluster = embeddedClusterDirectory(configuration);
  (await takeClusterLock(cluster, log)).release();
  await refuseContent(cluster);
  if (backup.storage !== undefined) {
    const root = configuration.filesystemRoot;
    await refuseContent(root);
    const from = join(directory, STORAGE_DIRECTORY);
    expectWhole(from, backup.storage, await copyStorage(from, root, 'copy'));
  }
  await restoreCluster(join(directory, DATABASE_DIRECTORY), cluster, backup.database);
  return backup;
}

function refuseOtherStores(
  { databaseUrl, storageDriver }: Configuration,
  { storage }: BackupDescription,
): void {
  if (databaseUrl !== undefined) {
    throw new StartupError(
      'This command restores the embedded database, and DATABASE_URL names another one: unset it for the ' +
        'restore, or restore the other one with its own tools',
    );
  }
  if (storageDriver === 'memory')
    throw new StartupError('STORAGE_DRIVER=memory has a new database at each start: set another one');
  if (storage === undefined || storageDriver === 'filesystem') return;
  throw new StartupError(
    `The backup has a storage of the file system, and STORAGE_DRIVER is ${storageDriver}: ` +
      'unset it for the restore',
  );
}

/** PostgreSQL reads only clusters of its own major version. */
async function refuseOtherVersion({ postgres, berth }: BackupDescription): Promise<void> {
  const { version } = await findPostgresPackage();
  if (parseInt(version, 10) === postgres) return;
  throw new StartupError(
    `The backup is of PostgreSQL ${postgres} (Berth ${berth}), and this Berth has ${version}: ` +
      'restore it with a version of Berth that has the same PostgreSQL',
  );
}

async function refuseContent(directory: string): Promise<void> {
  const entries = await readdir(directory).catch(() => []);
  const content = entries.filter((name) => name !== 'lost+found');
  if (content.length === 0) return;
  throw new StartupError(
    `${directory} is not empty: move it away, or set another directory for the restored registry`,
  );
}

async function restoreCluster(from: string, cluster: string, size: CopySize): Promise<void> {
  const draft = `${cluster}.new`;
  await rm(draft, { recursive: true, force: true });
  try {
    expectWhole(from, size, await copyTree(from, draft));
    await rename(draft, cluster);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw error;
  }
  await syncDirectory(dirname(cluster));
}

function expectWhole(path: string, expected: CopySize, found: CopySize): void {
  if (found.files === expected.files && found.bytes === expected.bytes) return;
  const [has, had] = [found, expected].map(
    ({ files, bytes }) => `${quantity(files, 'file')} with ${formatBytes(bytes)}`,
  );
  throw new StartupError(
    `${path} has ${has}, and the backup had ${had}: copy the backup again from where it was made`,
  );
}
