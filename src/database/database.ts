import { rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import type { Configuration } from '../config/configuration.js';
import { StartupError } from '../common/startup.error.js';
import { connectionDemand } from './connection/connection-demand.js';
import { type Connections, poolSizes } from './connection/connections.js';
import { isDatabaseFull, isDatabaseUnavailable } from './errors/database-errors.js';
import {
  dataSourceOptions,
  MIGRATING,
  type PostgresConnection,
  SERVING,
} from './connection/data-source-options.js';
import {
  embeddedConnectionOptions,
  type EmbeddedConnectionOptions,
} from '../embedded-postgres/connection-options.js';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../embedded-postgres/embedded-postgres.js';
import { runMigrations } from './run-migrations.js';

/** Postgres, reached and up to date. */
export interface Database extends Connections {
  /** For a person to read: `embedded PostgreSQL`, or the external one's address without credentials. */
  readonly description: string;
  /** Whether no other process can be using it: the embedded one belongs to whoever holds the data directory. */
  readonly isPrivate: boolean;
  /** Where the embedded cluster lies; undefined for an external Postgres. */
  readonly clusterDirectory: string | undefined;
  /** Settles with a sentence when the embedded Postgres is gone unexpectedly. */
  readonly died: Promise<string>;
  /** Ends connections and, where it is embedded, the server. Never rejects. */
  close(): Promise<void>;
}

/** Where the embedded cluster of a configuration lies, below `DATA_DIR`. */
export function embeddedClusterDirectory({ dataDir, storageDriver }: Configuration): string {
  // With blobs in memory, rows of the last run would speak of bytes that are gone: they get a cluster of their own.
  return storageDriver === 'memory' ? `${dataDir}/postgres-of-memory` : `${dataDir}/postgres`;
}

/**
 * Starts or reaches Postgres and migrates it.
 *
 * @param log gets what the embedded Postgres logs.
 * @param warn gets what an operator should know of migrations.
 * @throws StartupError
 */
export async function openDatabase(
  configuration: Configuration,
  log: (line: string) => void,
  warn: (line: string) => void,
): Promise<Database> {
  if (configuration.databaseUrl !== undefined)
    return openExternal(configuration.databaseUrl, configuration, warn);
  const directory = embeddedClusterDirectory(configuration);
  const postgres = await startEmbedded(configuration, directory, log);
  try {
    const connection = embeddedConnection(postgres.connection);
    const connections = await connect(connection, configuration, 'the embedded PostgreSQL', warn);
    return {
      ...connections,
      description: `embedded PostgreSQL in ${directory}`,
      isPrivate: true,
      clusterDirectory: directory,
      died: postgres.died,
      close: () => disconnectAll(connections).finally(() => postgres.stop()),
    };
  } catch (error) {
    const reason = await reasonOf(error, postgres);
    await postgres.stop();
    throw reason;
  }
}

/** How long a server whose connections broke is given to end, and to say why. */
const LAST_WORDS_MS = 10_000;

/** A connection that broke says nothing; what Postgres logged does. */
async function reasonOf(error: unknown, postgres: EmbeddedPostgres): Promise<unknown> {
  const cause = error instanceof Error ? error.cause : undefined;
  if (!isDatabaseUnavailable(cause) && !isDatabaseFull(cause)) return error;
  const late = delay(LAST_WORDS_MS, undefined, { ref: false });
  const sentence = (await Promise.race([postgres.died, late])) ?? postgres.lastFailure();
  return sentence === undefined ? error : new StartupError(sentence, { cause: error });
}

/**
 * Reaches the Postgres that the primary of this worker has opened, which is up to date and is the primary's to stop.
 * A worker finds the embedded one as the primary does, by the configuration that they share: a path too long for a socket is
 * reached in another way by each process.
 *
 * @throws StartupError
 */
export async function joinDatabase(configuration: Configuration): Promise<Database> {
  const { databaseUrl } = configuration;
  const directory = embeddedClusterDirectory(configuration);
  const [connection, description] =
    databaseUrl === undefined
      ? [embeddedConnection(embeddedConnectionOptions(directory)), `embedded PostgreSQL in ${directory}`]
      : [{ url: databaseUrl }, describeUrl(databaseUrl)];
  const connections = await connectAll(connection, configuration).catch((cause: unknown) => {
    throw new StartupError(`A worker can't use the database: ${oneLine(cause)}.`, { cause });
  });
  const clusterDirectory = databaseUrl === undefined ? directory : undefined;
  return { ...connections, description, ...notOurs(connections), clusterDirectory };
}

function embeddedConnection({ user, ...connection }: EmbeddedConnectionOptions): PostgresConnection {
  return { ...connection, username: user };
}

async function startEmbedded(
  configuration: Configuration,
  dataDir: string,
  log: (line: string) => void,
): Promise<EmbeddedPostgres> {
  const maxConnections = connectionDemand(configuration);
  const { databaseReserveBytes: reserveBytes } = configuration;
  if (configuration.storageDriver !== 'memory')
    return startEmbeddedPostgres({ dataDir, log, maxConnections, reserveBytes });
  // The first start takes over a server that a killed Berth may have left there; then it can be made anew.
  await (await startEmbeddedPostgres({ dataDir, log, durable: false })).stop();
  await rm(dataDir, { recursive: true, force: true });
  return startEmbeddedPostgres({ dataDir, log, durable: false, maxConnections });
}

async function openExternal(
  url: string,
  configuration: Configuration,
  warn: (line: string) => void,
): Promise<Database> {
  const description = describeUrl(url);
  const connections = await connect({ url }, configuration, 'the database of DATABASE_URL', warn);
  return { ...connections, description, ...notOurs(connections) };
}

/** Of a server that others may use, and that isn't this process's to stop. */
function notOurs(
  connections: Connections,
): Pick<Database, 'isPrivate' | 'clusterDirectory' | 'died' | 'close'> {
  const died = new Promise<string>(() => undefined);
  return { isPrivate: false, clusterDirectory: undefined, died, close: () => disconnectAll(connections) };
}

async function connect(
  connection: PostgresConnection,
  configuration: Configuration,
  name: string,
  warn: (line: string) => void,
): Promise<Connections> {
  const migrating = new DataSource(dataSourceOptions(connection, 2, MIGRATING));
  try {
    await migrating.initialize();
    await runMigrations(migrating, warn);
    await disconnect(migrating);
    return await connectAll(connection, configuration);
  } catch (cause) {
    await disconnect(migrating);
    throw new StartupError(`Can't use ${name}: ${oneLine(cause)}.`, { cause });
  }
}

async function connectAll(
  connection: PostgresConnection,
  { databasePoolSize }: Configuration,
): Promise<Connections> {
  const sizes = poolSizes(databasePoolSize);
  const make = (size: number) => new DataSource(dataSourceOptions(connection, size, SERVING));
  const connections = { dataSource: make(sizes.dataSource), reads: make(sizes.reads) };
  try {
    await Promise.all(Object.values(connections).map((each) => each.initialize()));
    return connections;
  } catch (error) {
    await disconnectAll(connections);
    throw error;
  }
}

/** A query that never ends (the server is there and doesn't answer) would keep the pool from closing. */
const DISCONNECT_PATIENCE_MS = 5_000;

async function disconnectAll({ dataSource, reads }: Connections): Promise<void> {
  await Promise.all([dataSource, reads].map(disconnect));
}

async function disconnect(dataSource: DataSource): Promise<void> {
  if (!dataSource.isInitialized) return;
  const patience = delay(DISCONNECT_PATIENCE_MS, undefined, { ref: false });
  await Promise.race([dataSource.destroy().catch(() => undefined), patience]);
}

function describeUrl(url: string): string {
  const { hostname, port, pathname } = new URL(url);
  return `PostgreSQL at ${decodeURIComponent(hostname)}:${port || '5432'}${pathname}`;
}

/** Node reports a host with several addresses as an AggregateError without a message of its own. */
function oneLine(error: unknown): string {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  const message = first instanceof Error && first.message !== '' ? first.message : 'unknown error';
  return (message.split('\n', 1)[0] ?? message).replace(/\.$/, '');
}
