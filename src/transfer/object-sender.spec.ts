import { EventEmitter, once } from 'node:events';
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { until } from '../../test/support/until.js';
import type { OpenObject } from '../storage/driver-abilities.js';
import { StorageError } from '../storage/storage.errors.js';
import { ObjectSender } from './object-sender.js';
import { BufferPool } from './buffer-pool.js';

const PATTERN = Buffer.from(Array.from({ length: 251 }, (_, index) => index));
const CONTENT = Buffer.alloc(3_000_000, PATTERN);
const LARGE = 512 * 1024;

/** An object in memory that counts concurrent reads. */
class ObjectInMemory implements OpenObject {
  readonly sizeBytes = CONTENT.length;
  readonly reads: number[] = [];
  reading = 0;
  maxReading = 0;

  constructor(private readonly failAt = Infinity) {}

  async read(into: Uint8Array, position: number): Promise<void> {
    this.reads.push(position);
    this.reading += 1;
    this.maxReading = Math.max(this.maxReading, this.reading);
    await turn();
    this.reading -= 1;
    if (position >= this.failAt) throw new StorageError('a file is shorter than it was');
    expect(CONTENT.copy(into, 0, position, position + into.length)).toBe(into.length);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Larger than the kernel's buffers for a client that reads nothing. */
class EndlessObject extends ObjectInMemory {
  override readonly sizeBytes = 1_000_000_000;

  override async read(): Promise<void> {
    await turn();
  }
}

/** A response whose client reads when the test decides. */
class HeldResponse extends EventEmitter {
  readonly writes: { readonly chunk: Buffer; readonly done: (error?: Error) => void }[] = [];
  destroyed = false;
  isEnded = false;

  write(chunk: Buffer, done: (error?: Error) => void): boolean {
    this.writes.push({ chunk, done });
    return false;
  }

  end(): void {
    this.isEnded = true;
  }

  leave(): void {
    this.destroyed = true;
    this.emit('close');
  }

  asResponse(): ServerResponse {
    return this as unknown as ServerResponse;
  }
}

describe('ObjectSender', () => {
  const buffers = new BufferPool();
  const sender = new ObjectSender(buffers);
  let handle: (request: IncomingMessage, response: ServerResponse) => void;
  const server = createServer((request, response) => handle(request, response));

  beforeEach(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    expect(buffers.pooledInUse).toBe(0);
  });

  const ask = () => get({ port: (server.address() as AddressInfo).port, agent: false });

  async function bodyOf(object: OpenObject, start: number, end: number): Promise<Buffer> {
    handle = (_, response) => {
      response.writeHead(200, { 'Content-Length': end - start + 1 });
      void sender.send(object, { start, end }, response);
    };
    const [response] = (await once(ask(), 'response')) as [IncomingMessage];
    return buffer(response);
  }

  it('sends the whole of any span, reading one piece at a time', async () => {
    const position = fc.integer({ min: 0, max: CONTENT.length - 1 });
    await fc.assert(
      fc.asyncProperty(position, position, async (one, other) => {
        const [start, end] = one < other ? [one, other] : [other, one];
        const object = new ObjectInMemory();
        const sent = await bodyOf(object, start, end);
        expect(sent.equals(CONTENT.subarray(start, end + 1))).toBe(true);
        expect(object.maxReading).toBe(1);
      }),
      { numRuns: 30 },
    );
  });

  it('sends many concurrent readers their own bytes', async () => {
    const object = new ObjectInMemory();
    handle = (request, response) => {
      const start = Number(request.url?.slice(1));
      response.writeHead(200, { 'Content-Length': 2_000_000 });
      void sender.send(object, { start, end: start + 1_999_999 }, response);
    };
    const port = (server.address() as AddressInfo).port;
    const starts = Array.from({ length: 40 }, (_, index) => index * 7919);
    const responses = starts.map(async (start) => {
      const [response] = (await once(get({ port, path: `/${start}`, agent: false }), 'response')) as [
        IncomingMessage,
      ];
      return (await buffer(response)).equals(CONTENT.subarray(start, start + 2_000_000));
    });
    expect(await Promise.all(responses)).toEqual(starts.map(() => true));
  });

  it('stops reading when the client stops reading', async () => {
    const object = new ObjectInMemory();
    const size = 1_000_000_000;
    Object.assign(object, {
      read: async (_into: Uint8Array, position: number) => {
        object.reads.push(position);
        await turn();
      },
    });
    let sent: Promise<void> | undefined;
    handle = (_, response) => {
      response.writeHead(200, { 'Content-Length': size });
      sent = sender.send(object, { start: 0, end: size - 1 }, response);
    };
    const request = ask();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.pause();
    for (let before = -1; before !== object.reads.length;) {
      before = object.reads.length;
      for (let turns = 0; turns < 2_000; turns += 1) await turn();
    }
    expect(object.reads.length).toBeLessThan(100);
    request.destroy();
    response.on('error', () => undefined);
    await sent;
  });

  it('settles when the client disconnects', async () => {
    let sent: Promise<void> | undefined;
    const object = new ObjectInMemory();
    handle = (_, response) => {
      response.writeHead(200, { 'Content-Length': CONTENT.length });
      sent = sender.send(object, { start: 0, end: CONTENT.length - 1 }, response);
    };
    const request = ask();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.on('error', () => undefined);
    request.destroy();
    await sent;
    expect(object.reading).toBe(0);
  });

  it('releases all buffers after clients disconnected, whatever was being sent', async () => {
    const object = new EndlessObject();
    const sent: Promise<void>[] = [];
    handle = (_, response) => {
      response.writeHead(200, { 'Content-Length': object.sizeBytes });
      sent.push(sender.send(object, { start: 0, end: object.sizeBytes - 1 }, response));
    };
    for (let round = 0; round < 5; round += 1) {
      const requests = Array.from({ length: 10 }, ask);
      const responses = await Promise.all(requests.map((request) => once(request, 'response')));
      // None of them reads, so the kernel's buffers are full and the last chunk is still being sent.
      for (const [response] of responses as [IncomingMessage][]) response.on('error', () => undefined);
      await until('buffers on their way', () => buffers.pooledInUse >= 10);
      requests.forEach((request) => request.destroy());
      await Promise.all(sent);
      expect(buffers.pooledInUse).toBe(0);
    }
    expect(sent).toHaveLength(50);
  });

  it('throws without ending the response if the bytes are missing', async () => {
    let sent: Promise<unknown> | undefined;
    handle = (_, response) => {
      response.writeHead(200, { 'Content-Length': CONTENT.length });
      sent = sender
        .send(new ObjectInMemory(600_000), { start: 0, end: CONTENT.length - 1 }, response)
        .catch((error: unknown) => {
          expect(response.writableEnded).toBe(false);
          response.destroy();
          return error;
        });
    };
    const [response] = (await once(ask(), 'response')) as [IncomingMessage];
    await expect(buffer(response)).rejects.toThrow('aborted');
    expect(await sent).toBeInstanceOf(StorageError);
  });
});

describe('ObjectSender, whose client does not take what it is sent', () => {
  let buffers: BufferPool;
  let object: ObjectInMemory;
  let response: HeldResponse;
  beforeEach(() => {
    buffers = new BufferPool();
    object = new ObjectInMemory();
    response = new HeldResponse();
  });

  const send = (patienceMs?: number) =>
    new ObjectSender(buffers, patienceMs).send(
      object,
      { start: 0, end: CONTENT.length - 1 },
      response.asResponse(),
    );
  const written = (count: number) => until(`write ${count}`, () => response.writes.length === count);

  it('releases the buffer that was read ahead for a slow client, and continues with small ones', async () => {
    const sent = send(1);
    await written(1);
    await until('the second buffer', () => object.reads.length === 2 && buffers.pooledInUse === 1);
    const received: Buffer[] = [];
    for (let next = 0; !response.isEnded; next += 1) {
      await until('a write, or the end', () => response.writes.length > next || response.isEnded);
      const write = response.writes[next];
      if (write === undefined) break;
      received.push(Buffer.from(write.chunk));
      write.done();
    }
    await sent;
    expect(received.slice(0, 3).map(({ length }) => length)).toEqual([LARGE, 64 * 1024, 64 * 1024]);
    expect(Buffer.concat(received).equals(CONTENT)).toBe(true);
    expect(object.reads.slice(0, 3)).toEqual([0, LARGE, LARGE]);
    expect(buffers.pooledInUse).toBe(0);
  });

  it('keeps both buffers for a client that is not slow', async () => {
    const sent = send(3_600_000);
    await written(1);
    await until('the second buffer', () => object.reads.length === 2 && object.reading === 0);
    expect(buffers.pooledInUse).toBe(2);
    response.leave();
    await sent;
    expect(buffers.pooledInUse).toBe(0);
  });

  it('does not reuse a buffer that the kernel may still read, even after a late confirmation', async () => {
    const sent = send(3_600_000);
    await written(1);
    response.leave();
    await sent;
    expect(buffers.pooledInUse).toBe(0);
    response.writes[0]?.done();
    const memory = response.writes[0]?.chunk.buffer;
    expect([1, 2, 3].map(() => buffers.acquire('send', LARGE).buffer)).not.toContain(memory);
  });

  it('stops when a write fails', async () => {
    const sent = send(3_600_000);
    await written(1);
    response.writes[0]?.done(new Error('EPIPE'));
    await sent;
    expect(response.isEnded).toBe(false);
    expect(response.writes).toHaveLength(1);
    expect(buffers.pooledInUse).toBe(0);
  });

  it('reads nothing for a client that has disconnected', async () => {
    response.leave();
    await send();
    expect(object.reads).toEqual([]);
    expect(response.writes).toEqual([]);
    expect(response.isEnded).toBe(false);
  });

  it('releases the buffer that it was reading when the client disconnected', async () => {
    const reads: Buffer[] = [];
    Object.assign(object, {
      read: (into: Buffer) => {
        reads.push(into);
        response.leave();
        return Promise.resolve();
      },
    });
    await send();
    expect(response.writes).toEqual([]);
    expect(buffers.pooledInUse).toBe(0);
    expect(buffers.acquire('send', LARGE).buffer).toBe(reads[0]?.buffer);
  });
});
