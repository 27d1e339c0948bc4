import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { isDatabaseUnavailable } from '../errors/database-errors.js';
import { SurvivingClient } from './surviving-client.js';

/** A server that resets each connection as soon as it has heard something. */
describe('SurvivingClient', () => {
  let server: Server;
  let config: pg.ClientConfig;

  beforeEach(async () => {
    server = createServer((socket: Socket) => {
      socket.on('error', () => undefined).once('data', () => socket.resetAndDestroy());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    config = { host: '127.0.0.1', port, user: 'nobody', database: 'none' };
  });
  afterEach(() => void server.close());

  const failureOf = (work: Promise<unknown>) =>
    work.then(
      () => 'connected',
      (error: unknown) => error,
    );

  it('says that the database is not available when the handshake breaks off', async () => {
    expect(isDatabaseUnavailable(await failureOf(new SurvivingClient(config).connect()))).toBe(true);
    const pool = new pg.Pool({ ...config, Client: SurvivingClient });
    expect(isDatabaseUnavailable(await failureOf(pool.connect()))).toBe(true);
    await pool.end();
  });
});
