import { appendFile, chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { copyRunningCluster } from '../../src/backup/cluster-copy.js';
import { embeddedConnectionOptions } from '../../src/embedded-postgres/connection-options.js';
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../src/embedded-postgres/embedded-postgres.js';
import { until } from './until.js';

/** A PostgreSQL with a synchronous standby: a commit is acknowledged when both have it. */
export class PostgresPair {
  private readonly servers: EmbeddedPostgres[] = [];

  private constructor(
    /** The directories of the sockets. */
    readonly primary: string,
    readonly standby: string,
  ) {}

  static async start(scratch: string): Promise<PostgresPair> {
    const pair = new PostgresPair(join(scratch, 'one/postgres'), join(scratch, 'two/postgres'));
    for (const directory of [pair.primary, pair.standby]) {
      await mkdir(dirname(directory), { recursive: true });
      // The servers may run as another user, and the standby connects to the socket of the primary.
      await chmod(dirname(directory), 0o755);
    }
    await pair.startServer(pair.primary);
    await pair.makeStandby();
    await pair.startServer(pair.standby);
    await pair.query(pair.primary, "ALTER SYSTEM SET synchronous_standby_names = 'standby'");
    await pair.query(pair.primary, 'SELECT pg_reload_conf()');
    const states = "SELECT FROM pg_stat_replication WHERE sync_state = 'sync'";
    await until('a synchronous standby', async () => (await pair.query(pair.primary, states)).length === 1);
    return pair;
  }

  /** kill -9 of the primary. Its sessions notice and end. */
  async killPrimary(): Promise<void> {
    const pid = parseInt(await readFile(join(this.primary, 'postmaster.pid'), 'utf8'), 10);
    process.kill(pid, 'SIGKILL');
    await this.servers[0]?.died;
  }

  /** Makes the standby a primary, as a cluster manager does. */
  async promote(): Promise<void> {
    await this.query(this.standby, 'SELECT pg_promote(true, 120)');
  }

  async stop(): Promise<void> {
    for (const server of this.servers.splice(0).reverse()) await server.stop();
  }

  private async startServer(dataDir: string): Promise<void> {
    this.servers.push(await startEmbeddedPostgres({ dataDir, log: () => undefined, reserveBytes: 0 }));
  }

  private async makeStandby(): Promise<void> {
    const client = new pg.Client(embeddedConnectionOptions(this.primary));
    await client.connect();
    try {
      await copyRunningCluster(client, this.primary, this.standby);
    } finally {
      await client.end();
    }
    await writeFile(join(this.standby, 'standby.signal'), '');
    const source = `host=${this.primary} port=5432 user=berth application_name=standby`;
    await appendFile(join(this.standby, 'postgresql.auto.conf'), `primary_conninfo = '${source}'\n`);
  }

  private async query(directory: string, sql: string): Promise<unknown[]> {
    const client = new pg.Client(embeddedConnectionOptions(directory));
    await client.connect();
    try {
      return (await client.query<pg.QueryResultRow>(sql)).rows;
    } finally {
      await client.end();
    }
  }
}
