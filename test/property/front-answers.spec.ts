import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { digestOf } from '../../src/oci/digest.js';
import { type StartedFront, startFrontOf } from './front-under-test.js';

const BLOB = `/v2/demo/blobs/${digestOf('sha256', Buffer.from('a layer'))}`;
const SESSION = '/v2/demo/blobs/uploads/1b4e28ba';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

describe('an answer of a replica', () => {
  let replica: Server;
  let front: StartedFront;
  /** The requests that the replica got, without probes. */
  let seen: string[] = [];
  let answer: Handler = (_, response) => response.end();

  beforeAll(async () => {
    replica = createServer((request, response) => {
      if (request.url === '/health/ready') return void response.end();
      seen.push(`${request.method} ${request.url}`);
      request.resume().once('end', () => answer(request, response));
    }).listen(0, '127.0.0.1');
    await once(replica, 'listening');
    // A server that listens on TCP has such an address.
    const { port } = replica.address() as AddressInfo;
    front = await startFrontOf([`http://127.0.0.1:${port}`], { FRONT_RETRY_SECONDS: '1' });
  });
  afterEach(() => void (seen = []));
  afterAll(async () => {
    await front.close();
    replica.closeAllConnections();
    replica.close();
  });

  const ask = (method: string, path: string, body: string | null = null) =>
    fetch(front.url + path, { method, body, redirect: 'manual' });

  it.each(['GET', 'HEAD'])('that redirects to the object store passes unchanged (%s)', async (method) => {
    // What was signed must not be written in another way.
    const location = 'https://store.example.org/a%2Fb/c%20d?X-Amz-Signature=0a%2B%2f&x=~(1)&y';
    answer = (_, response) =>
      response.writeHead(307, { Location: location, 'Cache-Control': 'no-store' }).end();
    const response = await ask(method, BLOB);
    expect([response.status, response.headers.get('location')]).toEqual([307, location]);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect([await response.text(), seen]).toEqual(['', [`${method} ${BLOB}`]]);
  });

  it.each([
    ['GET', SESSION, null],
    ['DELETE', SESSION, null],
    ['PATCH', `${SESSION}?offset=0`, 'bytes'],
    ['PUT', `${SESSION}?offset=0&digest=x`, 'bytes'],
  ])('that limits the client is not asked for again (%s)', async (method, path, body) => {
    const error = '{"errors":[{"code":"TOOMANYREQUESTS","message":"too many failed logins"}]}';
    answer = (_, response) => response.writeHead(429, { 'Retry-After': '600' }).end(error);
    const response = await ask(method, path, body);
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, '600']);
    expect([await response.text(), seen]).toEqual([error, [`${method} ${path}`]]);
  });

  it('that is an error without an end counts as none', async () => {
    answer = (_, response) => {
      response.writeHead(500);
      const more = () => !response.destroyed && response.write(Buffer.alloc(100_000, 'x'), more);
      more();
    };
    const response = await ask('GET', '/v2/demo/tags/list');
    expect([response.status, await response.text()]).toEqual([
      503,
      expect.stringContaining('no replica answered'),
    ]);
  });
});
