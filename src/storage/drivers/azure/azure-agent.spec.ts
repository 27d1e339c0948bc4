import { once } from 'node:events';
import { createServer as createHttpServer, get as getHttp, type IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { agentFor } from './azure-agent.js';

describe('agentFor', () => {
  const sockets: Socket[] = [];
  let server: Server;

  async function listening(made: Server): Promise<number> {
    server = made;
    server.on('connection', (socket) => sockets.push(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    server.close();
  });

  it('gives up a connection that is taken and then says nothing', async () => {
    const port = await listening(createServer());
    const agent = agentFor(new URL('https://berth.blob.core.windows.net'), 50);
    const failed = new Promise((resolve) => {
      get({ host: '127.0.0.1', port, agent }).once('error', resolve);
    });
    expect(await failed).toMatchObject({ code: 'ETIMEDOUT', message: 'no connection within 50 ms' });
    expect(sockets).toHaveLength(1);
  });

  it('waits longer for answers than for connections, and keeps these', async () => {
    const port = await listening(
      createHttpServer((_, response) => {
        setTimeout(() => response.end('late'), 120);
      }),
    );
    const agent = agentFor(new URL('http://127.0.0.1'), 50);
    for (let round = 0; round < 2; round += 1) {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        getHttp({ host: '127.0.0.1', port, agent }, resolve).once('error', reject);
      });
      expect(response.statusCode).toBe(200);
      const freed = once(agent, 'free');
      response.resume();
      await freed;
    }
    expect(sockets).toHaveLength(1);
    agent.destroy();
  });
});
