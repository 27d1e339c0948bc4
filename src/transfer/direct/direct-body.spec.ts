import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BufferPool } from '../buffer-pool.js';
import { DirectBody } from './direct-body.js';
import { DirectReads } from './direct-reads.js';
import { type DuplicateDescriptor, loadDuplicateDescriptor } from './duplicate-descriptor.js';

const LARGE = 512 * 1024;
const HEAD = 'PATCH / HTTP/1.1\r\nHost: x\r\n';

describe('DirectBody', () => {
  let duplicate: DuplicateDescriptor;
  let buffers: BufferPool;
  let handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  const server = createServer((incoming, response) => void handle(incoming, response));

  beforeAll(async () => {
    duplicate = await loadDuplicateDescriptor();
  });
  beforeEach(async () => {
    buffers = new BufferPool([{ bytes: LARGE, max: { receive: 4, send: 4 } }]);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  /** Runs `work` on the body of the next request, and responds. */
  function nextBody<T>(work: (body: DirectBody, incoming: IncomingMessage) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      handle = async (incoming, response) => {
        if (incoming.method === 'GET') return void response.end(incoming.url);
        await turn();
        const lengthBytes = Number(incoming.headers['content-length'] ?? Infinity);
        const body = DirectBody.open(incoming, lengthBytes, buffers, duplicate);
        if (body === undefined) return reject(new Error('not read directly'));
        await work(body, incoming)
          .finally(() => response.end('read'))
          .then(resolve, reject);
      };
    });
  }

  function open(): Socket {
    const { port } = server.address() as AddressInfo;
    return connect(port, '127.0.0.1').on('error', () => undefined);
  }

  async function readAll(body: DirectBody, turns = () => 0): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for await (const piece of body) {
      const before = Buffer.from(piece);
      for (let left = turns(); left > 0; left -= 1) await turn();
      expect(before.equals(piece)).toBe(true);
      pieces.push(before);
    }
    return Buffer.concat(pieces);
  }

  const failureOf = (body: DirectBody): Promise<unknown> => body.next().catch((error: unknown) => error);

  function chunked(content: Buffer, size: () => number): Buffer {
    const parts: (Buffer | string)[] = [];
    for (let at = 0; at < content.length;) {
      const piece = content.subarray(at, at + size());
      parts.push(`${piece.length.toString(16)}\r\n`, piece, '\r\n');
      at += piece.length;
    }
    return Buffer.concat([...parts, '0\r\n\r\n'].map((part) => Buffer.from(part)));
  }

  it('leaves a body to Node of which Node has more than a buffer', async () => {
    const content = randomBytes(3 * LARGE);
    // Node also has as much after a body that was read directly, if the next one was in the same read.
    const other = createServer({ highWaterMark: 4 * LARGE });
    other.listen(0, '127.0.0.1');
    await once(other, 'listening');
    const socket = connect((other.address() as AddressInfo).port, '127.0.0.1');
    const requested = once(other, 'request') as Promise<[IncomingMessage]>;
    socket.write(`${HEAD}Content-Length: ${content.length}\r\n\r\n`);
    socket.write(content.subarray(1));
    const [incoming] = await requested;
    while (incoming.readableLength <= LARGE) await turn();
    expect(DirectBody.open(incoming, content.length, buffers, duplicate)).toBeUndefined();
    expect(buffers.pooledInUse).toBe(0);
    socket.write(content.subarray(0, 1));
    expect((await buffer(incoming)).length).toBe(content.length);
    socket.destroy();
    other.close();
  });

  it.each(['sized', 'chunked'])('reads %s bodies and the request behind them', async (form) => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: LARGE, max: 4 * LARGE }),
        fc.infiniteStream(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 300_000 }))),
        fc.infiniteStream(fc.integer({ min: 1, max: 200_000 })),
        fc.infiniteStream(fc.integer({ min: 0, max: 30 })),
        async (length, chunks, writes, turns) => {
          const content = randomBytes(length);
          const read = nextBody((body) => readAll(body, () => turns.next().value as number));
          const socket = open().setEncoding('latin1');
          let received = '';
          socket.on('data', (text: string) => (received += text));
          const framing = form === 'sized' ? `Content-Length: ${length}` : 'Transfer-Encoding: chunked';
          const body = form === 'sized' ? content : chunked(content, () => chunks.next().value as number);
          const behind = 'GET /behind HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
          const stream = Buffer.concat([Buffer.from(`${HEAD}${framing}\r\n\r\n`), body, Buffer.from(behind)]);
          for (let at = 0; at < stream.length;) {
            const size = writes.next().value as number;
            socket.write(stream.subarray(at, at + size));
            at += size;
            await turn();
          }
          expect((await read).equals(content)).toBe(true);
          await once(socket, 'close');
          expect(received.match(/read|\/behind/g)).toEqual(['read', '/behind']);
          expect(buffers.pooledInUse).toBe(0);
        },
      ),
      { numRuns: 25 },
    );
  });

  it('reads a body of the size of one chunk', async () => {
    const content = randomBytes(3 * LARGE);
    const read = nextBody((body) => readAll(body));
    const socket = open();
    socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
    socket.write(chunked(content, () => content.length));
    expect((await read).equals(content)).toBe(true);
    socket.destroy();
  });

  it('receives no more than its buffers hold until it is read', async () => {
    let sent = 0;
    const read = nextBody(async (body) => {
      await body.next();
      for (let before = -1; before !== sent;) {
        before = sent;
        for (let turns = 0; turns < 2_000; turns += 1) await turn();
      }
      await body.return();
    });
    const socket = open();
    socket.write(`${HEAD}Content-Length: 256000000\r\n\r\n`);
    for (let written = 0; written < 256; written += 1) {
      socket.write(Buffer.alloc(1_000_000), () => (sent += 1_000_000));
    }
    await read;
    // The kernel buffers some megabytes, too.
    expect(sent).toBeLessThan(64_000_000);
    expect(buffers.pooledInUse).toBe(0);
  });

  it.each([
    ['a reset', (socket: Socket) => socket.resetAndDestroy()],
    ['its end', (socket: Socket) => socket.end()],
  ])('yields the bytes received before %s, then throws', async (_, breakOff) => {
    const read = nextBody(async (body, incoming) => {
      let received = 0;
      while (received < 700_000) received += (await body.next()).value?.length ?? 0;
      breakOff(socket);
      while (!incoming.destroyed) await turn();
      return { received, failure: await failureOf(body) };
    });
    const socket = open();
    socket.write(`${HEAD}Content-Length: 1000000\r\n\r\n${'x'.repeat(700_000)}`);
    expect(await read).toEqual({ received: 700_000, failure: expect.any(Error) });
    expect(buffers.pooledInUse).toBe(0);
  });

  it('yields the content before malformed framing, and lets Node refuse the rest', async () => {
    const read = nextBody(async (body, incoming) => {
      let received = 0;
      while (received < 2 * LARGE) received += (await body.next()).value?.length ?? 0;
      const refused = once(server, 'clientError');
      socket.write('x\r\n');
      const [error] = (await refused) as [NodeJS.ErrnoException];
      incoming.socket.destroy();
      return { received, code: error.code, failure: await failureOf(body) };
    });
    const socket = open();
    const whole = chunked(randomBytes(2 * LARGE), () => 32_768);
    socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
    socket.write(whole.subarray(0, -'0\r\n\r\n'.length));
    expect(await read).toEqual({
      received: 2 * LARGE,
      code: 'HPE_INVALID_CHUNK_SIZE',
      failure: expect.any(Error),
    });
  });

  it('throws at a chunk whose size only Node accepts', async () => {
    const read = nextBody(async (body) => {
      let received = 0;
      while (received < 2 * LARGE) received += (await body.next()).value?.length ?? 0;
      socket.write(`${'f'.repeat(15)}\r\nxyz`);
      return failureOf(body);
    });
    const socket = open();
    const whole = chunked(randomBytes(2 * LARGE), () => 32_768);
    socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
    socket.write(whole.subarray(0, -'0\r\n\r\n'.length));
    expect(await read).toEqual(expect.any(Error));
    expect(buffers.pooledInUse).toBe(0);
  });

  it('leaves the rest of a body to Node, if it ends early', async () => {
    const read = nextBody(async (body, incoming) => {
      const first = (await body.next()).value?.length ?? 0;
      await body.return();
      let rest = 0;
      for await (const chunk of incoming) rest += (chunk as Buffer).length;
      return first <= 3 * LARGE && rest > 0;
    });
    const socket = open().setEncoding('latin1');
    socket.write(`${HEAD}Content-Length: ${8 * LARGE}\r\n\r\n`);
    socket.write(Buffer.alloc(8 * LARGE));
    expect(await read).toBe(true);
    expect(await once(socket, 'data')).toEqual([expect.stringMatching(/^HTTP\/1\.1 200 /)]);
    socket.destroy();
    expect(buffers.pooledInUse).toBe(0);
  });

  it('needs large buffers', async () => {
    Array.from({ length: 4 }, () => buffers.acquire('receive', LARGE));
    const read = nextBody((body) => readAll(body));
    const socket = open();
    socket.write(`${HEAD}Content-Length: ${LARGE}\r\n\r\n`);
    await expect(read).rejects.toThrow('not read directly');
    expect(buffers.pooledInUse).toBe(4);
    socket.destroy();
  });
});

describe('DirectReads', () => {
  const prepare = async (load?: () => Promise<DuplicateDescriptor>) => {
    const warnings: string[] = [];
    const reads = await DirectReads.prepare(new BufferPool(), (warning) => warnings.push(warning), load);
    return { reads, warnings };
  };

  it('works with this Node', async () => {
    expect((await prepare()).warnings).toEqual([]);
  });

  it.each([
    ['there is no second descriptor', () => Promise.reject(new Error('not available on plan9')), 'plan9'],
    ['descriptors are wrong', () => Promise.resolve(() => -1), '0 of 3 requests'],
  ])('is off with a warning if %s', async (_, load, reason) => {
    const { reads, warnings } = await prepare(load);
    expect(warnings).toEqual([expect.stringContaining(reason)]);
    expect(reads.open({} as IncomingMessage, Infinity)).toBeUndefined();
  });
});
