import { afterEach, describe, expect, it } from '@jest/globals';
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { BUSY_UPLOAD } from '../../src/oci/busy-upload.js';
import { startFrontOf } from '../property/front-under-test.js';
import { httpChunk, RawConnection, rawRequest, requestHead } from '../support/raw-http.js';

const SESSION = '/v2/demo/blobs/uploads/1';
const EMPTY = { 'Content-Length': 0 };

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** Starts a replica that is ready and responds as told, and a front of it. */
async function frontOf(answer: RequestListener, settings: Record<string, string> = {}): Promise<string> {
  const listener: RequestListener = (request, response) => {
    if (request.url === '/health/ready') response.end();
    else answer(request, response);
  };
  const replica = createServer(listener).on('checkContinue', listener);
  await new Promise<void>((resolve) => replica.listen(0, '127.0.0.1', resolve));
  closing.push(() => end(replica));
  // It listens on TCP.
  const { port } = replica.address() as AddressInfo;
  const front = await startFrontOf([`http://127.0.0.1:${port}`], settings);
  closing.push(() => front.close());
  return front.url;
}

async function end(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
}

function report({ socket }: ServerResponse, offset: number): void {
  socket?.write(`HTTP/1.1 104 Upload Resumption Supported\r\nUpload-Offset: ${offset}\r\n\r\n`);
}

describe('a replica that has all bytes and does not answer', () => {
  it('is given up after FRONT_RETRY_SECONDS', async () => {
    const url = await frontOf(
      (request, response) => {
        let offset = 0;
        report(response, offset);
        request.on('data', (bytes: Buffer) => report(response, (offset += bytes.length)));
      },
      { FRONT_RETRY_SECONDS: '1' },
    );
    const client = await RawConnection.open(url);
    const head = requestHead('PATCH', `${SESSION}?offset=0`, [['Transfer-Encoding', 'chunked']]);
    await client.send(head, httpChunk('bytes'));
    // The front has learned that all of them are durable.
    await sleep(200);
    await client.send(httpChunk(''));
    expect((await client.response()).status).toBe(503);
    client.leave();
  });
});

describe('a lost writer that records bytes after the front has asked for the offset', () => {
  it('is no reason to refuse the body, also if the client states its offset', async () => {
    const stated: (string | undefined)[] = [];
    const url = await frontOf((request, response) => {
      if (request.method === 'GET') {
        response.writeHead(204, { 'Upload-Offset': stated.length < 2 ? 0 : 3 }).end();
        return;
      }
      stated.push(request.headers['upload-offset']?.toString());
      if (stated.length === 1) request.socket.destroy();
      else request.resume().on('end', () => response.writeHead(stated.length === 2 ? 416 : 202, EMPTY).end());
    });
    const headers = [
      ['Upload-Offset', 0],
      ['Content-Length', 5],
    ] as const;
    const answer = await rawRequest(url, 'PATCH', SESSION, headers, 'bytes');
    expect(answer.status).toBe(202);
    expect(stated).toEqual(['0', '0', '3']);
  });
});

describe('an upload that another request of the client has taken over', () => {
  it('ends, and does not take the session back', async () => {
    const methods: (string | undefined)[] = [];
    const url = await frontOf((request, response) => {
      methods.push(request.method);
      if (request.method === 'GET') {
        response.writeHead(204, { 'Upload-Offset': 6 }).end();
        return;
      }
      report(response, 0);
      const busy = JSON.stringify({ errors: [{ code: 'TOOMANYREQUESTS', detail: BUSY_UPLOAD }] });
      const headers = { 'Content-Length': busy.length, 'Retry-After': 1 };
      request.once('data', () => response.writeHead(429, headers).end(busy));
    });
    const client = await RawConnection.open(url);
    const head = requestHead('PATCH', `${SESSION}?offset=0`, [['Transfer-Encoding', 'chunked']]);
    await client.send(head, httpChunk('bytes'));
    expect((await client.response()).status).toBe(429);
    expect(methods).toEqual(['PATCH', 'GET']);
    client.leave();
  });
});

describe('a client that sends a small body slowly', () => {
  it.each([
    ['PUT', '/v2/demo/manifests/latest'],
    ['PATCH', `${SESSION}?offset=0`],
  ])('does not use up the time of the replicas (%s)', async (method, target) => {
    const url = await frontOf(
      (request, response) => request.resume().on('end', () => response.writeHead(201, EMPTY).end()),
      { FRONT_RETRY_SECONDS: '1' },
    );
    const client = await RawConnection.open(url);
    await client.send(requestHead(method, target, [['Content-Length', 2]]), 'b');
    await sleep(1_200);
    await client.send('y');
    expect((await client.response()).status).toBe(201);
    client.leave();
  });
});

describe('a push in one request whose client disconnects', () => {
  it('leaves no session', async () => {
    let seen: (target: string | undefined) => void = () => undefined;
    const cancelled = new Promise((resolve) => (seen = resolve));
    const url = await frontOf((request, response) => {
      if (request.method === 'POST') response.writeHead(202, { ...EMPTY, Location: `${SESSION}?offset=0` });
      if (request.method === 'DELETE') seen(request.url);
      if (request.method !== 'PUT') response.end();
    });
    const client = await RawConnection.open(url);
    const target = `/v2/demo/blobs/uploads/?digest=sha256:${'0'.repeat(64)}`;
    await client.send(requestHead('POST', target, [['Transfer-Encoding', 'chunked']]), httpChunk('bytes'));
    client.leave();
    expect(await cancelled).toBe(SESSION);
  });
});
