import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { DataSource, EntityManager } from 'typeorm';
import { isDatabaseUnavailable } from './errors/database-errors.js';
import { ListQueries } from './list-queries.js';
import { queryRows } from './query-rows.js';

describe('a connection that is reset during the handshake', () => {
  /** Resets each connection when it receives data. */
  let server: Server;
  let pool: pg.Pool;

  beforeEach(async () => {
    server = createServer((socket: Socket) => {
      socket.on('error', () => undefined).once('data', () => socket.resetAndDestroy());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    pool = new pg.Pool({ host: '127.0.0.1', port, user: 'nobody', database: 'none' });
  });
  afterEach(async () => {
    await pool.end();
    server.close();
  });

  it.each<[string, () => Promise<unknown>]>([
    ['a statement', () => queryRows({ query: () => pool.connect() } as unknown as EntityManager, 'SELECT 1')],
    [
      'a snapshot',
      () => {
        const reads = { options: {}, transaction: () => pool.connect() } as unknown as DataSource;
        return new ListQueries(reads).snapshot(() => Promise.resolve());
      },
    ],
  ])('means to %s that the database is unavailable', async (_, call) => {
    const failure: unknown = await call().catch((error: unknown) => error);
    expect(failure).toMatchObject({ message: expect.stringContaining('ECONNRESET') });
    expect(isDatabaseUnavailable(failure)).toBe(true);
  });
});
