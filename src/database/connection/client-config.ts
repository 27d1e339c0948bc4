import pg from 'pg';
import type { DataSource, DataSourceOptions } from 'typeorm';

/** A connection that this process keeps outside its pools. */
export interface OwnConnection {
  /** Postgres shows it as `application_name`. */
  readonly name: string;
  /** How long connecting may take, and then each query. */
  readonly timeoutMs: number;
}

/** The class of its connections: see `clientOf`, which finds the host that takes writes. */
export function clientClass({ options }: DataSource): typeof pg.Client {
  const { Client = pg.Client } = (options.extra ?? {}) as { readonly Client?: typeof pg.Client };
  return Client;
}

/** Options of {@link clientClass} for a connection of its own to the server of `dataSource`. */
export function clientConfig({ options }: DataSource, { name, timeoutMs }: OwnConnection): pg.ClientConfig {
  const { url, host, port, username, password, database, ssl } = options as Extract<
    DataSourceOptions,
    { type: 'postgres' }
  >;
  const fields = {
    ...(host !== undefined && { host }),
    ...(port !== undefined && { port }),
    ...(username !== undefined && { user: username }),
    ...(typeof password === 'string' && { password }),
    ...(database !== undefined && { database }),
    // Explicit: otherwise PGSSLMODE of the environment applies.
    ...(ssl === false && { ssl }),
  };
  return {
    ...(url === undefined ? fields : { connectionString: url }),
    application_name: name,
    connectionTimeoutMillis: timeoutMs,
    keepAlive: true,
    query_timeout: timeoutMs,
  };
}
