import { realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { makeDirectory } from '../common/make-directory.js';
import { StartupError } from '../common/startup.error.js';
import type { ClusterContext } from './cluster-context.js';
import { takeClusterLock } from './cluster-lock.js';
import { embeddedConnectionOptions, type EmbeddedConnectionOptions } from './connection-options.js';
import { ensureCluster } from './create-cluster.js';
import { findPostgresPackage, type PostgresPackage } from './postgres-package.js';
import { PostgresProcess } from './postgres-process.js';
import { preparePrograms } from './postgres-programs.js';
import { saysFull } from '../common/free-space.js';
import { becomeReady, withAdvice } from './readiness.js';
import { ReserveFile } from './reserve-file.js';
import { chooseRunAs } from './run-as.js';

export interface EmbeddedPostgresOptions {
  /** Absolute directory of the cluster: DATA_DIR/postgres. The caller holds the claim of DATA_DIR. */
  readonly dataDir: string;
  /** Is given each line that Postgres logs. Statements and their parameters are never logged. */
  readonly log: (line: string) => void;
  /** False: faster, and a power failure may take the data. For tests. */
  readonly durable?: boolean;
  /** Connections that it has to allow; it never allows fewer than 100. */
  readonly maxConnections?: number;
  /**
   * Space to keep free: see `reserveBytesOf`. Durable clusters have a {@link ReserveFile}, unless this is 0.
   */
  readonly reserveBytes?: number | undefined;
  /** True: the server stays when this process exits. For tests, whose processes share one. */
  readonly outlivesProcess?: boolean;
  /** The binaries; by default those that npm installed for this platform. */
  readonly binaries?: PostgresPackage;
}

/** A PostgreSQL of our own, running, with a database `berth` in it. */
export interface EmbeddedPostgres {
  readonly connection: EmbeddedConnectionOptions;
  /**
   * Settles (never rejects) with a sentence when Postgres ends without {@link stop} having been called: the
   * data is safe, but Berth can't go on. Pending for ever otherwise.
   */
  readonly died: Promise<string>;
  /** The last failure that Postgres logged, as a sentence; undefined where it logged none. */
  lastFailure(): string | undefined;
  /**
   * Ends all sessions, writes a checkpoint and waits until the server is gone: normally well below a second;
   * after a minute it is made to, without losing what was committed. Never rejects; may be called more than
   * once.
   */
  stop(): Promise<void>;
}

/**
 * Starts the embedded PostgreSQL, reachable through a Unix socket in its directory, which only its user can
 * enter.
 *
 * The first start creates the cluster. A server that a killed Berth left behind is stopped first; a kill at
 * any moment, of either or both, costs nothing that was committed. As root, Postgres runs as another user,
 * see `run-as.ts` and `cluster-context.ts`.
 *
 * Every wait is bounded. Rejects with a {@link StartupError}; nothing is left running then.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  try {
    const { durable = true, log } = options;
    const dir = await resolveLinks(options.dataDir);
    const reserve = new ReserveFile(dir, durable ? options.reserveBytes : 0, log);
    await reserve.giveUpIfShort();
    const context = await withReserve(reserve, () => prepare(options, dir));
    const lock = await takeClusterLock(dir, log);
    try {
      const { server, connection } = await withReserve(reserve, () => startLocked(context, lock.fd));
      server.unref();
      if (options.outlivesProcess) server.outlive();
      reserve.keep();
      return {
        connection,
        died: surprise(server, dir),
        lastFailure: () => server.lastFailure(),
        stop: async () => {
          await Promise.all([reserve.stop(), server.stop()]);
        },
      };
    } finally {
      // The server holds the lock by now, or nobody needs it.
      lock.release();
    }
  } catch (cause) {
    if (cause instanceof StartupError) throw cause;
    throw new StartupError(
      `The embedded PostgreSQL can't be started: ${String(cause).replace(/^Error: /, '')}.`,
      { cause },
    );
  }
}

/** Does `work`, and once more without the reserve file where the disk turns out to be too full for it. */
async function withReserve<T>(reserve: ReserveFile, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!saysFull(String(error)) || !(await reserve.giveUp())) throw error;
    return work();
  }
}

async function startLocked(context: ClusterContext, lockFd: number) {
  await ensureCluster(context, lockFd);
  const connection = embeddedConnectionOptions(context.dir);
  const server = new PostgresProcess(context, lockFd);
  try {
    await becomeReady(server, connection, context.dir);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return { server, connection };
}

async function prepare(options: EmbeddedPostgresOptions, dir: string): Promise<ClusterContext> {
  const { log, durable = true, maxConnections } = options;
  const runAs = await chooseRunAs(dir);
  const programs = await preparePrograms(options.binaries ?? (await findPostgresPackage()), dir, runAs);
  return { dir, runAs, programs, durable, maxConnections, log };
}

/**
 * One spelling for one directory: a server left behind is recognised by it. The cluster itself may be missing
 * yet.
 */
async function resolveLinks(dataDir: string): Promise<string> {
  await makeDirectory(dirname(dataDir), 0o700);
  return join(await realpath(dirname(dataDir)), basename(dataDir));
}

async function surprise(server: PostgresProcess, dir: string): Promise<string> {
  const how = await server.ended;
  if (server.isStopping) return new Promise<string>(() => undefined);
  return `PostgreSQL ended unexpectedly: ${withAdvice(how, dir)}.`;
}
