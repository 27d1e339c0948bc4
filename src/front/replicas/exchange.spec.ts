import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Exchange } from './exchange.js';
import { RemoteReplica } from './remote-replica.js';
import { ReplicaFailure } from './replica-failure.js';

describe('Exchange', () => {
  let server: Server;
  let replica: RemoteReplica;
  afterEach(async () => {
    replica.close();
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });

  /** Begins a PATCH at a replica that treats it like this, and waits until it has arrived. */
  async function begin(listener: RequestListener) {
    server = createServer(listener).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    replica = new RemoteReplica(new URL(`http://127.0.0.1:${port}`), '127.0.0.1');
    replica.becomeReady();
    const gone = new AbortController();
    const headers = { host: 'localhost', 'transfer-encoding': 'chunked' };
    const head = { method: 'PATCH', target: '/v2/a/blobs/uploads/x', headers };
    const arrived = once(server, 'request');
    const exchange = new Exchange(replica, head, { canLeave: true, signal: gone.signal });
    exchange.flushHead();
    await arrived;
    return { exchange, gone };
  }

  it('that breaks lets the replica rest', async () => {
    const { exchange } = await begin((request) => request.socket.destroy());
    await expect(exchange.answered).rejects.toThrow(ReplicaFailure);
    expect([replica.isUsable, replica.active]).toEqual([false, 0]);
  });

  it('that is ended here says nothing of the replica', async () => {
    const { exchange, gone } = await begin(() => undefined);
    gone.abort(new Error('the client has disconnected'));
    await expect(exchange.answered).rejects.toThrow('the client has disconnected');
    expect([replica.isUsable, replica.active]).toEqual([true, 0]);
  });

  it('whose body is broken off says nothing of the replica', async () => {
    // Node's server sends 400 to a body without an end.
    const { exchange } = await begin(() => undefined);
    exchange.breakOff();
    await expect(exchange.answered).rejects.toThrow('the body was broken off');
    expect([replica.isUsable, replica.active]).toEqual([true, 0]);
  });

  it('may be answered before its body is complete', async () => {
    const { exchange } = await begin((_, response) => response.writeHead(404).end('no'));
    const message = await exchange.answered;
    expect([message.statusCode, exchange.over.aborted, replica.active]).toEqual([404, true, 1]);
    message.resume();
    await once(message, 'close');
    expect(replica.active).toBe(0);
  });
});
