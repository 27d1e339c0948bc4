import { once } from 'node:events';
import { createServer, get, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { createAccessLog } from './access-log.js';

interface Line {
  level: number;
  msg: string;
  err?: unknown;
  reqId: string;
  req: Record<string, unknown>;
  res: { status: number | null };
}

/** The line of one request that `handle` handles. */
async function lineOf(
  handle: RequestListener,
  headers: Record<string, string> = {},
  leave = false,
): Promise<Line> {
  let written: (line: Line) => void = () => undefined;
  const line = new Promise<Line>((resolve) => (written = resolve));
  const logger = pino({}, { write: (text: string) => written(JSON.parse(text) as Line) });
  const log = createAccessLog(logger);
  const server = createServer((request, response) => {
    log(request, response);
    handle(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const request = get({ port, path: '/v2/a/blobs/x?token=secret', headers }, (response) => response.resume());
  request.on('error', () => undefined);
  if (leave) server.once('request', () => request.destroy());
  const written1 = await line;
  server.close();
  return written1;
}

describe('the access log', () => {
  it('has client, request and status, without the query', async () => {
    const line = await lineOf((_request, response) => response.end('ok'));
    expect(line).toMatchObject({ level: 30, msg: 'request', res: { status: 200 } });
    expect(line.req).toMatchObject({ method: 'GET', path: '/v2/a/blobs/x', client: '127.0.0.1' });
    expect(JSON.stringify(line)).not.toContain('secret');
  });

  it('does not report an aborted response as a success', async () => {
    const line = await lineOf(() => undefined, {}, true);
    expect(line).toMatchObject({ msg: 'request aborted', res: { status: null } });
    expect(line.req).toMatchObject({ path: '/v2/a/blobs/x', client: '127.0.0.1' });
  });

  it.each([
    [500, 50],
    [503, 40],
    [404, 30],
  ])('writes a %i at level %i, without an invented error', async (status, level) => {
    const line = await lineOf((_request, response) => response.writeHead(status).end());
    expect(line).toMatchObject({ level, res: { status } });
    expect(line.err).toBeUndefined();
  });

  it('keeps a valid request id and replaces others', async () => {
    const respond: RequestListener = (_request, response) => response.end();
    expect((await lineOf(respond, { 'x-request-id': 'abc-1' })).reqId).toBe('abc-1');
    expect((await lineOf(respond, { 'x-request-id': 'a"b\\c' })).reqId).toMatch(/^[0-9a-f-]{36}$/);
  });
});
