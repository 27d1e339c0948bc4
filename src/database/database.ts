import { rm } from 'node:fs/promises';
import { DataSource } from 'typeorm';
import type { Configuration } from '../config/configuration.js';
import { databaseUrls, describeHosts } from '../config/database-url.js';
import { settlesWithin } from '../common/settles-within.js';
import { StartupError } from '../common/startup.error.js';
import { connectionDemand } from './connection/connection-demand.js';
import { type Connections, poolSizes } from './connection/connections.js';
import { asDatabaseError, isDatabaseFull, isDatabaseUnavailable } from './errors/database-errors.js';
import {
  dataSourceOptions,
  MIGRATING,
  type PostgresConnection,
  SERVING,
} from './connection/data-source-options.js';
import { oneLine } from './errors/one-line.js';
import {
  embeddedConnectionOptions,
  type EmbeddedConnectionOptions,
} from '../embedded-postgres/connection-options.js';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../embedded-postgres/embedded-postgres.js';
import { hasPendingMigrations, refuseNewerSchema, runMigrations } from './run-migrations.js';
import { type ServerWait, waitForServer } from './wait-for-server.js';

/** An open, migrated database. */
export interface Database extends Connections {
  /** For people: `embedded PostgreSQL in …`, or the address of the external one without credentials. */
  readonly description: string;
  /** Whether only this process and its workers use it. True for the embedded one. */
  readonly isPrivate: boolean;
  /** Directory of the embedded cluster; undefined for an external Postgres. */
  readonly clusterDirectory: string | undefined;
  /** Resolves to a message if the embedded Postgres ends unexpectedly. */
  readonly died: Promise<string>;
  /** Closes the connections and stops the embedded server. Never rejects. */
  close(): Promise<void>;
}

/** The directory of the embedded cluster, below `DATA_DIR`. */
export function embeddedClusterDirectory({ dataDir, storageDriver }: Configuration): string {
  // Blobs in memory are lost at the end, so their rows must not be mixed with those of other drivers.
  return storageDriver === 'memory' ? `${dataDir}/postgres-of-memory` : `${dataDir}/postgres`;
}

/**
 * Starts the embedded Postgres or connects to the external one, and runs the migrations. If the external one
 * does not respond yet, waits for it for `databaseWaitSeconds`.
 *
 * @param log called with each log line of the embedded Postgres.
 * @param warn called with warnings about that wait and about migrations.
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
    const server = { name: 'the embedded PostgreSQL', waitSeconds: 0, warn };
    const connections = await connect(connection, configuration, server);
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

/** How to connect to the server of `DATABASE_URL`, or to the embedded one that another process runs. */
export function runningServer(configuration: Configuration): PostgresConnection {
  if (configuration.databaseUrl !== undefined) return { url: configuration.databaseUrl };
  return embeddedConnection(embeddedConnectionOptions(embeddedClusterDirectory(configuration)));
}

/** How long to wait for the end of a server whose connections broke. */
const SERVER_END_TIMEOUT_MS = 10_000;

/** If the connection broke, the log of Postgres has the reason. */
async function reasonOf(error: unknown, postgres: EmbeddedPostgres): Promise<unknown> {
  const cause = error instanceof Error ? error.cause : undefined;
  if (!isDatabaseUnavailable(asDatabaseError(cause)) && !isDatabaseFull(cause)) return error;
  const hasEnded = await settlesWithin(postgres.died, SERVER_END_TIMEOUT_MS);
  const message = hasEnded ? await postgres.died : postgres.lastFailure();
  return message === undefined ? error : new StartupError(message, { cause: error });
}

/**
 * Connects a worker to the database that its primary has opened and will stop. Runs migrations that the
 * primary does not have: after a restart of the workers their code is newer. The worker derives the address
 * of the embedded one from the configuration, because each process reaches a long socket path differently.
 *
 * @param warn called with warnings about migrations.
 * @throws StartupError
 */
export async function joinDatabase(
  configuration: Configuration,
  warn: (line: string) => void,
): Promise<Database> {
  const { databaseUrl } = configuration;
  const directory = embeddedClusterDirectory(configuration);
  const description =
    databaseUrl === undefined ? `embedded PostgreSQL in ${directory}` : describeUrl(databaseUrl);
  const connections = await join(runningServer(configuration), configuration, warn).catch(
    (cause: unknown) => {
      throw new StartupError(`A worker can't use the database: ${oneLine(cause)}.`, { cause });
    },
  );
  const clusterDirectory = databaseUrl === undefined ? directory : undefined;
  return { ...connections, description, ...sharedServer(connections), clusterDirectory };
}

async function join(
  connection: PostgresConnection,
  configuration: Configuration,
  warn: (line: string) => void,
): Promise<Connections> {
  const connections = await connectAll(connection, configuration);
  try {
    await refuseNewerSchema(connections.dataSource, configuration.databaseAcceptNewer);
    if (await hasPendingMigrations(connections.dataSource)) await migrate(connection, warn);
    return connections;
  } catch (error) {
    await disconnectAll(connections);
    throw error;
  }
}

async function migrate(connection: PostgresConnection, warn: (line: string) => void): Promise<void> {
  const migrating = new DataSource(dataSourceOptions(connection, 2, MIGRATING));
  try {
    await migrating.initialize();
    await runMigrations(migrating, warn);
  } finally {
    await disconnect(migrating);
  }
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
  // The first start takes over a server that a killed Berth may have left. Then the cluster can be recreated.
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
  const { databaseWaitSeconds: waitSeconds } = configuration;
  const server = { name: 'the database of DATABASE_URL', waitSeconds, warn };
  const connections = await connect({ url }, configuration, server);
  return { ...connections, description, ...sharedServer(connections) };
}

/** For a server that other processes may use, and that this process does not stop. */
function sharedServer(
  connections: Connections,
): Pick<Database, 'isPrivate' | 'clusterDirectory' | 'died' | 'close'> {
  const died = new Promise<string>(() => undefined);
  return { isPrivate: false, clusterDirectory: undefined, died, close: () => disconnectAll(connections) };
}

async function connect(
  connection: PostgresConnection,
  configuration: Configuration,
  server: ServerWait,
): Promise<Connections> {
  const migrating = new DataSource(dataSourceOptions(connection, 2, MIGRATING));
  try {
    await waitForServer(() => migrating.initialize(), server);
    await refuseNewerSchema(migrating, configuration.databaseAcceptNewer);
    await runMigrations(migrating, server.warn);
    await disconnect(migrating);
    return await connectAll(connection, configuration);
  } catch (cause) {
    await disconnect(migrating);
    throw new StartupError(`Can't use ${server.name}: ${oneLine(cause)}.`, { cause });
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

/** A query to a server that does not respond keeps the pool open. */
const DISCONNECT_TIMEOUT_MS = 5_000;

async function disconnectAll({ dataSource, reads }: Connections): Promise<void> {
  await Promise.all([dataSource, reads].map(disconnect));
}

async function disconnect(dataSource: DataSource): Promise<void> {
  if (!dataSource.isInitialized) return;
  await settlesWithin(
    dataSource.destroy().catch(() => undefined),
    DISCONNECT_TIMEOUT_MS,
  );
}

function describeUrl(url: string): string {
  const urls = databaseUrls(url);
  return `PostgreSQL at ${describeHosts(urls)}${urls[0]?.pathname ?? ''}`;
}
