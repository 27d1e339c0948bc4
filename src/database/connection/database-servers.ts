import pg from 'pg';
import { databaseUrls, describeHosts } from '../../config/database-url.js';
import { NoWritableServerError } from '../errors/no-writable-server.error.js';
import { oneLine } from '../errors/one-line.js';
import { isTemporary } from '../wait-for-server.js';

/** Shorter than a connection may take: see `connectionTimeoutMillis`. */
const PROBE_TIMEOUT_MS = 4_000;

/** Whether a server takes writes, and what tells it from another one, and from itself before a restart. */
const STATE = `SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean
       AS "isReadOnly", extract(epoch FROM pg_postmaster_start_time())::text AS "startedAt"`;

interface ServerState {
  readonly isReadOnly: boolean;
  readonly startedAt: string;
}

/** A host of `DATABASE_URL`. */
export interface DatabaseServer {
  readonly url: string;
  /** As node-postgres needs them: the host may be the directory of a socket. */
  readonly host: string;
  readonly port: number;
  /** For messages. */
  readonly name: string;
}

/**
 * The servers that `DATABASE_URL` names, of which one takes writes at a time. With one host, its address may
 * move from a server to another.
 *
 *      known ──── it has no connection any more, or takes no writes ────► unknown
 *        ▲                                                                   │
 *        └──────────────── all hosts are asked, and one takes writes ────────┘
 *
 * When a new connection reaches another server than the others did, those are closed: their server has been
 * replaced, and may never respond again.
 */
export class DatabaseServers {
  private static readonly known = new Map<string, DatabaseServers>();

  private readonly servers: readonly DatabaseServer[];
  private current: DatabaseServer | undefined;
  private choosing: Promise<DatabaseServer> | undefined;
  private startedAt: string | undefined;
  private readonly connections = new Map<pg.Client, string>();

  /** All connections of a process to one `DATABASE_URL` share this. */
  static of(databaseUrl: string): DatabaseServers {
    const servers = this.known.get(databaseUrl) ?? new DatabaseServers(databaseUrl);
    this.known.set(databaseUrl, servers);
    return servers;
  }

  private constructor(databaseUrl: string) {
    this.servers = databaseUrls(databaseUrl).map((url) => {
      const { host, port } = new pg.Client({ connectionString: url.href });
      return { url: url.href, host, port, name: describeHosts([url]) };
    });
  }

  /** For what needs only a user, a password, a database and parameters: they are the same for all hosts. */
  get anyUrl(): string {
    return this.servers[0]?.url ?? '';
  }

  /** The server that takes writes, as far as is known. @throws NoWritableServerError, or as `connect` */
  choose(): Promise<DatabaseServer> {
    const [only] = this.servers;
    if (only !== undefined && this.servers.length === 1) return Promise.resolve(only);
    if (this.current !== undefined && this.connections.size > 0) return Promise.resolve(this.current);
    this.choosing ??= this.search().finally(() => (this.choosing = undefined));
    return this.choosing;
  }

  /** Call it when a connection to `server` failed: the next one looks at all hosts. */
  forget(server: DatabaseServer): void {
    if (this.current === server) this.current = undefined;
  }

  /**
   * Checks a new connection to `server`.
   *
   * @throws NoWritableServerError if it takes no writes; errors of the connection
   */
  async accept(client: pg.Client, server: DatabaseServer): Promise<void> {
    const { isReadOnly, startedAt } = await stateOf(client);
    if (isReadOnly) throw new NoWritableServerError(`${server.name} takes no writes`);
    this.connections.set(client, startedAt);
    client.once('end', () => this.connections.delete(client));
    if (startedAt === this.startedAt) return;
    this.startedAt = startedAt;
    for (const [other, started] of this.connections) if (started !== startedAt) breakOff(other);
  }

  private async search(): Promise<DatabaseServer> {
    try {
      const found = await Promise.any(this.servers.map(probe));
      return (this.current = found);
    } catch (error) {
      const errors: unknown[] = error instanceof AggregateError ? error.errors : [error];
      // A wrong password, for example, on every host.
      if (!errors.some(isTemporary)) throw errors[0];
      const reasons = this.servers.map(({ name }, n) => `${name}: ${oneLine(errors[n])}`).join('; ');
      throw new NoWritableServerError(`no host of DATABASE_URL takes writes (${reasons})`, { cause: error });
    }
  }
}

/** Closes the connection at once: its queries fail, and its pool makes another one. */
export function breakOff(client: pg.Client): void {
  client.end().catch(() => undefined);
  client.connection.stream.destroy();
}

async function probe(server: DatabaseServer): Promise<DatabaseServer> {
  const client = new pg.Client({
    connectionString: server.url,
    application_name: 'berth-probe',
    connectionTimeoutMillis: PROBE_TIMEOUT_MS,
    query_timeout: PROBE_TIMEOUT_MS,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    if ((await stateOf(client)).isReadOnly) throw new NoWritableServerError('takes no writes');
    return server;
  } finally {
    client.end().catch(() => undefined);
  }
}

async function stateOf(client: pg.Client): Promise<ServerState> {
  const { rows } = await client.query<ServerState>(STATE);
  const [state] = rows;
  if (state === undefined) throw new Error('PostgreSQL returned no row');
  return state;
}
