import { readdir, rm } from 'node:fs/promises';
import { join, sep } from 'node:path';
import pg from 'pg';
import { makeDirectory } from '../common/make-directory.js';
import { realPathOf } from '../common/real-path.js';
import { StartupError } from '../common/startup.error.js';
import { VERSION } from '../common/version.js';
import type { Configuration } from '../config/configuration.js';
import { embeddedClusterDirectory } from '../database/database.js';
import { oneLine } from '../database/errors/one-line.js';
import { embeddedConnectionOptions } from '../embedded-postgres/connection-options.js';
import {
  type BackupDescription,
  DATABASE_DIRECTORY,
  STORAGE_DIRECTORY,
  writeDescription,
} from './backup-description.js';
import { copyRunningCluster } from './cluster-copy.js';
import { copyStorage, identityIn, type StorageCopying } from './storage-copy.js';

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Makes a backup of the embedded database in `directory`, while Berth runs, and of the storage on the file
 * system if `storage` is set. The database comes first: rows are written after bytes, so each object that a
 * row of the copy names was there when its copy ended.
 *
 * A backup is complete as soon as its description exists, which is written last. A failed one is removed.
 *
 * @throws StartupError; errors of the database and the file system
 */
export async function makeBackup(
  configuration: Configuration,
  directory: string,
  storage: StorageCopying | undefined,
): Promise<BackupDescription> {
  refuseOtherStores(configuration, storage);
  await refuseInside(directory, [configuration.dataDir, configuration.filesystemRoot]);
  const client = await connect(configuration);
  try {
    await expectEmpty(directory);
    return await fill(client, configuration, directory, storage);
  } finally {
    await client.end().catch(() => undefined);
  }
}

function refuseOtherStores(configuration: Configuration, storage: StorageCopying | undefined): void {
  const { databaseUrl, storageDriver } = configuration;
  if (databaseUrl !== undefined) {
    throw new StartupError(
      'This command copies the embedded database, and DATABASE_URL names another one: back that up with ' +
        'pg_basebackup or pg_dump, as docs/backup.md describes',
    );
  }
  if (storageDriver === 'memory')
    throw new StartupError('STORAGE_DRIVER=memory loses all data at the stop: there is nothing to back up');
  if (storage !== undefined && storageDriver !== 'filesystem') {
    throw new StartupError(
      `--storage copies a file system, and STORAGE_DRIVER is ${storageDriver}: ` +
        'copy the bucket with the tools of its vendor, after the database',
    );
  }
}

/** Also through a link: the copy would be copied into itself, until the disk is full. */
async function refuseInside(directory: string, sources: readonly string[]): Promise<void> {
  const target = `${await realPathOf(directory)}${sep}`;
  for (const source of sources) {
    if (!target.startsWith(`${await realPathOf(source)}${sep}`)) continue;
    throw new StartupError(
      `${directory} is inside ${source}, which is backed up: ` +
        'give a directory elsewhere, best on another disk',
    );
  }
}

async function connect(configuration: Configuration): Promise<pg.Client> {
  const directory = embeddedClusterDirectory(configuration);
  const options = embeddedConnectionOptions(directory);
  const client = new pg.Client({ ...options, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  // A query reports the end of the connection, too.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return client;
  } catch (cause) {
    throw new StartupError(
      `The embedded PostgreSQL in ${directory} can't be reached (${oneLine(cause)}): if Berth runs, give ` +
        'this command its DATA_DIR and run it as the same user; if not, start Berth, which runs ' +
        'PostgreSQL, or copy DATA_DIR while Berth is stopped',
      { cause },
    );
  }
}

/** Creates the directory if it does not exist. */
export async function expectEmpty(directory: string): Promise<void> {
  await makeDirectory(directory, 0o700);
  const entries = await readdir(directory);
  if (entries.length === 0) return;
  throw new StartupError(`${directory} is not empty: give a directory that is, or that does not exist yet`);
}

async function fill(
  client: pg.Client,
  configuration: Configuration,
  directory: string,
  storage: StorageCopying | undefined,
): Promise<BackupDescription> {
  const { filesystemRoot: root } = configuration;
  try {
    if (storage !== undefined) await expectOwnStorage(client, root);
    const cluster = embeddedClusterDirectory(configuration);
    const database = await copyRunningCluster(client, cluster, join(directory, DATABASE_DIRECTORY));
    const copied = storage && (await copyStorage(root, join(directory, STORAGE_DIRECTORY), storage));
    const description: BackupDescription = {
      berth: VERSION,
      ...database,
      ...(copied && { storage: copied }),
    };
    await writeDescription(directory, description);
    return description;
  } catch (error) {
    for (const name of [DATABASE_DIRECTORY, STORAGE_DIRECTORY])
      await rm(join(directory, name), { recursive: true, force: true });
    throw error;
  }
}

/** A disk that is not mounted must not end in an empty backup. */
async function expectOwnStorage(client: pg.Client, root: string): Promise<void> {
  const found = await identityIn(root);
  const { rows } = await client.query<{ id: string }>('SELECT id FROM storage_identity WHERE is_only_row');
  if (rows[0]?.id === found) return;
  throw new StartupError(
    `The storage ${root} doesn't belong to the database: its identity is ${found}, ` +
      `and the database has ${rows[0]?.id ?? 'none'}`,
  );
}
