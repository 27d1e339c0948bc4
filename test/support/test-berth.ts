import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Berth, startBerth } from '../../src/boot/start-berth.js';
import { loadConfiguration } from '../../src/config/load-configuration.js';
import { createLogger } from '../../src/observability/logger.js';
import type { LogLine } from './running-berth.js';
import { createMigratedDatabase } from './test-postgres.js';

/** A whole registry in this process, with its own database and directory. */
export interface TestBerth extends Berth {
  readonly dataDir: string;
  readonly databaseUrl: string;
  /** Runs SQL on its database. */
  query<Row>(sql: string, parameters?: unknown[]): Promise<Row[]>;
  /** What it logged since its start, or since `forgetLog`. Nothing, unless `LOG_LEVEL` is set. */
  log(): LogLine[];
  forgetLog(): void;
  /** Stops it and starts it again on the same database and directory. */
  restart(environment?: Record<string, string>, whileStopped?: () => Promise<void>): Promise<void>;
  /** Stops it and removes its database and directory. */
  dispose(): Promise<void>;
}

/**
 * Starts a registry in this process. A first one takes a second, each later one a small part of it.
 *
 * @param environment settings besides those that separate tests; with `DATABASE_URL` it shares another
 * program's database.
 */
export async function startTestBerth(environment: Record<string, string> = {}): Promise<TestBerth> {
  let lines: string[] = [];
  const database = environment['DATABASE_URL'] ? undefined : await createMigratedDatabase();
  const databaseUrl = database?.url ?? environment['DATABASE_URL'] ?? '';
  const dataDir = await mkdtemp(join(tmpdir(), 'berth-e2e-'));
  const fixed = {
    DATA_DIR: dataDir,
    DATABASE_URL: databaseUrl,
    PORT: '0',
    LOG_LEVEL: 'silent',
    LOG_FORMAT: 'json',
    DATABASE_POOL_SIZE: '6',
    // Many tests restart it in the middle of requests.
    SHUTDOWN_GRACE_SECONDS: '0',
  };
  const start = async (extra: Record<string, string>) => {
    const configuration = loadConfiguration({ ...fixed, ...environment, ...extra });
    const output = { write: (line: string) => void lines.push(line) };
    return startBerth(configuration, await createLogger(configuration, output));
  };
  const remove = async () => {
    await database?.drop();
    await rm(dataDir, { recursive: true, force: true });
  };
  let running = await start({}).catch(async (error: unknown) => {
    await remove();
    throw error;
  });
  const berth: Omit<TestBerth, keyof Berth> = {
    dataDir,
    databaseUrl,
    query: (sql, parameters = []) => running.database.dataSource.query(sql, parameters),
    log: () => lines.map((line) => JSON.parse(line) as LogLine),
    forgetLog: () => void (lines = []),
    restart: async (extra = {}, whileStopped = () => Promise.resolve()) => {
      await running.close();
      await whileStopped();
      running = await start(extra);
    },
    dispose: async () => {
      await running.close();
      await remove();
    },
  };
  // After a restart the same object stands for the new one.
  return new Proxy(berth as TestBerth, {
    get: (own, name, receiver): unknown =>
      name in own ? Reflect.get(own, name, receiver) : Reflect.get(running, name),
  });
}
