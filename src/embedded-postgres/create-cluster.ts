import { spawn } from 'node:child_process';
import { chown, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StartupError } from '../common/startup.error.js';
import { childEnd, eachLine } from './child-exit.js';
import { dataDirArgument, spawnOptions, type ClusterContext } from './cluster-context.js';
import { giveTo, hasCluster, syncDirectory } from './cluster-files.js';
import { DATABASE_USER } from './connection-options.js';
import { LogTail } from './log-tail.js';

/** initdb takes one to three seconds; a slow network disk may need a minute. */
const INITDB_TIMEOUT_MS = 5 * 60_000;

/**
 * Makes the cluster in `context.dir` where there is none: `initdb` in `<dir>.new`, then a rename, so that a kill at
 * any moment leaves either no cluster or a whole one. A cluster that is there is only given to the right user.
 *
 * The caller holds the cluster's lock; `initdb` and its children inherit it, so that one that outlives Berth is
 * waited for by the next. Rejects with a {@link StartupError}.
 */
export async function ensureCluster(context: ClusterContext, lockFd: number): Promise<void> {
  try {
    if (!(await hasCluster(context.dir))) await createCluster(context, lockFd);
    else if (context.runAs && (await stat(context.dir)).uid === 0) await giveTo(context.dir, context.runAs);
  } catch (cause) {
    if (cause instanceof StartupError) throw cause;
    throw new StartupError(
      `PostgreSQL's directory ${context.dir} can't be set up: ${String(cause).replace(/^Error: /, '')}.`,
      {
        cause,
      },
    );
  }
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
    `${dir} holds files but no PostgreSQL cluster: move them away, or set DATA_DIR to another directory.`,
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

/** A container's `--user 12345` has no name, and initdb insists on one. */
function advise(reason: string): string {
  return reason.includes('could not look up effective user ID')
    ? `${reason}; run Berth as a user that /etc/passwd knows, or set DATABASE_URL`
    : reason;
}

function initdbArguments(dataDir: string, durable: boolean): string[] {
  return [
    ...['-D', dataDir, '-U', DATABASE_USER],
    // The same sorting and casing on every machine: from Postgres itself, not from the C library.
    ...['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
    // Who may connect is who may enter the directory of the socket, which is Postgres' own with mode 0700.
    ...['--auth-local=trust', '--auth-host=reject', '--data-checksums', '--no-instructions'],
    ...(durable ? [] : ['--no-sync']),
  ];
}
