import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import {
  Agent,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { Drain } from './drain.js';
import { AT_ONCE, type StopOptions } from './stop-options.js';

const FOREVER_MS = 3_600_000;
const FOREVER: StopOptions = { graceSeconds: 3_600, isHandover: false };
const nothing = () => Promise.resolve();

/** What Node emits for a request, and the header that decides it. */
const EXPECT = {
  request: {},
  checkContinue: { Expect: '100-continue' },
  checkExpectation: { Expect: 'other' },
};
const EVENTS = Object.keys(EXPECT) as (keyof typeof EXPECT)[];

describe('Drain', () => {
  let server: Server;
  let drain: Drain;
  let url: string;
  beforeEach(async () => {
    server = createServer({ keepAliveTimeout: FOREVER_MS });
    drain = new Drain(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });
  afterEach(() => server.closeAllConnections());

  function run(options: StopOptions, release: (reason: string) => Promise<void> = nothing): Promise<void> {
    drain.limit(options);
    return drain.run(release);
  }

  /** Sends a request, and returns its server's and its client's response. */
  async function pending(event: keyof typeof EXPECT = 'request') {
    const asked = once(server, event) as Promise<[IncomingMessage, ServerResponse]>;
    const headers = { Connection: 'keep-alive', ...EXPECT[event] };
    const client = request(url, { agent: false, headers });
    const received = (once(client, 'response') as Promise<[IncomingMessage]>).then(
      ([{ headers, statusCode }]) => ({ status: statusCode, connection: headers.connection }),
      () => 'broken' as const,
    );
    client.end();
    const [, response] = await asked;
    return { response, received };
  }

  it('ends at once without requests', async () => {
    server.on('request', (_request, response) => response.end());
    await (await fetch(url)).text();
    const silent = connect((server.address() as AddressInfo).port, '127.0.0.1');
    await once(server, 'connection');
    const cut = once(silent, 'close');
    await run(FOREVER);
    await cut;
  });

  it('serves the first request of a connection that has just opened', async () => {
    server.on('request', (_request, response) => response.end());
    const proxy = connect((server.address() as AddressInfo).port, '127.0.0.1');
    await once(server, 'connection');
    const drained = run(FOREVER);
    proxy.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const [response] = (await once(proxy, 'data')) as [Buffer];
    expect(String(response)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    await drained;
  });

  it.each(EVENTS)('waits for a %s and accepts no other', async (event) => {
    const { response, received } = await pending(event);
    let isReleased = false;
    const drained = run(FOREVER, () => Promise.resolve(void (isReleased = true)));
    await expect(fetch(url)).rejects.toThrow();
    expect(isReleased).toBe(false);
    response.end();
    expect(await received).toEqual({ status: 200, connection: 'close' });
    await drained;
  });

  it('ends when a response that has begun is complete, also if its client keeps the connection', async () => {
    const { response, received } = await pending();
    response.write('a');
    expect(await received).toEqual({ status: 200, connection: 'keep-alive' });
    const drained = run(FOREVER);
    response.end();
    await drained;
  });

  it('waits for a writer whose client disconnected: it may have to write received bytes', async () => {
    const { response, received } = await pending();
    response.destroy();
    await received;
    let isReleased = false;
    await run(FOREVER, async () => {
      await new Promise((resolve) => setImmediate(resolve));
      isReleased = true;
    });
    expect(isReleased).toBe(true);
  });

  it('makes writers release after the grace period, and gives them time to respond', async () => {
    const { response, received } = await pending();
    await run({ graceSeconds: 0.01, isHandover: false }, () => {
      response.writeHead(503).end();
      return Promise.resolve();
    });
    expect(await received).toMatchObject({ status: 503 });
  });

  it('closes the remaining connections', async () => {
    const { received } = await pending();
    await run(AT_ONCE);
    expect(await received).toBe('broken');
  });

  describe('with a request that has stalled', () => {
    const body = { method: 'PUT', headers: { 'Content-Length': 100 } };
    beforeEach(async () => {
      server.close();
      server = createServer();
      // At the second look it has stalled.
      drain = new Drain(server, { receivingMs: 1, sendingMs: 1 });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    });

    it('does not wait for it', async () => {
      const asked = once(server, 'request');
      const client = request(url, { agent: false, ...body }).on('error', () => undefined);
      client.write('a');
      await asked;
      const reasons: string[] = [];
      await run(FOREVER, (reason) => Promise.resolve(void reasons.push(reason)));
      expect(reasons).toEqual(['no request makes progress']);
    });

    it('waits for another one that moves', async () => {
      const asked = once(server, 'request');
      const stalled = request(url, { agent: false, ...body }).on('error', () => undefined);
      stalled.write('a');
      await asked;
      const { response, received } = await pending();
      const drained = run(FOREVER);
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      response.end();
      expect(await received).toMatchObject({ status: 200 });
      await drained;
    });
  });

  describe('at a handover', () => {
    const HANDOVER: StopOptions = { ...FOREVER, isHandover: true };
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    afterEach(() => agent.destroy());

    async function ask(): Promise<{ body: string; connection: string | undefined }> {
      const client = request(url, { agent }).end();
      const [response] = (await once(client, 'response')) as [IncomingMessage];
      return { body: await text(response), connection: response.headers.connection };
    }

    it('serves idle and new connections once more, and tells them that they close', async () => {
      server.on('request', (_request, response) => response.end('served'));
      expect(await ask()).toEqual({ body: 'served', connection: 'keep-alive' });
      const fresh = connect((server.address() as AddressInfo).port, '127.0.0.1').setEncoding('latin1');
      await once(server, 'connection');
      const drained = run(HANDOVER);
      expect(await ask()).toEqual({ body: 'served', connection: 'close' });
      await expect(ask()).rejects.toThrow('ECONNREFUSED');
      fresh.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      expect(await once(fresh, 'data')).toEqual([expect.stringMatching(/Connection: close[^]+served$/)]);
      await drained;
    });

    it('closes idle connections when it becomes a stop', async () => {
      server.on('request', (_request, response) => response.end('served'));
      await ask();
      const drained = run(HANDOVER);
      drain.limit(FOREVER);
      drain.limit(HANDOVER);
      await drained;
    });
  });
});
