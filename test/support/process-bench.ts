import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from '@jest/globals';
import { tryFileLock } from '../../src/common/file-lock.js';
import { BerthProcess, type ProcessLimits } from './berth-process.js';
import { builtMain } from './built-berth.js';
import { until } from './until.js';

/** For hangs only. */
const GONE_TIMEOUT_MS = 120_000;
const READY_TIMEOUT_MS = 240_000;

/** The clusters that a data directory may have; the second one belongs to STORAGE_DRIVER=memory. */
const CLUSTERS = ['postgres', 'postgres-of-memory'] as const;
type Cluster = (typeof CLUSTERS)[number];

/** Starts and kills Berths for a test. Leaves no process and no file behind. */
export class ProcessBench {
  /** The working directory of every Berth. */
  scratch = '';
  private main = '';
  private readonly processes: BerthProcess[] = [];
  private directories = 0;

  async open(): Promise<void> {
    this.scratch = await mkdtemp(join(tmpdir(), 'berth-process-'));
    await chmod(this.scratch, 0o755);
    this.main = await builtMain();
  }

  /** Returns the path of a data directory that does not exist yet. */
  newDataDir(): string {
    this.directories += 1;
    return join(this.scratch, `data-${this.directories}`);
  }

  /** Writes a file in the working directory of every Berth and returns its path. */
  async write(name: string, text: string): Promise<string> {
    const path = join(this.scratch, name);
    await writeFile(path, text);
    return path;
  }

  remove(name: string): Promise<void> {
    return rm(join(this.scratch, name));
  }

  /** Starts a Berth on any free port. */
  start(environment: Record<string, string>, limits: ProcessLimits = {}): BerthProcess {
    const berth = new BerthProcess(
      limits.main ?? this.main,
      { PORT: '0', ...environment },
      this.scratch,
      limits,
    );
    this.processes.push(berth);
    return berth;
  }

  /** Starts a Berth whose output cannot be read. Returns it with its address when it is ready. */
  async startUnheard(environment: Record<string, string>, output: number): Promise<[BerthProcess, string]> {
    const PORT = String(await freePort());
    const berth = this.start({ ...environment, PORT }, { output });
    const url = `http://127.0.0.1:${PORT}`;
    const isReady = async () => {
      if (!berth.isRunning) throw new Error(`Berth ended: ${JSON.stringify(await berth.ended())}`);
      return fetch(`${url}/health/ready`).then(
        ({ status }) => status === 200,
        () => false,
      );
    };
    await until('a ready Berth', isReady, READY_TIMEOUT_MS);
    return [berth, url];
  }

  /** Kills the processes that still run, with the Postgres of each data directory. For afterEach. */
  async clear(): Promise<void> {
    for (const berth of this.processes.splice(0)) await berth.kill();
    for (let n = 1; n <= this.directories; n += 1) {
      const dataDir = join(this.scratch, `data-${n}`);
      for (const cluster of CLUSTERS) await this.clearPostgres(dataDir, cluster);
    }
  }

  async dispose(): Promise<void> {
    await this.clear();
    await rm(this.scratch, { recursive: true, force: true });
  }

  private async clearPostgres(dataDir: string, cluster: Cluster): Promise<void> {
    const pid = postmasterPid(dataDir, cluster);
    if (pid !== undefined && isPostgresOf(pid, dataDir, cluster)) process.kill(pid, 'SIGQUIT');
    await expectPostgresGone(dataDir, GONE_TIMEOUT_MS, cluster);
  }
}

/** A port without a listener. */
export async function freePort(address = '127.0.0.1'): Promise<number> {
  const server = createServer().listen(0, address);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The process id of the Postgres in a data directory, from its pid file. */
export function postmasterPid(dataDir: string, cluster: Cluster = 'postgres'): number | undefined {
  const file = join(dataDir, cluster, 'postmaster.pid');
  return existsSync(file) ? parseInt(readFileSync(file, 'utf8'), 10) : undefined;
}

/** Waits until no process of a cluster's Postgres runs: each of them holds its lock. */
export async function expectPostgresGone(
  dataDir: string,
  timeoutMs = GONE_TIMEOUT_MS,
  cluster: Cluster = 'postgres',
): Promise<void> {
  const path = join(dataDir, `${cluster}.lock`);
  const deadline = Date.now() + timeoutMs;
  while (existsSync(path)) {
    const lock = await tryFileLock(path);
    lock?.release();
    if (lock) return;
    if (Date.now() > deadline) throw new Error(`a server on ${dataDir}/${cluster} is still running`);
    await sleep(25);
  }
}

/** Whether a server accepts connections at the address of `url`. */
export function isListening(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** Whether `pid` is a running server on this data directory. A zombie is not. */
export function isPostgresOf(pid: number, dataDir: string, cluster: Cluster = 'postgres'): boolean {
  const file = `/proc/${pid}/cmdline`;
  return existsSync(file) && readFileSync(file, 'utf8').includes(`=${dataDir}/${cluster}\0`);
}

/** The end of a Berth that stopped as it should. */
export const CLEAN_EXIT = { code: 0, signal: null, stderr: '' };

/** Stops a ready Berth and returns how it ended. Fails if it left a process or a socket. */
export async function stopped(berth: BerthProcess, dataDir: string, stop: () => void) {
  const url = await berth.url();
  stop();
  const end = await berth.ended();
  expect(await isListening(url)).toBe(false);
  await expectPostgresGone(dataDir, 0);
  return end;
}
