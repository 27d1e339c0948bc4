import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, Logger, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { Replica } from '../../common/replica.js';
import { settlesWithin } from '../../common/settles-within.js';
import { StartupError } from '../../common/startup.error.js';
import { advisoryLockKey } from '../advisory-lock.js';
import { oneLine } from '../errors/one-line.js';
import { queryRows } from '../query-rows.js';
import { clientClass, clientConfig } from './client-config.js';

const RECONNECT_MS = { first: 50, max: 2_000 };
const CONNECT_TIMEOUT_MS = 10_000;

/** How long a server may take to close the connection. */
const END_TIMEOUT_MS = 1_000;

/** A connection that was lost without a TCP reset is noticed after this time and a query timeout. */
const PING_MS = 5_000;

/** The key of the lock that this process holds while it is connected. */
const PROCESS_LOCK = advisoryLockKey('process', '$1');

type Handler = (payload: string) => void;

interface Connection {
  readonly client: pg.Client;
  readonly ended: Promise<void>;
}

/**
 * The connection on which this process listens for notifications (LISTEN/NOTIFY). On it, the process also
 * holds an advisory lock with its name. Postgres releases the lock when the connection ends, so other
 * processes can tell whether this one still runs.
 *
 * Notifications may be lost, for instance during a reconnect: senders repeat them until they take effect. A
 * pooler in transaction mode delivers none.
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

  /** Sets the handler of a channel. Call it before the application is initialised. */
  on(channel: string, handler: Handler): void {
    this.handlers.set(channel, handler);
  }

  /** Notifies every process, including this one. */
  async notify(channel: string, payload: string): Promise<void> {
    await queryRows(this.dataSource.manager, 'SELECT pg_notify($1, $2)', [channel, payload]);
  }

  /**
   * Whether the process with this name is connected. False shortly after it ended, or while it reconnects.
   */
  async isPresent(replica: string): Promise<boolean> {
    const [row] = await queryRows<{ present: boolean }>(
      this.dataSource.manager,
      `SELECT EXISTS (
         SELECT FROM pg_locks
          WHERE locktype = 'advisory' AND objsubid = 1 AND granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND (classid::bigint << 32) | objid::bigint = ${PROCESS_LOCK}
       ) AS present`,
      [replica],
    );
    return row?.present === true;
  }

  /** Connects before the process serves requests, so that others never take it for ended. */
  async onModuleInit(): Promise<void> {
    const connection = await this.connect().catch((cause: unknown) => {
      throw new StartupError(`Can't listen to the database: ${oneLine(cause)}.`, { cause });
    });
    this.running = this.keepConnected(connection);
  }

  async onModuleDestroy(): Promise<void> {
    this.stopping.abort();
    if (this.current !== undefined) await end(this.current.client);
    await this.running;
  }

  private async keepConnected(first: Connection): Promise<void> {
    for (let connection: Connection | undefined = first; connection; connection = await this.reconnect()) {
      const { client, ended } = connection;
      const ping = setInterval(() => {
        client.query('SELECT 1').catch(() => end(client));
      }, PING_MS);
      await ended;
      clearInterval(ping);
    }
  }

  /** Returns undefined when the process stops. */
  private async reconnect(): Promise<Connection | undefined> {
    for (let pause = RECONNECT_MS.first; ; pause = Math.min(2 * pause, RECONNECT_MS.max)) {
      try {
        await delay(pause, undefined, { signal: this.stopping.signal });
        return await this.connect();
      } catch (error) {
        if (this.stopping.signal.aborted) return undefined;
        this.logger.debug({ err: error }, 'cannot connect to listen for notifications');
      }
    }
  }

  private async connect(): Promise<Connection> {
    const Client = clientClass(this.dataSource);
    const client = new Client(
      clientConfig(this.dataSource, { name: 'berth-listener', timeoutMs: CONNECT_TIMEOUT_MS }),
    );
    const ended = new Promise<void>((resolve) => client.once('end', resolve));
    // After an error the client emits `end`, which leads to a reconnect.
    client.on('error', () => undefined);
    client.on('notification', ({ channel, payload }) => this.receive(channel, payload ?? ''));
    try {
      await client.connect();
      // Shared: for Postgres, the previous connection may still hold the lock.
      await client.query(`SELECT pg_advisory_lock_shared(${PROCESS_LOCK})`, [this.replica.name]);
      for (const channel of this.handlers.keys())
        await client.query(`LISTEN ${pg.escapeIdentifier(channel)}`);
      this.stopping.signal.throwIfAborted();
      return (this.current = { client, ended });
    } catch (error) {
      await end(client);
      throw error;
    }
  }

  /** Any client of the database can send any payload, so handlers may throw. */
  private receive(channel: string, payload: string): void {
    try {
      this.handlers.get(channel)?.(payload);
    } catch (error) {
      this.logger.warn({ err: error, channel }, 'invalid notification');
    }
  }
}

/** Closes the connection; without the server if that doesn't respond. Never rejects. */
async function end(client: pg.Client): Promise<void> {
  const ended = client.end().catch(() => undefined);
  if (await settlesWithin(ended, END_TIMEOUT_MS)) return;
  const { connection } = client as unknown as { connection: { stream: Duplex } };
  connection.stream.destroy();
}
