import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { Drain } from './drain.js';

const FOREVER_MS = 3_600_000;
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
    await drain.run(FOREVER_MS, nothing);
    await cut;
  });

  it.each(EVENTS)('waits for a %s and accepts no other', async (event) => {
    const { response, received } = await pending(event);
    let isReleased = false;
    const drained = drain.run(FOREVER_MS, () => Promise.resolve(void (isReleased = true)));
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
    const drained = drain.run(FOREVER_MS, nothing);
    response.end();
    await drained;
  });

  it('waits for a writer whose client disconnected: it may have to write received bytes', async () => {
    const { response, received } = await pending();
    response.destroy();
    await received;
    let isReleased = false;
    await drain.run(FOREVER_MS, async () => {
      await new Promise((resolve) => setImmediate(resolve));
      isReleased = true;
    });
    expect(isReleased).toBe(true);
  });

  it('makes writers release after the grace period, and gives them time to respond', async () => {
    const { response, received } = await pending();
    await drain.run(10, () => {
      response.writeHead(503).end();
      return Promise.resolve();
    });
    expect(await received).toMatchObject({ status: 503 });
  });

  it('closes the remaining connections', async () => {
    const { received } = await pending();
    await drain.run(0, nothing);
    expect(await received).toBe('broken');
  });
});
