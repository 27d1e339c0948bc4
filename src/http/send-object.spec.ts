import { once } from 'node:events';
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { OpenObject } from '../storage/opening-storage-driver.js';
import { StorageError } from '../storage/storage.errors.js';
import { sendObject } from './send-object.js';

const CONTENT = Buffer.alloc(
  3_000_000,
  (() => {
    return Buffer.from(Array.from({ length: 251 }, (_, index) => index));
  })(),
);

/** An object in memory that says how often it is read at the same time. */
class ObjectInMemory implements OpenObject {
  readonly sizeBytes = CONTENT.length;
  readonly reads: number[] = [];
  reading = 0;
  mostReading = 0;

  constructor(private readonly failAt = Infinity) {}

  async read(into: Uint8Array, position: number): Promise<void> {
    this.reads.push(position);
    this.reading += 1;
    this.mostReading = Math.max(this.mostReading, this.reading);
    await turn();
    this.reading -= 1;
    if (position >= this.failAt) throw new StorageError('a file is shorter than it was');
    expect(CONTENT.copy(into, 0, position, position + into.length)).toBe(into.length);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

describe('sendObject', () => {
  let handle: (request: IncomingMessage, response: ServerResponse) => void;
  const server = createServer((request, response) => handle(request, response));

  beforeEach(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const ask = () => get({ port: (server.address() as AddressInfo).port, agent: false });

  async function answerOf(object: OpenObject, start: number, end: number): Promise<Buffer> {
    handle = (_, response) => {
      response.writeHead(200, { 'Content-Length': end - start + 1 });
      void sendObject(object, { start, end }, response);
    };
    const [response] = (await once(ask(), 'response')) as [IncomingMessage];
    return buffer(response);
  }

  it('sends any span whole, reading one piece at a time', async () => {
    const position = fc.integer({ min: 0, max: CONTENT.length - 1 });
    await fc.assert(
      fc.asyncProperty(position, position, async (one, other) => {
        const [start, end] = one < other ? [one, other] : [other, one];
        const object = new ObjectInMemory();
        const sent = await answerOf(object, start, end);
        expect(sent.equals(CONTENT.subarray(start, end + 1))).toBe(true);
        expect(object.mostReading).toBe(1);
      }),
      { numRuns: 30 },
    );
  });

  it('gives many readers at once their own bytes', async () => {
    const object = new ObjectInMemory();
    handle = (request, response) => {
      const start = Number(request.url?.slice(1));
      response.writeHead(200, { 'Content-Length': 2_000_000 });
      void sendObject(object, { start, end: start + 1_999_999 }, response);
    };
    const port = (server.address() as AddressInfo).port;
    const starts = Array.from({ length: 40 }, (_, index) => index * 7919);
    const answers = starts.map(async (start) => {
      const [response] = (await once(get({ port, path: `/${start}`, agent: false }), 'response')) as [
        IncomingMessage,
      ];
      return (await buffer(response)).equals(CONTENT.subarray(start, start + 2_000_000));
    });
    expect(await Promise.all(answers)).toEqual(starts.map(() => true));
  });

  it('reads no further than a client that has stopped reading needs', async () => {
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
      sent = sendObject(object, { start: 0, end: size - 1 }, response);
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

  it('settles when the client leaves', async () => {
    let sent: Promise<void> | undefined;
    const object = new ObjectInMemory();
    handle = (_, response) => {
      response.writeHead(200, { 'Content-Length': CONTENT.length });
      sent = sendObject(object, { start: 0, end: CONTENT.length - 1 }, response);
    };
    const request = ask();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.on('error', () => undefined);
    request.destroy();
    await sent;
    expect(object.reading).toBe(0);
  });

  it('fails without ending the answer when the bytes are not there', async () => {
    let sent: Promise<unknown> | undefined;
    handle = (_, response) => {
      response.writeHead(200, { 'Content-Length': CONTENT.length });
      sent = sendObject(new ObjectInMemory(600_000), { start: 0, end: CONTENT.length - 1 }, response).catch(
        (error: unknown) => {
          expect(response.writableEnded).toBe(false);
          response.destroy();
          return error;
        },
      );
    };
    const [response] = (await once(ask(), 'response')) as [IncomingMessage];
    await expect(buffer(response)).rejects.toThrow('aborted');
    expect(await sent).toBeInstanceOf(StorageError);
  });
});
