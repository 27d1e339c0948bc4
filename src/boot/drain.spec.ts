import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { Drain } from './drain.js';

const FOR_EVER_MS = 3_600_000;
const nothing = () => Promise.resolve();

describe('Drain', () => {
  let server: Server;
  let drain: Drain;
  let url: string;
  beforeEach(async () => {
    server = createServer({ keepAliveTimeout: FOR_EVER_MS });
    drain = new Drain(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });
  afterEach(() => server.closeAllConnections());

  /** Sends a request that is not answered yet, and answers both of its ends. */
  async function pending() {
    const asked = once(server, 'request') as Promise<[IncomingMessage, ServerResponse]>;
    const client = request(url, { agent: false, headers: { Connection: 'keep-alive' } });
    const answer = (once(client, 'response') as Promise<[IncomingMessage]>).then(
      ([{ headers, statusCode }]) => ({ status: statusCode, connection: headers.connection }),
      () => 'broken' as const,
    );
    client.end();
    const [, response] = await asked;
    return { response, answer };
  }

  it('ends at once when nobody asks for anything', async () => {
    server.on('request', (_request, response) => response.end());
    await (await fetch(url)).text();
    const silent = connect((server.address() as AddressInfo).port, '127.0.0.1');
    await once(server, 'connection');
    const cut = once(silent, 'close');
    await drain.run(FOR_EVER_MS, nothing);
    await cut;
  });

  it('lets a request finish, accepts no other one, and tells its client that the connection ends', async () => {
    const { response, answer } = await pending();
    let isAskedToLetGo = false;
    const drained = drain.run(FOR_EVER_MS, () => Promise.resolve(void (isAskedToLetGo = true)));
    await expect(fetch(url)).rejects.toThrow();
    expect(isAskedToLetGo).toBe(false);
    response.end();
    expect(await answer).toEqual({ status: 200, connection: 'close' });
    await drained;
  });

  it('ends when an answer that had begun is given, though its client would keep the connection', async () => {
    const { response, answer } = await pending();
    response.write('a');
    expect(await answer).toEqual({ status: 200, connection: 'keep-alive' });
    const drained = drain.run(FOR_EVER_MS, nothing);
    response.end();
    await drained;
  });

  it('waits for a writer whose client is gone: it may have to write down what was sent', async () => {
    const { response, answer } = await pending();
    response.destroy();
    await answer;
    let hasLetGo = false;
    await drain.run(FOR_EVER_MS, async () => {
      await new Promise((resolve) => setImmediate(resolve));
      hasLetGo = true;
    });
    expect(hasLetGo).toBe(true);
  });

  it('asks writers to let go after the grace, and gives them time to answer', async () => {
    const { response, answer } = await pending();
    await drain.run(10, () => {
      response.writeHead(503).end();
      return Promise.resolve();
    });
    expect(await answer).toMatchObject({ status: 503 });
  });

  it('cuts whoever is left', async () => {
    const { answer } = await pending();
    await drain.run(0, nothing);
    expect(await answer).toBe('broken');
  });
});
