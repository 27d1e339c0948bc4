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
  /** Called with each line that Postgres logs. Postgres never logs statements or parameters. */
  readonly log: (line: string) => void;
  /** False: faster, but a power failure may lose data. For tests. */
  readonly durable?: boolean;
  /** Number of connections to allow; at least 100 are allowed. */
  readonly maxConnections?: number;
  /**
   * Space to keep free: see `reserveBytesOf`. Durable clusters have a {@link ReserveFile}, unless this is 0.
   */
  readonly reserveBytes?: number | undefined;
  /** True: the server keeps running when this process exits. For tests, whose processes share one. */
  readonly outlivesProcess?: boolean;
  /** Default: the binaries that npm installed for this platform. */
  readonly binaries?: PostgresPackage;
}

/** A running PostgreSQL with a database `berth`. */
export interface EmbeddedPostgres {
  readonly connection: EmbeddedConnectionOptions;
  /** Resolves with a sentence if Postgres ends without {@link stop}. Never rejects. The data is safe then. */
  readonly died: Promise<string>;
  /** The last failure that Postgres logged, as a sentence, if any. */
  lastFailure(): string | undefined;
  /**
   * Ends all sessions, writes a checkpoint and waits for the server's end, normally less than a second. After
   * a minute the server is stopped without a checkpoint; no commit is lost. Never rejects. Idempotent.
   */
  stop(): Promise<void>;
}

/**
 * Starts the embedded PostgreSQL. It listens on a Unix socket in its directory, which only its user can
 * enter.
 *
 * The first start creates the cluster. If an earlier Berth was killed, its server is stopped first. A kill of
 * Berth or Postgres at any moment loses no commit. If Berth is root, Postgres runs as another user: see
 * `run-as.ts` and `cluster-context.ts`.
 *
 * Every wait is bounded.
 *
 * @throws StartupError; no process is left running.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  try {
    const { durable = true, log } = options;
    const dir = await resolveLinks(options.dataDir);
    const reserve = new ReserveFile(dir, durable ? options.reserveBytes : 0, log);
    const connection = embeddedConnectionOptions(dir);
    await reserve.deleteIfShort();
    const context = await withReserve(reserve, () => prepare(options, dir));
    const lock = await takeClusterLock(dir, log);
    try {
      const server = await withReserve(reserve, () => startLocked(context, connection, lock.fd));
      server.unref();
      if (options.outlivesProcess) server.outlive();
      reserve.keep();
      return {
        connection,
        died: unexpectedEnd(server, dir),
        lastFailure: () => server.lastFailure(),
        stop: async () => {
          await Promise.all([reserve.stop(), server.stop()]);
        },
      };
    } finally {
      // A running server holds the lock itself.
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

/** Runs `work`. If the disk is full, deletes the reserve file and runs it again. */
async function withReserve<T>(reserve: ReserveFile, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!saysFull(String(error)) || !(await reserve.delete())) throw error;
    return work();
  }
}

async function startLocked(
  context: ClusterContext,
  connection: EmbeddedConnectionOptions,
  lockFd: number,
): Promise<PostgresProcess> {
  await ensureCluster(context, lockFd);
  const server = new PostgresProcess(context, lockFd);
  try {
    await becomeReady(server, connection, context.dir);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

async function prepare(options: EmbeddedPostgresOptions, dir: string): Promise<ClusterContext> {
  const { log, durable = true, maxConnections } = options;
  const runAs = await chooseRunAs(dir);
  const programs = await preparePrograms(options.binaries ?? (await findPostgresPackage()), runAs);
  return { dir, runAs, programs, durable, maxConnections, log };
}

/**
 * Resolves links, because a server that was left running is found by its path. The cluster may not exist yet.
 */
async function resolveLinks(dataDir: string): Promise<string> {
  await makeDirectory(dirname(dataDir), 0o700);
  return join(await realpath(dirname(dataDir)), basename(dataDir));
}

async function unexpectedEnd(server: PostgresProcess, dir: string): Promise<string> {
  const how = await server.ended;
  if (server.isStopping) return new Promise<string>(() => undefined);
  return `PostgreSQL ended unexpectedly: ${withAdvice(how, dir)}.`;
}
