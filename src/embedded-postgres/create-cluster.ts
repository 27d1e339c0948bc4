import { spawn } from 'node:child_process';
import { chown, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory } from '../common/sync-directory.js';
import { StartupError } from '../common/startup.error.js';
import { childEnd, eachLine } from './child-exit.js';
import { dataDirArgument, spawnOptions, type ClusterContext } from './cluster-context.js';
import { changeOwner, clusterVersion, hasCluster } from './cluster-files.js';
import { DATABASE_USER } from './connection-options.js';
import { LogTail } from './log-tail.js';

/** initdb takes one to three seconds, on a slow network disk up to a minute. */
const INITDB_TIMEOUT_MS = 5 * 60_000;

/**
 * Creates the cluster in `context.dir` if it does not exist: `initdb` in `<dir>.new`, then a rename. So a
 * kill at any moment leaves either no cluster or a complete one. An existing cluster only gets the right
 * owner, and is refused if it is of another major version.
 *
 * The caller holds the cluster's lock. `initdb` and its children inherit it, so that the next start waits for
 * an `initdb` that outlives Berth.
 *
 * @throws StartupError
 */
export async function ensureCluster(context: ClusterContext, lockFd: number): Promise<void> {
  try {
    if (!(await hasCluster(context.dir))) return await createCluster(context, lockFd);
    await refuseOtherVersion(context);
    if (context.runAs && (await stat(context.dir)).uid === 0) await changeOwner(context.dir, context.runAs);
  } catch (cause) {
    if (cause instanceof StartupError) throw cause;
    throw new StartupError(
      `PostgreSQL's directory ${context.dir} can't be set up: ${String(cause).replace(/^Error: /, '')}.`,
      { cause },
    );
  }
}

/** PostgreSQL reads only clusters of its own major version. */
async function refuseOtherVersion({ dir, programs: { majorVersion } }: ClusterContext): Promise<void> {
  const version = await clusterVersion(dir);
  if (majorVersion === undefined || version === majorVersion) return;
  throw new StartupError(
    `${dir} is a database of PostgreSQL ${version}, and this Berth has PostgreSQL ${majorVersion}, which can't ` +
      'read it; nothing was changed: start the version of Berth that used it last, and move the database as ' +
      'docs/backup.md describes (A new major version of PostgreSQL)',
  );
}

async function createCluster(context: ClusterContext, lockFd: number): Promise<void> {
  await refuseForeignFiles(context.dir);
  const draft = `${context.dir}.new`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { mode: 0o700 });
  if (context.runAs) await chown(draft, context.runAs.uid, context.runAs.gid);
  await initdb(context, draft, lockFd);
  await rename(draft, context.dir);
  await syncDirectory(dirname(context.dir));
}

async function refuseForeignFiles(dir: string): Promise<void> {
  const entries = await readdir(dir).catch(() => []);
  if (entries.length === 0) return;
  throw new StartupError(
    `${dir} holds files but no PostgreSQL cluster: move them, or set DATA_DIR to another directory.`,
  );
}

async function initdb(context: ClusterContext, draft: string, lockFd: number): Promise<void> {
  const { programs, runAs, durable, log } = context;
  log('Creating the database cluster');
  const child = spawn(programs.initdb, initdbArguments(dataDirArgument(draft, runAs), durable), {
    ...spawnOptions(draft, runAs),
    stdio: ['ignore', 'ignore', 'pipe', lockFd],
    timeout: INITDB_TIMEOUT_MS,
  });
  const tail = new LogTail();
  eachLine(child.stderr, (line) => tail.push(line));
  const { ok, how } = await childEnd(child);
  if (ok) return;
  await rm(draft, { recursive: true, force: true });
  throw new StartupError(
    `PostgreSQL's cluster can't be created in ${context.dir}: ${advise(tail.firstReason(how))}.`,
  );
}

/** The user of a container's `--user 12345` has no name, which initdb requires. */
function advise(reason: string): string {
  return reason.includes('could not look up effective user ID')
    ? `${reason}; run Berth as a user in /etc/passwd, or set DATABASE_URL`
    : reason;
}

function initdbArguments(dataDir: string, durable: boolean): string[] {
  return [
    ...['-D', dataDir, '-U', DATABASE_USER],
    // Postgres' own locale, not the C library's: the same order and case on every machine.
    ...['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
    // Only the owner can enter the socket's directory (mode 0700), and so connect.
    ...['--auth-local=trust', '--auth-host=reject', '--data-checksums', '--no-instructions'],
    ...(durable ? [] : ['--no-sync']),
  ];
}
