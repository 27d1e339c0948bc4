import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, Logger, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import pg from 'pg';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { Replica } from '../../common/replica.js';
import { StartupError } from '../../common/startup.error.js';
import { advisoryLockKey } from '../advisory-lock.js';
import { queryRows } from '../query-rows.js';
import { SurvivingClient } from './surviving-client.js';

const RECONNECT_MS = { first: 50, most: 2_000 };
const CONNECT_TIMEOUT_MS = 10_000;

/** A server that doesn't answer doesn't say goodbye either. */
const END_PATIENCE_MS = 1_000;

/** A connection whose other end vanished without a word is noticed after this and a timeout. */
const PING_MS = 5_000;

/** The key of the lock in a process's name. */
const PRESENCE = advisoryLockKey('process', '$1');

type Handler = (payload: string) => void;

interface Connection {
  readonly client: SurvivingClient;
  readonly ended: Promise<void>;
}

/**
 * The one connection of this process that Postgres can speak to (LISTEN/NOTIFY). It also holds a lock in the process's name,
 * so that others can tell that it has ended: the lock goes with the connection, and that with the process.
 *
 * Messages may get lost, while the connection is being made again for instance: a sender that needs an effect repeats them.
 * A pooler that gives connections to transactions, not to sessions, delivers none.
 */
@Injectable()
export class DatabaseListener implements OnModuleInit, OnModuleDestroy {
  private readonly logger = new Logger(DatabaseListener.name);
  private readonly handlers = new Map<string, Handler>();
  private readonly stopping = new AbortController();
  private current: Connection | undefined;
  private running: Promise<void> = Promise.resolve();

  constructor(
    private readonly dataSource: DataSource,
    private readonly replica: Replica,
  ) {}

  /** To be called before the application is initialised. One handler per channel. */
  on(channel: string, handler: Handler): void {
    this.handlers.set(channel, handler);
  }

  /** Tells every process, this one included. */
  async notify(channel: string, payload: string): Promise<void> {
    await queryRows(this.dataSource.manager, 'SELECT pg_notify($1, $2)', [channel, payload]);
  }

  /** Whether the process of that name is connected. False soon after it has ended, and while it is cut off. */
  async isPresent(replica: string): Promise<boolean> {
    const [row] = await queryRows<{ present: boolean }>(
      this.dataSource.manager,
      `SELECT EXISTS (
         SELECT FROM pg_locks
          WHERE locktype = 'advisory' AND objsubid = 1 AND granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND (classid::bigint << 32) | objid::bigint = ${PRESENCE}
       ) AS present`,
      [replica],
    );
    return row?.present === true;
  }

  /** Connects before the process serves: nobody may take it for gone. */
  async onModuleInit(): Promise<void> {
    const connection = await this.connect().catch((cause: unknown) => {
      const reason = cause instanceof Error ? cause.message : 'unknown error';
      throw new StartupError(`Can't listen to the database: ${reason}.`, { cause });
    });
    this.running = this.keepConnected(connection);
  }

  async onModuleDestroy(): Promise<void> {
    this.stopping.abort();
    await this.current?.client.endWithin(END_PATIENCE_MS);
    await this.running;
  }

  private async keepConnected(first: Connection): Promise<void> {
    for (let connection: Connection | undefined = first; connection; connection = await this.reconnect()) {
      const { client, ended } = connection;
      const ping = setInterval(() => {
        client.query('SELECT 1').catch(() => client.endWithin(END_PATIENCE_MS));
      }, PING_MS);
      await ended;
      clearInterval(ping);
    }
  }

  /** Answers nothing when the process stops. */
  private async reconnect(): Promise<Connection | undefined> {
    for (let pause = RECONNECT_MS.first; ; pause = Math.min(2 * pause, RECONNECT_MS.most)) {
      try {
        await delay(pause, undefined, { signal: this.stopping.signal });
        return await this.connect();
      } catch (error) {
        if (this.stopping.signal.aborted) return undefined;
        this.logger.debug({ err: error }, 'no connection to listen on');
      }
    }
  }

  private async connect(): Promise<Connection> {
    const client = new SurvivingClient(clientConfig(this.dataSource));
    const ended = new Promise<void>((resolve) => client.once('end', resolve));
    client.on('notification', ({ channel, payload }) => this.receive(channel, payload ?? ''));
    try {
      await client.connect();
      // Shared: the connection before this one may still be there as far as Postgres knows.
      await client.query(`SELECT pg_advisory_lock_shared(${PRESENCE})`, [this.replica.name]);
      for (const channel of this.handlers.keys())
        await client.query(`LISTEN ${pg.escapeIdentifier(channel)}`);
      this.stopping.signal.throwIfAborted();
      return (this.current = { client, ended });
    } catch (error) {
      await client.endWithin(END_PATIENCE_MS);
      throw error;
    }
  }

  /** Whoever may use the database can send anything. */
  private receive(channel: string, payload: string): void {
    try {
      this.handlers.get(channel)?.(payload);
    } catch (error) {
      this.logger.warn({ err: error, channel }, 'a notification could not be understood');
    }
  }
}

function clientConfig({ options }: DataSource): pg.ClientConfig {
  const { url, host, port, username, password, database, ssl } = options as Extract<
    DataSourceOptions,
    { type: 'postgres' }
  >;
  const named = {
    ...(host !== undefined && { host }),
    ...(port !== undefined && { port }),
    ...(username !== undefined && { user: username }),
    ...(typeof password === 'string' && { password }),
    ...(database !== undefined && { database }),
    // Said aloud, or the environment (PGSSLMODE) decides.
    ...(ssl === false && { ssl }),
  };
  return {
    ...(url === undefined ? named : { connectionString: url }),
    application_name: 'berth-listener',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    query_timeout: CONNECT_TIMEOUT_MS,
  };
}
