import { mkdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { StartupError } from '../common/startup.error.js';
import { syncDirectory } from '../common/sync-directory.js';
import { copyFile, type CopySize, copyTree, totalOf, writeDurably } from './durable-copy.js';

/** Directories whose content belongs to the running server, as in `pg_basebackup`. */
const EMPTIED = new Set([
  'pg_dynshmem',
  'pg_notify',
  'pg_replslot',
  'pg_serial',
  'pg_snapshots',
  'pg_stat_tmp',
  'pg_subtrans',
]);

/** Files that belong to the running server, and files that the copy gets in another way. */
const LEFT_OUT = [
  /^\.s\.PGSQL\./,
  /^postmaster\.(pid|opts)$/,
  /^current_logfiles(\.tmp)?$/,
  /^postgresql\.auto\.conf\.tmp$/,
  /^(pgsql_tmp|pg_internal\.init)/,
  /^(backup_label|tablespace_map)(\.old)?$/,
  /^(pg_wal|pg_control|backup_manifest)$/,
];

const CONTROL_FILE = 'global/pg_control';
const CONTROL_READS = 100;

export interface ClusterCopy {
  readonly database: CopySize;
  /** The server's major version. */
  readonly postgres: number;
  /** Everything that was committed before is in the copy. */
  readonly until: Date;
}

/**
 * Copies the cluster of a running server into `target`, which must not exist: a base backup, by the low-level
 * API of PostgreSQL (15 or newer) instead of `pg_basebackup`. The copied files are those of different
 * moments. With the write-ahead log, which is copied too, the first start on the copy brings all of them to
 * the moment at which the copy ended.
 *
 * @param client a session of a superuser, used for nothing else. If it is closed before the end, the server
 *   aborts the backup, and frees the log that it kept for it.
 * @param directory of the server's cluster.
 * @throws StartupError; errors of the database and the file system. `target` is then incomplete.
 */
export async function copyRunningCluster(
  client: pg.Client,
  directory: string,
  target: string,
): Promise<ClusterCopy> {
  await refuseTablespaces(client);
  await keepLog(client);
  const [started] = await rows<{ lsn: string }>(
    client,
    "SELECT pg_backup_start('berth', fast => true)::text AS lsn",
  );
  const files = await copyTree(directory, target, { includes: isCopied });
  const control = await copyControlFile(directory, target);
  const [before] = await rows<{ until: Date; postgres: number }>(
    client,
    "SELECT clock_timestamp() AS until, current_setting('server_version_num')::int / 10000 AS postgres",
  );
  const [stopped] = await rows<{ lsn: string; label: string }>(
    client,
    'SELECT lsn::text, labelfile AS label FROM pg_backup_stop(wait_for_archive => false)',
  );
  if (!started || !before || !stopped) throw new Error('PostgreSQL returned no row');
  const label = await writeDurably(join(target, 'backup_label'), stopped.label);
  const log = await copyLog(client, { directory, target, from: started.lsn, to: stopped.lsn });
  for (const path of ['global', 'pg_wal', '.']) await syncDirectory(join(target, path));
  await syncDirectory(dirname(target));
  return { ...before, database: totalOf([files, control, label, ...log]) };
}

function isCopied(path: string): boolean {
  return !EMPTIED.has(dirname(path)) && !LEFT_OUT.some((name) => name.test(basename(path)));
}

async function refuseTablespaces(client: pg.Client): Promise<void> {
  const [found] = await rows<{ name: string }>(
    client,
    "SELECT spcname AS name FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')",
  );
  if (found === undefined) return;
  throw new StartupError(
    `The database has a tablespace (${found.name}), which this backup can't copy: use pg_basebackup.`,
  );
}

/** Keeps the write-ahead log from now on, as long as the session lasts. */
async function keepLog(client: pg.Client): Promise<void> {
  await client.query("SELECT pg_create_physical_replication_slot('berth_backup_' || $1, true, true)", [
    process.pid,
  ]);
}

/** The server overwrites this file while it is read. Two equal reads are one state of it. */
async function copyControlFile(directory: string, target: string): Promise<CopySize> {
  const read = () => readFile(join(directory, CONTROL_FILE));
  let former = await read();
  for (let reads = 1; reads < CONTROL_READS; reads += 1) {
    await sleep(1);
    const content = await read();
    if (content.equals(former)) return writeDurably(join(target, CONTROL_FILE), content);
    former = content;
  }
  throw new Error(`${CONTROL_FILE} changes all the time`);
}

/** Copies the segments of the write-ahead log that have the positions `from` to `to`. */
async function copyLog(
  client: pg.Client,
  { directory, target, from, to }: { directory: string; target: string; from: string; to: string },
): Promise<CopySize[]> {
  const segments = await rows<{ name: string }>(
    client,
    `SELECT pg_walfile_name('0/0'::pg_lsn + segment * size + 1) AS name
       FROM (SELECT pg_size_bytes(current_setting('wal_segment_size')) AS size) AS settings,
            generate_series(div($1::pg_lsn - '0/0', size), div($2::pg_lsn - '0/0' - 1, size)) AS segment
      ORDER BY segment`,
    [from, to],
  );
  await mkdir(join(target, 'pg_wal'), { mode: 0o700 });
  const sizes: CopySize[] = [];
  for (const { name } of segments)
    sizes.push(await copyFile(join(directory, 'pg_wal', name), join(target, 'pg_wal', name)));
  return sizes;
}

async function rows<Row>(client: pg.Client, sql: string, parameters: unknown[] = []): Promise<Row[]> {
  return (await client.query<Row & pg.QueryResultRow>(sql, parameters)).rows;
}
