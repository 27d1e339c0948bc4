import type { Socket } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openSocket } from '../support/https-client.js';
import { RawConnection, type RawHeaders, requestHead } from '../support/raw-http.js';
import { digestOf, OCI_MANIFEST, RegistryClient } from '../support/registry-client.js';
import { freshName } from '../support/fresh-name.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';

describe('connections', () => {
  let berth: RunningBerth;
  let client: RegistryClient;
  const sockets: Socket[] = [];

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
  });
  afterAll(() => sockets.forEach((socket) => socket.destroy()));

  /** Sends text and returns everything received until the server ends the connection. */
  const exchange = async (text: string, afterAnswer = ''): Promise<string> => {
    const socket = await openSocket(berth.url);
    sockets.push(socket);
    const received: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => received.push(chunk)).on('error', () => undefined);
    const ended = new Promise((resolve) => socket.once('close', resolve));
    socket.write(text);
    if (afterAnswer !== '') {
      await once(socket, 'data');
      socket.write(afterAnswer);
    }
    await ended;
    return Buffer.concat(received).toString();
  };

  const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`;

  it('returns the responses to pipelined requests in order', async () => {
    const responses = await exchange(
      get('/v2/') + get('/v2/_catalog') + get('/v2/', 'Connection: close\r\n'),
    );
    expect(responses.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(3);
  });

  /** The statuses of responses. */
  const statuses = (responses: string) =>
    [...responses.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status);

  it('handles pipelined requests one after the other', async () => {
    const name = freshName();
    await client.makeImage(name);
    const manifests = await Promise.all(
      ['first', 'second'].map(async (note) => JSON.stringify({ ...(await client.makeImage(name)), note })),
    );
    const request = (method: string, path: string, body = '', more = '') =>
      `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`;
    for (let round = 0; round < 20; round += 1) {
      const tag = `/v2/${name}/manifests/round-${round}`;
      const upload = await client.startUpload(name);
      const digest = digestOf(`a${round}bc`);
      const put = (index: number) =>
        request('PUT', tag, manifests[index], `Content-Type: ${OCI_MANIFEST}\r\n`);
      const responses = await exchange(
        request('PATCH', upload, `a${round}`) +
          request('PATCH', upload, 'b') +
          request('PUT', `${upload}?digest=${digest}`, 'c') +
          get(`/v2/${name}/blobs/${digest}`) +
          put(0) +
          put(1) +
          get(tag) +
          request('DELETE', tag, '', 'Connection: close\r\n'),
      );
      expect(statuses(responses)).toEqual(['202', '202', '201', '200', '201', '201', '200', '202']);
      expect(responses).toContain(`Docker-Content-Digest: ${digestOf(manifests[1] ?? '')}\r\nETag`);
    }
  });

  it('accepts pipelined bodies larger than its buffers', async () => {
    const upload = await client.startUpload(freshName());
    const bodies = ['a', 'b', 'c'].map((letter) => letter.repeat(1_000_000));
    const connection = await RawConnection.open(berth.url);
    const length: RawHeaders = [['Content-Length', 1_000_000]];
    const [first = '', second = '', third = ''] = bodies;
    const sent = connection.send(
      ...[requestHead('PATCH', upload, length), first],
      ...[requestHead('PATCH', upload, [...length, ['Expect', '100-continue']]), second],
      ...[requestHead('PUT', `${upload}?digest=${digestOf(bodies.join(''))}`, length), third],
    );
    const responses = [];
    for (const _ of bodies) responses.push((await connection.response()).status);
    await sent;
    connection.leave();
    expect(responses).toEqual([202, 202, 201]);
  });

  it.each([
    ['GET', '/foo', '404'],
    ['HEAD', '/favicon.ico', '404'],
    ['POST', '/', '405'],
    ['DELETE', '/foo', '404', 'Content-Length: 0\r\n'],
  ])(
    'keeps the connection of a refused request without a body: %s %s',
    async (method, path, status, more = '') => {
      const request = `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`;
      // The second one is pipelined, the third comes after a response.
      const responses = await exchange(request + request, request + get('/v2/', 'Connection: close\r\n'));
      expect(statuses(responses)).toEqual([status, status, status, '200']);
      expect(responses.match(/^Connection: close/gim)).toHaveLength(1);
    },
  );

  it.each(['Content-Length: 1', 'Transfer-Encoding: chunked'])(
    'closes the connection of a refused request whose body has not arrived: %s',
    async (header) => {
      const body = header.includes('chunked') ? '1\r\na\r\n0\r\n\r\n' : 'a';
      const request = `POST /foo HTTP/1.1\r\nHost: localhost\r\n${header}\r\n\r\n`;
      const responses = await exchange(request, body + get('/v2/'));
      expect(statuses(responses)).toEqual(['404']);
      expect(responses).toMatch(/^Connection: close/im);
    },
  );

  it('ignores requests after one that closes the connection', async () => {
    const name = freshName();
    await client.putManifest(name, 'kept', await client.makeImage(name));
    const follower = `DELETE /v2/${name}/manifests/kept HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    expect(statuses(await exchange(get('/v2/_catalog', 'Connection: close\r\n') + follower))).toEqual([
      '200',
    ]);
    expect((await client.fetch(`/v2/${name}/manifests/kept`, { method: 'HEAD' })).status).toBe(200);
  });

  it('responds to the requests before one that closes the connection', async () => {
    const responses = await exchange(
      get('/v2/').repeat(3) + get('/v2/', 'Expect: wonders\r\n') + get('/v2/'),
    );
    expect(statuses(responses)).toEqual(['200', '200', '200', '417']);
  });

  it('closes a connection that pipelines too many requests', async () => {
    const responses = await exchange(get('/v2/_catalog').repeat(50));
    expect(responses.match(/HTTP\/1\.1 200 OK/g)?.length ?? 0).toBeLessThanOrEqual(8);
    expect((await client.fetch('/v2/')).status).toBe(200);
  });

  it('ignores requests after a response that closed the connection', async () => {
    const name = freshName();
    await client.putManifest(name, 'kept', await client.makeImage(name));
    // The body is not complete when the response is sent, so that the response closes the connection.
    const length = 2 * 1024 * 1024;
    const head = `PUT /v2/UPPER/manifests/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${length}\r\n\r\n`;
    const follower = `DELETE /v2/${name}/manifests/kept HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    const responses = await exchange(head + 'x'.repeat(1024), 'x'.repeat(length - 1024) + follower);
    expect(responses).toMatch(/^Connection: close/im);
    expect(responses.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect((await client.fetch(`/v2/${name}/manifests/kept`, { method: 'HEAD' })).status).toBe(200);
  });

  it.each([
    ['no Host', 'GET /v2/ HTTP/1.1\r\n\r\n', 400],
    ['two Hosts', get('/v2/', 'Host: page.example\r\n'), 400],
    ['the same Host twice', get('/v2/', 'hOST: localhost\r\n'), 400],
    ['two credentials', get('/v2/', 'Authorization: Basic YTpi\r\nAuthorization: Basic YzpkCg==\r\n'), 400],
    ...[
      'a b',
      'localhost/v2',
      'localhost, page.example',
      'user@localhost',
      'localhost:port',
      '[::1',
      'a%2',
      'é',
    ].map((host): [string, string, number] => [
      `the Host ${host}`,
      `GET /v2/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
      400,
    ]),
    ...[
      'https://localhost/v2/',
      'ftp://localhost/v2/',
      'http:///v2/',
      'http://user@localhost/v2/',
      'http://local%host/v2/',
      '*',
    ].map((target): [string, string, number] => [`the target ${target}`, get(target), 400]),
    [
      'a transfer coding in HTTP/1.0',
      'POST /v2/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['HTTP/2.0 in the syntax of HTTP/1.1', 'GET /v2/ HTTP/2.0\r\nHost: localhost\r\n\r\n', 400],
    ['an unknown expectation', get('/v2/', 'Expect: wonders\r\n'), 417],
    [
      'a transfer coding besides chunked',
      'POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: localhost\r\n' +
        'Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
  ])('refuses %s in the spec’s shape', async (_, request, status) => {
    const response = await exchange(request);
    expect(response).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    const body = JSON.parse(response.slice(response.indexOf('\r\n\r\n') + 4)) as unknown;
    expect(body).toMatchObject({ errors: [{ code: 'UNSUPPORTED', message: expect.any(String) }] });
  });

  it.each([
    ['without a Host', ''],
    ['with one', 'Host: localhost\r\n'],
  ])('responds to HTTP/1.0 %s, and closes', async (_, host) => {
    const response = await exchange(`GET /v2/ HTTP/1.0\r\n${host}\r\n`);
    expect(response).toMatch(/^HTTP\/1\.1 200 [^]*Connection: close/);
  });

  it.each(['localhost', 'localhost:', '127.0.0.1:5000', '[::1]:5000', 'LOCALHOST'])(
    'takes the Host %s',
    async (host) => {
      const response = await exchange(`GET /v2/ HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      expect(statuses(response)).toEqual(['200']);
    },
  );

  describe('a whole URL as the target', () => {
    const absolute = (method: string, url: string, host: string, more = '') =>
      exchange(`${method} ${url} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${more}\r\n`);

    it.each(['http://localhost/v2/_catalog?n=1', 'HTTP://127.0.0.1:80/v2/_catalog', 'http://localhost/v2/'])(
      'is that path: %s',
      async (url) => {
        expect(statuses(await absolute('GET', url, 'localhost'))).toEqual(['200']);
      },
    );

    it('may have no path', async () => {
      expect(statuses(await absolute('GET', 'http://localhost', 'localhost'))).toEqual(['200']);
      expect(statuses(await absolute('GET', 'http://localhost?x', 'localhost'))).toEqual(['200']);
    });

    it('overrides the Host header', async () => {
      expect(statuses(await absolute('GET', 'http://page.example/v2/_catalog', 'localhost'))).toEqual([
        '403',
      ]);
      expect(statuses(await absolute('GET', 'http://localhost/v2/_catalog', 'page.example'))).toEqual([
        '200',
      ]);
      const origin = 'Origin: http://page.example\r\n';
      expect(statuses(await absolute('GET', 'http://localhost/v2/_catalog', 'page.example', origin))).toEqual(
        ['403'],
      );
    });

    it('starts an upload as the path does', async () => {
      const name = freshName();
      const response = await absolute('POST', `http://localhost/v2/${name}/blobs/uploads/`, 'localhost');
      expect(response).toMatch(new RegExp(`^HTTP/1\\.1 202 [^]*Location: /v2/${name}/blobs/uploads/`));
    });
  });

  it('distinguishes upper and lower case in paths', async () => {
    expect((await client.fetch('/V2/_catalog')).status).toBe(404);
    expect((await client.fetch('/v2/a/TAGS/list')).status).toBe(404);
    expect((await client.fetch('/API/v1/overview')).status).toBe(404);
  });

  it('refuses requests of foreign web pages', async () => {
    const foreign = await client.fetch(`/v2/${freshName()}/blobs/uploads/`, {
      method: 'POST',
      headers: { Origin: 'https://page.example' },
    });
    expect(foreign.status).toBe(403);
    expect(await foreign.json()).toMatchObject({ errors: [{ code: 'DENIED' }] });
    const image = { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' };
    expect((await client.fetch('/v2/_catalog', { headers: image })).status).toBe(403);
    expect((await client.fetch('/api/v1/overview', { headers: image })).status).toBe(403);
    const link = {
      'Sec-Fetch-Site': 'cross-site',
      'Sec-Fetch-Mode': 'navigate',
      'Sec-Fetch-Dest': 'document',
    };
    const followed = await exchange(
      get(
        '/v2/_catalog',
        Object.entries({ ...link, Connection: 'close' })
          .map(([name, value]) => `${name}: ${value}\r\n`)
          .join(''),
      ),
    );
    expect(statuses(followed)).toEqual(['200']);
    const rebound = await exchange(
      'GET /v2/_catalog HTTP/1.1\r\nHost: page.example\r\nConnection: close\r\n\r\n',
    );
    expect(rebound).toMatch(/^HTTP\/1\.1 403 /);
  });
});
