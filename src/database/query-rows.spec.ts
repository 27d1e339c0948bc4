import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { EntityManager } from 'typeorm';
import { isDatabaseUnavailable } from './errors/database-errors.js';
import { queryRows } from './query-rows.js';

describe('queryRows', () => {
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

  it('reports a connection that is reset during the handshake as an unavailable database', async () => {
    const manager = { query: () => pool.connect() } as unknown as EntityManager;
    const failure: unknown = await queryRows(manager, 'SELECT 1').catch((error: unknown) => error);
    expect(failure).toMatchObject({ message: expect.stringContaining('ECONNRESET') });
    expect(isDatabaseUnavailable(failure)).toBe(true);
  });
});
