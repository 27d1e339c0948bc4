import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { GatheredBody } from './gathered-body.js';
import { BufferPool } from './buffer-pool.js';

const LARGE = 512 * 1024;

describe('GatheredBody', () => {
  let buffers: BufferPool;
  let handle: (request: IncomingMessage, response: ServerResponse) => void;
  const server = createServer((incoming, response) => handle(incoming, response));

  beforeEach(async () => {
    buffers = new BufferPool([{ bytes: LARGE, max: { receive: 4, send: 4 } }]);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const port = () => (server.address() as AddressInfo).port;

  /** Runs `work` on the body of the next request. */
  function nextBody<T>(work: (body: GatheredBody, incoming: IncomingMessage) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      handle = (incoming, response) => {
        const lengthBytes = Number(incoming.headers['content-length'] ?? Infinity);
        work(new GatheredBody(incoming, lengthBytes, buffers), incoming)
          .finally(() => response.end())
          .then(resolve, reject);
      };
    });
  }

  function send(pieces: readonly Buffer[], headers = {}): void {
    const outgoing = request({ port: port(), method: 'PATCH', headers }, (response) => response.resume());
    outgoing.on('error', () => undefined);
    for (const piece of pieces) outgoing.write(piece);
    outgoing.end();
  }

  const failureOf = (body: GatheredBody): Promise<unknown> => body.next().catch((error: unknown) => error);

  /** Copies the pieces, because each is valid only until the next one. */
  async function readAll(body: GatheredBody, turns = () => 0): Promise<Buffer[]> {
    const pieces: Buffer[] = [];
    for await (const piece of body) {
      for (let left = turns(); left > 0; left -= 1) await turn();
      pieces.push(Buffer.from(piece));
    }
    return pieces;
  }

  it('yields the bytes of a body, however it is split and however slowly it is read', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 300_000 }), { maxLength: 8 }),
        fc.infiniteStream(fc.integer({ min: 0, max: 30 })),
        fc.boolean(),
        async (lengths, turns, saysItsLength) => {
          const content = lengths.map((length) => randomBytes(length));
          const whole = Buffer.concat(content);
          const read = nextBody((body) => readAll(body, () => turns.next().value as number));
          send(content, saysItsLength ? { 'Content-Length': whole.length } : {});
          expect(Buffer.concat(await read).equals(whole)).toBe(true);
          expect(buffers.pooledInUse).toBe(0);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('gathers chunks that arrive while the reader works into few pieces', async () => {
    const content = randomBytes(4 * LARGE);
    const read = nextBody((body) => readAll(body, () => 2_000));
    send([content], { 'Content-Length': content.length });
    const pieces = await read;
    expect(Buffer.concat(pieces).equals(content)).toBe(true);
    expect(pieces.length).toBeLessThan(10);
  });

  it('gathers also if all large buffers are in use', async () => {
    const taken = Array.from({ length: 4 }, () => buffers.acquire('receive', LARGE));
    const head = 'PATCH / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';
    const read = nextBody((body) => readAll(body, () => 1));
    const socket = connect(port(), '127.0.0.1').on('error', () => undefined);
    socket.write(`${head}${`10\r\n${'x'.repeat(16)}\r\n`.repeat(50_000)}0\r\n\r\n`);
    const pieces = await read;
    socket.destroy();
    expect(Buffer.concat(pieces).length).toBe(800_000);
    expect(pieces.length).toBeLessThan(500);
    taken.forEach((buffer) => buffers.release(buffer));
  });

  it('receives no more than its buffers hold until it is read', async () => {
    const read = nextBody(async (body, incoming) => {
      await body.next();
      for (let before = -1; before !== incoming.socket.bytesRead;) {
        before = incoming.socket.bytesRead;
        for (let turns = 0; turns < 2_000; turns += 1) await turn();
      }
      await body.return();
      return incoming.socket.bytesRead;
    });
    const socket = connect(port(), '127.0.0.1').on('error', () => undefined);
    socket.write('PATCH / HTTP/1.1\r\nHost: x\r\nContent-Length: 64000000\r\n\r\n');
    socket.write(Buffer.alloc(64_000_000));
    expect(await read).toBeLessThan(3 * LARGE);
    expect(buffers.pooledInUse).toBe(0);
  });

  it('yields the bytes received before the connection failed, then throws', async () => {
    const read = nextBody(async (body, incoming) => {
      while (incoming.socket.bytesRead < 200_000) await turn();
      socket.resetAndDestroy();
      while (!incoming.destroyed) await turn();
      const first = await body.next();
      return { bytes: first.value?.length, failure: await failureOf(body) };
    });
    const socket = connect(port(), '127.0.0.1').on('error', () => undefined);
    socket.write(`PATCH / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(200_000)}`);
    const { bytes, failure } = await read;
    expect(bytes).toBeGreaterThan(100_000);
    expect(failure).toMatchObject({ code: 'ECONNRESET' });
    expect(buffers.pooledInUse).toBe(0);
  });

  it('throws at once if the connection failed before the first read', async () => {
    const read = new Promise((resolve) => {
      handle = (incoming) =>
        incoming.once('close', () => {
          void failureOf(new GatheredBody(incoming, 1_000_000, buffers)).then(resolve);
        });
    });
    const socket = connect(port(), '127.0.0.1').on('error', () => undefined);
    socket.write(`PATCH / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx`, () =>
      setImmediate(() => socket.destroy()),
    );
    expect(await read).toMatchObject({ code: expect.stringMatching(/ECONNRESET|PREMATURE_CLOSE/) });
    expect(buffers.pooledInUse).toBe(0);
  });

  it('ends early without closing the connection, so that a response can be sent', async () => {
    const left = nextBody(async (body) => {
      for await (const _ of body) break;
      return buffers.pooledInUse;
    });
    const outgoing = request({ port: port(), method: 'PATCH' }).on('error', () => undefined);
    outgoing.write(Buffer.alloc(100_000));
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    expect([response.statusCode, await left]).toEqual([200, 0]);
    outgoing.destroy();
  });

  it('stays done after its end', async () => {
    const read = nextBody(async (body) => {
      await readAll(body);
      return [await body.next(), await body.return(), await body.next()];
    });
    send([randomBytes(100)]);
    expect((await read).map(({ done }) => done)).toEqual([true, true, true]);
  });
});
