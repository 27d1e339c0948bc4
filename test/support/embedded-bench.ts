import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, copyFile, link, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { claimDataDirectory } from '../../src/boot/data-directory.js';
import { embeddedConnectionOptions } from '../../src/embedded-postgres/connection-options.js';
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
} from '../../src/embedded-postgres/embedded-postgres.js';
import type { PostgresPackage } from '../../src/embedded-postgres/postgres-package.js';
import { compileSources } from './compiled-sources.js';
import { type ChildOptions, EmbeddedChild } from './embedded-child.js';

/**
 * Where a test file starts embedded servers, here and in processes of their own. It leaves nothing running.
 */
export class EmbeddedBench {
  private readonly servers: EmbeddedPostgres[] = [];
  private readonly claims: { release(): void }[] = [];
  private readonly children: EmbeddedChild[] = [];
  private directories = 0;
  private node: Promise<string> | undefined;
  private stopped: string | undefined;

  private constructor(
    private readonly scratch: string,
    private readonly compiled: string,
  ) {}

  static async open(): Promise<EmbeddedBench> {
    const compiled = await compileSources([
      'src/boot/data-directory.ts',
      'src/common',
      'src/config',
      'src/embedded-postgres',
      'test/support/embedded-process.ts',
    ]);
    const scratch = await mkdtemp(join(tmpdir(), 'berth-embedded-'));
    await chmod(scratch, 0o755);
    return new EmbeddedBench(scratch, compiled);
  }

  /** A path for a data directory that does not exist yet. */
  newDataDir(): string {
    this.directories += 1;
    return join(this.scratch, `data-${this.directories}`);
  }

  /**
   * The path of a Node that every user can run: the one that runs the tests may be below a directory that
   * only its owner can enter.
   */
  nodeForEveryUser(): Promise<string> {
    const path = join(this.scratch, 'node');
    this.node ??= link(process.execPath, path)
      .catch(() => copyFile(process.execPath, path))
      .then(() => path);
    return this.node;
  }

  /** Connects as a user to the socket of a cluster. Returns 'connected' or the error code. */
  async connectAs(uid: number, dataDir: string): Promise<string> {
    const socket = join(dataDir, 'postgres/.s.PGSQL.5432');
    const script = `require('net').connect(process.argv[1])
      .on('error', (e) => console.log(e.code))
      .on('connect', function () { console.log('connected'); this.destroy(); })`;
    const options = { uid, gid: uid, cwd: '/', encoding: 'utf8' } as const;
    const { stdout, error } = spawnSync(await this.nodeForEveryUser(), ['-e', script, socket], options);
    if (error) throw error;
    return stdout.trim();
  }

  async start(dataDir: string, binaries?: PostgresPackage): Promise<EmbeddedPostgres> {
    const server = await startEmbeddedPostgres({
      dataDir: join(dataDir, 'postgres'),
      log: () => undefined,
      ...(binaries && { binaries }),
    });
    this.servers.push(server);
    return server;
  }

  spawn(options: ChildOptions): EmbeddedChild {
    const child = new EmbeddedChild(this.compiled, options);
    this.children.push(child);
    return child;
  }

  async claim(dataDir: string): Promise<void> {
    this.claims.push(await claimDataDirectory(dataDir));
  }

  /** A data directory to copy, which is faster than a new cluster. */
  async stoppedCluster(): Promise<string> {
    if (this.stopped === undefined) {
      this.stopped = this.newDataDir();
      await (await this.start(this.stopped)).stop();
    }
    return this.stopped;
  }

  /** For afterEach. */
  async clear(): Promise<void> {
    for (const child of this.children.splice(0)) await child.kill();
    for (const claim of this.claims.splice(0)) claim.release();
    for (const server of this.servers.splice(0)) await server.stop();
    for (const directory of await readdir(this.scratch)) {
      const dataDir = join(this.scratch, directory);
      const pid = postmasterPid(dataDir);
      if (pid !== undefined && commandLine(pid).includes(dataDir)) process.kill(pid, 'SIGQUIT');
    }
  }

  async dispose(): Promise<void> {
    await rm(this.scratch, { recursive: true, force: true });
    await rm(this.compiled, { recursive: true, force: true });
  }
}

/** The process id in the pid file of the cluster. */
export function postmasterPid(dataDir: string): number | undefined {
  const file = join(dataDir, 'postgres/postmaster.pid');
  return existsSync(file) ? parseInt(readFileSync(file, 'utf8'), 10) : undefined;
}

/** The command line of a process, empty if it has ended. */
export function commandLine(pid: number): string {
  const file = `/proc/${pid}/cmdline`;
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

export async function query(dataDir: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ ...embeddedConnectionOptions(join(dataDir, 'postgres')) });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const result = (await client.query<Record<string, unknown>>(sql)) as
      pg.QueryResult<Record<string, unknown>> | pg.QueryResult<Record<string, unknown>>[];
    return Array.isArray(result) ? [] : result.rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** A table whose row must survive. */
export const KEEP = `CREATE TABLE kept (x int); INSERT INTO kept VALUES (42)`;

export function kept(dataDir: string): Promise<Record<string, unknown>[]> {
  return query(dataDir, 'SELECT x FROM kept');
}
