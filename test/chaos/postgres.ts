import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { embeddedConnectionOptions } from '../../src/embedded-postgres/connection-options.js';
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../src/embedded-postgres/embedded-postgres.js';

/** The run's own Postgres, which can be stopped, killed and started again. */
export class ChaosPostgres {
  private running: EmbeddedPostgres | undefined;

  constructor(private readonly dataDir: string) {}

  /** Creates the server, or starts it again after a stop or a kill. */
  async start(): Promise<void> {
    // Otherwise a commit is acknowledged before its WAL is written, and kill -9 loses it.
    this.running = await startEmbeddedPostgres({
      dataDir: this.dataDir,
      log: () => undefined,
      durable: true,
    });
  }

  get url(): string {
    const { user, host, port, database } = embeddedConnectionOptions(this.dataDir);
    return `postgres://${user}@${encodeURIComponent(host)}:${port}/${database}`;
  }

  /** As an operator restarts it: ends sessions without waiting for them. */
  async restart(): Promise<true> {
    await this.running?.stop();
    await this.start();
    return true;
  }

  /** kill -9 of the server. Its backends notice and end. */
  async killAndRestart(): Promise<true> {
    const pid = parseInt(await readFile(join(this.dataDir, 'postmaster.pid'), 'utf8'), 10);
    process.kill(pid, 'SIGKILL');
    await this.running?.died;
    await this.start();
    return true;
  }

  /** kill -9 of one session: the server ends all others and recovers. Returns false without a session. */
  async killBackend(): Promise<boolean> {
    const sql = `SELECT pid FROM pg_stat_activity
                  WHERE application_name = 'berth' ORDER BY backend_start LIMIT 1`;
    const [backend] = await this.query<{ pid: number }>(sql);
    return backend !== undefined && killed(backend.pid);
  }

  /** Whether a transaction waits for a lock of an idle one. */
  isBlockedByIdle(): Promise<boolean> {
    const sql = `SELECT 1 FROM pg_stat_activity waiting,
                        unnest(pg_blocking_pids(waiting.pid)) AS blocking (pid)
                   JOIN pg_stat_activity holder ON holder.pid = blocking.pid
                  WHERE holder.state = 'idle in transaction'
                    AND holder.state_change < clock_timestamp() - interval '40 ms'`;
    return this.query(sql).then(
      (rows) => rows.length > 0,
      () => false,
    );
  }

  isReady(): Promise<boolean> {
    return this.query('SELECT 1').then(
      () => true,
      () => false,
    );
  }

  /** Uses a new connection, because faults break the others. */
  async query<Row extends pg.QueryResultRow>(sql: string, parameters: unknown[] = []): Promise<Row[]> {
    const client = new pg.Client(embeddedConnectionOptions(this.dataDir));
    client.on('error', () => undefined);
    try {
      await client.connect();
      return (await client.query<Row>(sql, parameters)).rows;
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  async stop(): Promise<void> {
    await this.running?.stop();
  }
}

/** Returns false if the process had already ended. */
function killed(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}
