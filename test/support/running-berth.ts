import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { builtMain } from './built-berth.js';
import { runDirectory } from './once-per-run.js';
import { ORDINARY_BODIES } from './ordinary-bodies.js';
import { createMigratedDatabase, type TestDatabase } from './test-postgres.js';

/** One line of the log. */
export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** What a program needs to be found again by another spec file. */
interface Address {
  readonly url: string;
  readonly pid: number;
  readonly databaseUrl: string;
  readonly dataDir: string;
  readonly logFile: string;
}

/** The built program in its own process. Tests see its HTTP, rows, files and log. */
export class RunningBerth {
  private logStart = 0;

  protected constructor(protected address: Address) {
    this.forgetLog();
  }

  get url(): string {
    return this.address.url;
  }

  get dataDir(): string {
    return this.address.dataDir;
  }

  get databaseUrl(): string {
    return this.address.databaseUrl;
  }

  /** What it prints, from the beginning. */
  get logFile(): string {
    return this.address.logFile;
  }

  get pid(): number {
    return this.address.pid;
  }

  /** The memory that it has. Linux only. */
  residentBytes(): number {
    const status = readFileSync(`/proc/${this.address.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  }

  /** Runs SQL on its database. */
  async query<Row extends pg.QueryResultRow>(sql: string, parameters: unknown[] = []): Promise<Row[]> {
    const client = new pg.Client({ connectionString: this.databaseUrl });
    await client.connect();
    try {
      return (await client.query<Row>(sql, parameters)).rows;
    } finally {
      await client.end();
    }
  }

  /** Returns what it logged since this spec file began, or since `forgetLog`. */
  log(): LogLine[] {
    const text = readFileSync(this.address.logFile).subarray(this.logStart).toString();
    const lines = text.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'));
    return lines.map((line) => JSON.parse(line) as LogLine);
  }

  forgetLog(): void {
    this.logStart = statSync(this.address.logFile).size;
  }
}

/** A program with settings, restarts or failures of its own. `dispose` removes all that it had. */
export class OwnBerth extends RunningBerth {
  private constructor(
    address: Address,
    private readonly environment: Record<string, string>,
    private readonly database: TestDatabase | undefined,
  ) {
    super(address);
  }

  /** @param environment settings; with `DATABASE_URL` it shares another program's database. */
  static async start(environment: Record<string, string> = {}): Promise<OwnBerth> {
    const hasOwn = !environment['DATABASE_URL'] && environment['ROLE'] !== 'front';
    const database = hasOwn ? await createMigratedDatabase() : undefined;
    const directory = await newDirectory();
    const settings = settingsOf(directory, { DATABASE_URL: database?.url ?? '', ...environment });
    return new OwnBerth(await launch(directory, settings), settings, database);
  }

  /** Stops it as an operator does and starts it again on the same database and directory. */
  async restart(environment: Record<string, string> = {}): Promise<void> {
    await this.stop();
    await this.startAgain(environment);
  }

  async startAgain(environment: Record<string, string> = {}): Promise<void> {
    this.address = await launch(join(this.dataDir, '..'), { ...this.environment, ...environment });
    this.forgetLog();
  }

  /** Ends it with SIGTERM and waits until it is gone. */
  stop(): Promise<void> {
    return end(this.address.pid, 'SIGTERM');
  }

  /** Ends it with kill -9. */
  kill(): Promise<void> {
    return end(this.address.pid, 'SIGKILL');
  }

  async dispose(): Promise<void> {
    await this.kill();
    await this.database?.drop();
    await rm(join(this.dataDir, '..'), { recursive: true, force: true });
  }
}

/** A program that all spec files of a Jest worker share. The run's clean-up ends it. */
class SharedBerth extends RunningBerth {
  static async find(kind: string, environment: Record<string, string> = {}): Promise<SharedBerth> {
    const file = join(runDirectory(), `worker-${process.env['JEST_WORKER_ID'] ?? '1'}-${kind}.json`);
    if (!existsSync(file)) {
      const [database, directory] = [await createMigratedDatabase(), await newDirectory()];
      const settings = settingsOf(directory, { DATABASE_URL: database.url, ...environment });
      const address = await launch(directory, settings);
      writeFileSync(file, JSON.stringify(await frontedAddress(address)));
    }
    const address = JSON.parse(readFileSync(file, 'utf8')) as Address;
    if (!isRunning(address.pid)) throw new Error(`the shared Berth ended: ${tail(address.logFile)}`);
    return new SharedBerth(address);
  }
}

/**
 * `E2E_FRONT=on npm run jest -- test/e2e/uploads.spec.ts` runs a file through a front. Processes, rows, files
 * and the log are those of the replica.
 */
async function frontedAddress(replica: Address): Promise<Address> {
  if (process.env['E2E_FRONT'] !== 'on') return replica;
  const directory = await newDirectory();
  const settings = settingsOf(directory, { ROLE: 'front', FRONT_REPLICAS: replica.url, TLS: '' });
  const front = await launch(directory, settings);
  return { ...replica, url: front.url };
}

/** Starts a front. It is ready when its replicas have been asked once. */
export function startFront(
  replicas: readonly string[],
  environment: Record<string, string> = {},
): Promise<OwnBerth> {
  return OwnBerth.start({ ROLE: 'front', FRONT_REPLICAS: replicas.join(), TLS: '', ...environment });
}

/** Returns this worker's shared Berth, with default settings. Tests use repository names of their own. */
export function sharedBerth(): Promise<RunningBerth> {
  return SharedBerth.find('open');
}

/** Returns this worker's shared Berth that reads large bodies as it reads small ones. */
export function sharedFallbackBerth(): Promise<RunningBerth> {
  return SharedBerth.find('ordinary-bodies', { ...ORDINARY_BODIES });
}

async function newDirectory(): Promise<string> {
  const directory = await mkdtemp(join(runDirectory(), 'berth-'));
  await mkdir(join(directory, 'data'));
  return directory;
}

function settingsOf(directory: string, environment: Record<string, string>): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    DATA_DIR: join(directory, 'data'),
    PORT: '0',
    LOG_FORMAT: 'json',
    DATABASE_POOL_SIZE: '6',
    // Many tests stop it in the middle of requests.
    SHUTDOWN_GRACE_SECONDS: '0',
    // `E2E_TLS=auto npm run jest -- test/e2e/connections.spec.ts` runs a file over TLS.
    TLS: process.env['E2E_TLS'] ?? '',
    ...environment,
  };
}

/** Starts the program and waits until it says its address. @throws with its output when it ends before. */
async function launch(directory: string, environment: Record<string, string>): Promise<Address> {
  const main = await builtMain();
  const logFile = join(directory, `${Date.now()}.log`);
  const output = openSync(logFile, 'a');
  const child = spawn(process.execPath, [main], {
    cwd: directory,
    env: environment,
    stdio: ['ignore', output, output],
    detached: true,
  });
  closeSync(output);
  child.unref();
  const pid = child.pid ?? 0;
  // The run's clean-up kills what has such a file.
  writeFileSync(pidFile(pid), String(pid));
  for (;;) {
    const url = /^(?: {2}registry +|{.*"url":")(https?:\/\/[^/"\s]+)/m.exec(
      readFileSync(logFile, 'utf8'),
    )?.[1];
    const DATABASE_URL = environment['DATABASE_URL'] ?? '';
    if (url) return { url, pid, databaseUrl: DATABASE_URL, dataDir: environment['DATA_DIR'] ?? '', logFile };
    if (child.exitCode !== null || child.signalCode !== null) {
      rmSync(pidFile(pid), { force: true });
      throw new Error(readFileSync(logFile, 'utf8'));
    }
    await sleep(20);
  }
}

async function end(pid: number, signal: NodeJS.Signals): Promise<void> {
  if (isRunning(pid)) process.kill(pid, signal);
  while (isRunning(pid)) await sleep(10);
  rmSync(pidFile(pid), { force: true });
}

/** Whether the process is there. A child that ended is reaped by Node at once. */
function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function pidFile(pid: number): string {
  return join(runDirectory(), `${pid}.pid`);
}

function tail(file: string): string {
  return readFileSync(file, 'utf8').slice(-2000);
}
