import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { AccessLog } from '../../observability/access-log.js';
import { until } from '../../../test/support/until.js';
import { withConnectionRules } from './connection-rules.js';
import { PendingResponses } from './pending-responses.js';

const GET = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';

/** The events of a response. */
interface Watched {
  readonly response: ServerResponse;
  closes: number;
}

describe('PendingResponses', () => {
  let pending: PendingResponses;
  let watched: Watched[];
  let sockets: Set<Socket>;
  let handle: RequestListener;
  let server: ReturnType<typeof createServer>;

  beforeEach(async () => {
    pending = new PendingResponses();
    watched = [];
    sockets = new Set();
    server = createServer((request, response) => {
      pending.add(request.socket, response);
      handle(request, response);
    });
    // Also those that never reach the application.
    server.prependListener('request', watch);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  function watch({ socket }: IncomingMessage, response: ServerResponse): void {
    const entry: Watched = { response, closes: 0 };
    sockets.add(socket);
    watched.push(entry);
    response.setMaxListeners(30);
    response.on('close', () => (entry.closes += 1));
  }

  async function connected(): Promise<Socket> {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  }

  /** Node emits its last events a few turns after a connection is lost. */
  async function settled(): Promise<void> {
    for (let turns = 0; turns < 10; turns += 1) await new Promise((resolve) => setImmediate(resolve));
  }

  const allClosed = () => watched.every(({ closes }) => closes > 0);

  it('closes each waiting response once when the client disconnects', async () => {
    handle = (_request, response) => response.write('some');
    const client = await connected();
    client.write(GET.repeat(8));
    await until('eight requests', () => watched.length === 8);
    const [{ socket }] = watched.map(({ response }) => response.req) as [IncomingMessage];
    expect(pending.of(socket).size).toBe(8);
    client.destroy();
    await until('all to be closed', allClosed);
    await settled();
    expect(watched.map(({ closes }) => closes)).toEqual(Array(8).fill(1));
    expect(watched.every(({ response }) => response.closed && response.destroyed)).toBe(true);
    expect(watched.some(({ response }) => response.writableFinished)).toBe(false);
    expect(pending.of(socket).size).toBe(0);
  });

  it('closes responses that were ended or destroyed while they waited', async () => {
    handle = (_request, response) => {
      if (watched.length === 2) response.end('whole');
      if (watched.length === 3) response.destroy();
    };
    const client = await connected();
    client.write(GET.repeat(4));
    await until('four requests', () => watched.length === 4);
    client.destroy();
    await until('all to be closed', allClosed);
    await settled();
    expect(watched.map(({ closes }) => closes)).toEqual([1, 1, 1, 1]);
    expect(watched.some(({ response }) => response.writableFinished)).toBe(false);
  });

  it('closes all responses of a connection with too many requests, also the last one', async () => {
    const log = new AccessLog(pino({ level: 'silent' }));
    server.removeAllListeners('request');
    server.on('request', watch);
    server.on(
      'request',
      withConnectionRules(() => undefined, { pending, log, requiresTls: false }),
    );
    const client = await connected();
    client.write(GET.repeat(9));
    await once(client, 'close');
    await until('all to be closed', () => watched.length === 9 && allClosed());
    await settled();
    expect(watched.map(({ closes }) => closes)).toEqual(Array(9).fill(1));
  });

  it('settles writes to them, before and after', async () => {
    const endless = () => new Readable({ read: () => undefined });
    const outcomes: Promise<string>[] = [];
    const write = (response: ServerResponse) => {
      const ended = pipeline(endless(), response).then(
        () => 'whole',
        () => 'broken off',
      );
      outcomes.push(ended);
    };
    handle = (_request, response) => write(response);
    const client = await connected();
    client.write(GET.repeat(3));
    await until('three requests', () => watched.length === 3);
    client.destroy();
    await until('all to be closed', allClosed);
    watched.forEach(({ response }) => write(response));
    expect(await Promise.all(outcomes)).toEqual(Array(6).fill('broken off'));
  });

  it('lists idle connections, the one that has been idle longest first', async () => {
    const asked: ServerResponse[] = [];
    handle = (_request, response) => asked.push(response);
    const clients = [await connected(), await connected()];
    for (const client of clients) {
      client.resume();
      client.write(GET);
      await until('a request', () => asked.length === clients.indexOf(client) + 1);
    }
    const [first, second] = asked.map(({ req }) => req.socket) as [Socket, Socket];
    expect([...pending.idle]).toEqual([]);
    asked.reverse().forEach((response) => response.end('ok'));
    await until('both to be idle', () => pending.idle.size === 2);
    expect([...pending.idle]).toEqual([second, first]);
    clients[1]?.write(GET);
    await until('a third request', () => asked.length === 3);
    expect([...pending.idle]).toEqual([first]);
    clients[0]?.destroy();
    await until('none to be idle', () => pending.idle.size === 0);
  });

  it('keeps nothing of completed requests on an open connection', async () => {
    handle = (_request, response) => response.end('ok');
    const client = await connected();
    client.resume();
    const listeners = new Set<number>();
    for (let round = 1; round <= 2_000; round += 1) {
      client.write(GET);
      await once(server, 'request');
      const { response, closes } = watched[round - 1] as Watched;
      if (closes === 0) await once(response, 'close');
      const { socket } = response.req;
      expect(pending.of(socket).size).toBe(0);
      listeners.add(socket.listenerCount('close'));
    }
    expect(sockets.size).toBe(1);
    expect(listeners.size).toBe(1);
    client.destroy();
    await settled();
    expect(watched.every(({ closes }) => closes === 1)).toBe(true);
  });
});
