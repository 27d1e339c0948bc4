import { once } from 'node:events';
import { createServer, get, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { AccessLog } from './access-log.js';
import type { LoggedRequest } from './logged-request.js';

type Line = Record<string, unknown>;

interface Exchange {
  readonly path?: string;
  readonly headers?: Record<string, string>;
  /** The client disconnects before it gets a response. */
  readonly leaves?: boolean;
  readonly level?: string;
}

/** The lines of one request that `handle` handles, with the `X-Request-Id` of the response. */
async function linesOf(
  handle: RequestListener,
  { path = '/v2/a/blobs/x?token=secret', headers = {}, leaves = false, level = 'info' }: Exchange = {},
): Promise<{ lines: Line[]; header: unknown }> {
  const lines: Line[] = [];
  const log = new AccessLog(pino({ level }, { write: (text) => lines.push(JSON.parse(text) as Line) }));
  let end: () => void = () => undefined;
  const closed = new Promise<void>((resolve) => (end = resolve));
  const server = createServer((request, response) => {
    log.begin(request, response);
    handle(request, response);
    response.once('close', end);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  let header: unknown;
  let received: () => void = () => undefined;
  const responded = new Promise<void>((resolve) => (received = resolve));
  const request = get({ port, path, headers, agent: false }, (response) => {
    header = response.headers['x-request-id'];
    response.resume().once('close', received);
  });
  request.on('error', received);
  if (leaves) server.once('request', () => request.destroy());
  await Promise.all([closed, responded]);
  await new Promise((resolve) => server.close(resolve));
  return { lines, header };
}

async function lineOf(handle: RequestListener, exchange?: Exchange): Promise<Line> {
  const { lines } = await linesOf(handle, exchange);
  expect(lines).toHaveLength(1);
  return lines[0] ?? {};
}

const respond: RequestListener = (_request, response) => response.end('ok');

describe('the access log', () => {
  it('has client, request and status, without the query', async () => {
    const line = await lineOf(respond, {
      headers: { 'User-Agent': 'docker/1', Authorization: 'Basic secret' },
    });
    expect(line).toMatchObject({
      level: 30,
      msg: 'request',
      method: 'GET',
      path: '/v2/a/blobs/x',
      status: 200,
      durationMs: expect.any(Number),
      clientAddress: '127.0.0.1',
      userAgent: 'docker/1',
    });
    expect(JSON.stringify(line)).not.toContain('secret');
  });

  it.each(['http://u:secret@h/v2/a/', 'http://u:p@secret@h/v2/a/'])('has no password of %s', async (path) => {
    expect(String((await lineOf(respond, { path }))['path'])).toMatch(/^h\/v2\/a\/$/);
  });

  it('does not report an aborted response as a success', async () => {
    const line = await lineOf(() => undefined, { leaves: true });
    expect(line).toMatchObject({ msg: 'request aborted', status: null, clientAddress: '127.0.0.1' });
  });

  it.each([
    [500, 50, 'request failed'],
    [503, 40, 'request failed'],
    [404, 30, 'request'],
  ])('writes a %i at level %i, without an invented error', async (status, level, msg) => {
    const line = await lineOf((_request, response) => response.writeHead(status).end());
    expect(line).toMatchObject({ level, status, msg });
    expect(line['err']).toBeUndefined();
  });

  it.each(['/v2/', '/v2', '/v2/?x', '/health/live', '/health/ready'])(
    'writes %s at debug, unless it fails',
    async (path) => {
      expect((await linesOf(respond, { path })).lines).toEqual([]);
      expect(await lineOf(respond, { path, level: 'debug' })).toMatchObject({ level: 20 });
      const refuse: RequestListener = (_request, response) => response.writeHead(400).end();
      expect(await lineOf(refuse, { path })).toMatchObject({ level: 30 });
      const fail: RequestListener = (_request, response) => response.writeHead(503).end();
      expect(await lineOf(fail, { path })).toMatchObject({ level: 40 });
    },
  );

  it.each([
    ['abc-1', true],
    ['7f3c9b1e-0d5a-4c55-9c53-3f2f6f1f6a11', true],
    ['Root=1-67891233-abcdef', true],
    ['x'.repeat(128), true],
    ['x'.repeat(129), false],
    ['a"b\\c', false],
    ['a b', false],
    ['a, b', false],
    ['', false],
  ])('keeps a safe request id: %j: %s', async (given, isKept) => {
    const { lines, header } = await linesOf(respond, { headers: { 'x-request-id': given } });
    expect(lines).toMatchObject([{ requestId: header }]);
    if (isKept) expect(header).toBe(given);
    else expect(header).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  });

  it('has what the handler adds, and its message', async () => {
    const line = await lineOf((request, response) => {
      (request as LoggedRequest).line.add({ errorCode: 'DENIED' });
      (request as LoggedRequest).line.add({ layers: 3 }, 'pushed it');
      response.end();
    });
    expect(line).toMatchObject({ errorCode: 'DENIED', layers: 3, msg: 'pushed it', status: 200 });
  });

  it.each([
    [
      { name: 'ci', credential: { kind: 'token' } },
      { account: 'ci', credential: 'token' },
    ],
    [{ name: null, credential: { kind: 'token' } }, { credential: 'token' }],
    [{ name: null, credential: { kind: 'none' } }, {}],
    [undefined, {}],
  ])('names the caller %j', async (caller, expected) => {
    const { account, credential } = await lineOf((request, response) => {
      Object.assign(request, { caller });
      response.end();
    });
    expect(JSON.parse(JSON.stringify({ account, credential }))).toEqual(expected);
  });

  it('writes a second line if a message comes when the client has left', async () => {
    let line: LoggedRequest['line'] | undefined;
    const { lines } = await linesOf(
      (request, response) => {
        line = (request as LoggedRequest).line;
        response.once('close', () => line?.add({ durableOffset: 5 }, 'broke off'));
      },
      { leaves: true },
    );
    expect(lines).toMatchObject([{ msg: 'request aborted' }, { msg: 'broke off', durableOffset: 5 }]);
    expect(lines[1]?.['requestId']).toBe(lines[0]?.['requestId']);
  });

  it('bounds and escapes what clients send', async () => {
    const line = await lineOf(respond, {
      path: `/v2/${'x'.repeat(2000)}`,
      headers: { 'User-Agent': `a\x9b2J\t${'u'.repeat(2000)}` },
    });
    expect(String(line['path']).length).toBeLessThan(520);
    expect(String(line['userAgent'])).toMatch(/^a\\u009b2J\\u0009u{200,300}\.\.\.$/);
  });

  it('counts the bytes of bodies, not those of HEAD', async () => {
    const send: RequestListener = (_request, response) => response.setHeader('Content-Length', 2).end('ok');
    expect(await lineOf(send)).toMatchObject({ bytesOut: 2 });
  });
});
