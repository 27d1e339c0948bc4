import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { RegistryClient } from '../support/registry-client.js';
import { freshName, startTestBerth, type TestBerth } from '../support/test-berth.js';

describe('connections', () => {
  let berth: TestBerth;
  let client: RegistryClient;
  const sockets: Socket[] = [];

  beforeAll(async () => {
    berth = await startTestBerth();
    client = new RegistryClient(berth.url);
  });
  afterAll(async () => {
    sockets.forEach((socket) => socket.destroy());
    await berth.dispose();
  });

  /** Sends text and answers all that comes back until the server ends the connection. */
  const exchange = async (text: string, afterAnswer = ''): Promise<string> => {
    const { hostname, port } = new URL(berth.url);
    const socket = connect(Number(port), hostname);
    sockets.push(socket);
    const received: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => received.push(chunk)).on('error', () => undefined);
    await once(socket, 'connect');
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

  it('answers requests that come in one write, in their order', async () => {
    const answers = await exchange(get('/v2/') + get('/v2/_catalog') + get('/v2/', 'Connection: close\r\n'));
    expect(answers.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(3);
  });

  it('cuts a connection that asks for more and more without waiting for an answer', async () => {
    const answers = await exchange(get('/v2/_catalog').repeat(50));
    expect(answers.match(/HTTP\/1\.1 200 OK/g)?.length ?? 0).toBeLessThanOrEqual(8);
    expect((await client.fetch('/v2/')).status).toBe(200);
  });

  it('does nothing of what follows an answer that ended the connection', async () => {
    const name = freshName();
    await client.putManifest(name, 'kept', await client.makeImage(name));
    // Not sent to its end before the answer: the connection ends with it.
    const length = 2 * 1024 * 1024;
    const head = `PUT /v2/UPPER/manifests/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${length}\r\n\r\n`;
    const follower = `DELETE /v2/${name}/manifests/kept HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    const answers = await exchange(head + 'x'.repeat(1024), 'x'.repeat(length - 1024) + follower);
    expect(answers).toMatch(/^Connection: close/im);
    expect(answers.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect((await client.fetch(`/v2/${name}/manifests/kept`, { method: 'HEAD' })).status).toBe(200);
  });

  it.each([
    ['no Host', 'GET /v2/ HTTP/1.1\r\n\r\n', 400],
    ['an expectation that nobody knows', get('/v2/', 'Expect: wonders\r\n'), 417],
    [
      'a transfer coding besides chunked',
      `POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
      400,
    ],
  ])('refuses %s in the spec’s shape', async (_, request, status) => {
    const answer = await exchange(request);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    const body = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)) as unknown;
    expect(body).toMatchObject({ errors: [{ code: 'UNSUPPORTED', message: expect.any(String) }] });
  });

  it('takes paths as they are written, upper and lower case apart', async () => {
    expect((await client.fetch('/V2/_catalog')).status).toBe(404);
    expect((await client.fetch('/v2/a/TAGS/list')).status).toBe(404);
    expect((await client.fetch('/API/v1/overview')).status).toBe(404);
  });

  it('serves no web page of somebody else', async () => {
    const foreign = await client.fetch(`/v2/${freshName()}/blobs/uploads/`, {
      method: 'POST',
      headers: { Origin: 'https://page.example' },
    });
    expect(foreign.status).toBe(403);
    expect(await foreign.json()).toMatchObject({ errors: [{ code: 'DENIED' }] });
    const rebound = await exchange(
      'GET /v2/_catalog HTTP/1.1\r\nHost: page.example\r\nConnection: close\r\n\r\n',
    );
    expect(rebound).toMatch(/^HTTP\/1\.1 403 /);
  });
});
