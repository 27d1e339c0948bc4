import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { FaultProxy } from './fault-proxy.js';
import { until } from './until.js';

interface Heard {
  readonly method: string;
  readonly url: string;
  readonly host: string | undefined;
  readonly body: Buffer;
}

describe('FaultProxy', () => {
  const content = randomBytes(300_000);
  let heard: Heard[];
  let store: Server;
  let proxy: FaultProxy;

  beforeEach(async () => {
    heard = [];
    store = createServer((request, response) => {
      void buffer(request).then((body) => {
        const { method = '', url = '', headers } = request;
        heard.push({ method, url, host: headers.host, body });
        response.setHeader('x-case', 'Kept');
        response.setHeader('content-length', content.length);
        response.end(content);
      });
    });
    await new Promise<void>((resolve) => store.listen(0, '127.0.0.1', resolve));
    proxy = await FaultProxy.start(`http://127.0.0.1:${(store.address() as { port: number }).port}`);
  });
  afterEach(async () => {
    await proxy.close();
    store.closeAllConnections();
    await new Promise((resolve) => store.close(resolve));
  });

  const put = (path: string, body: Buffer): Promise<Response> =>
    fetch(proxy.endpoint + path, { method: 'PUT', body: new Uint8Array(body) });
  const received = async (response: Response): Promise<Buffer> => Buffer.from(await response.arrayBuffer());

  it('passes requests and responses on unchanged', async () => {
    const body = randomBytes(200_000);
    const response = await put('/a%2Fb?partNumber=1&uploadId=x~y', body);
    expect(response.headers.get('x-case')).toBe('Kept');
    expect((await received(response)).equals(content)).toBe(true);
    expect(heard).toHaveLength(1);
    expect(heard[0]).toMatchObject({ method: 'PUT', url: '/a%2Fb?partNumber=1&uploadId=x~y' });
    expect(heard[0]!.host).toBe(new URL(proxy.endpoint).host);
    expect(heard[0]!.body.equals(body)).toBe(true);
  });

  it('counts requests by their kind', async () => {
    for (const path of ['/a?uploadId=1&partNumber=2', '/a?partNumber=3&uploadId=1&x-id=UploadPart']) {
      await received(await put(path, Buffer.from('x')));
    }
    await received(await put('/a?comp=block&blockid=eA', Buffer.from('x')));
    await received(await fetch(`${proxy.endpoint}/a`));
    expect(proxy.counts()).toEqual({ 'PUT partNumber uploadId': 2, 'PUT blockid comp=block': 1, GET: 1 });
    proxy.forget();
    expect(proxy.requests()).toEqual([]);
  });

  it('responds itself, to the requests that match and as often as configured', async () => {
    const fault = { kind: 'respond', status: 503, body: '<Error/>', headers: { 'x-extra': '1' } } as const;
    proxy.inject({ method: 'PUT', url: /\?part/, times: 2, after: 1, fault });
    const statuses: number[] = [];
    for (const path of ['/a?part', '/b', '/a?part', '/a?part', '/a?part']) {
      const response = await put(path, Buffer.from('x'));
      statuses.push(response.status);
      const text = await received(response);
      if (response.status === 503) {
        expect(text.toString()).toBe('<Error/>');
        expect(response.headers.get('x-extra')).toBe('1');
      }
    }
    expect(statuses).toEqual([200, 200, 503, 503, 200]);
    expect(heard).toHaveLength(3);
    expect(proxy.requests().map((each) => each.fault)).toEqual([
      undefined,
      undefined,
      'respond',
      'respond',
      undefined,
    ]);
  });

  it('resets a connection before the store receives the request', async () => {
    proxy.inject({ fault: { kind: 'reset' } });
    await expect(put('/a', randomBytes(100_000))).rejects.toMatchObject({ cause: { code: 'ECONNRESET' } });
    expect(heard).toEqual([]);
    expect((await received(await put('/a', Buffer.from('x')))).equals(content)).toBe(true);
  });

  it('loses a response', async () => {
    proxy.inject({ fault: { kind: 'lose response' } });
    await expect(put('/a', randomBytes(100_000))).rejects.toMatchObject({ cause: { code: 'ECONNRESET' } });
    expect(heard).toHaveLength(1);
    expect(heard[0]!.body).toHaveLength(100_000);
  });

  it.each([0, 1, 150_000])('breaks a response after %d bytes', async (afterBytes) => {
    proxy.inject({ fault: { kind: 'break response', afterBytes } });
    const response = await fetch(`${proxy.endpoint}/a`);
    expect(response.status).toBe(200);
    let count = 0;
    const reading = async (): Promise<void> => {
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) count += chunk.length;
    };
    await expect(reading()).rejects.toThrow();
    expect(count).toBe(afterBytes);
  });

  it('delays a request', async () => {
    proxy.inject({ fault: { kind: 'delay', ms: 50 } });
    const before = performance.now();
    await received(await put('/a', Buffer.from('x')));
    expect(performance.now() - before).toBeGreaterThanOrEqual(45);
    expect(heard).toHaveLength(1);
  });

  it('passes a delayed request on after its client has disconnected, if configured', async () => {
    const body = randomBytes(100_000);
    proxy.inject({ fault: { kind: 'delay', ms: 200, outlivesClient: true } });
    const leaving = new AbortController();
    const sent = fetch(`${proxy.endpoint}/a`, { method: 'PUT', body, signal: leaving.signal });
    while (proxy.requests().length < 1) await new Promise((resolve) => setImmediate(resolve));
    setTimeout(() => leaving.abort(), 50);
    await expect(sent).rejects.toMatchObject({ name: 'AbortError' });
    expect(heard).toEqual([]);
    while (heard.length < 1) await new Promise((resolve) => setImmediate(resolve));
    expect(heard[0]!.body.equals(body)).toBe(true);
  });

  it('lets all but every n-th request pass', async () => {
    proxy.inject({ times: Infinity, every: 3, after: 1, fault: { kind: 'respond', status: 503 } });
    const statuses: number[] = [];
    for (let sent = 0; sent < 8; sent += 1) statuses.push((await fetch(`${proxy.endpoint}/a`)).status);
    expect(statuses).toEqual([200, 200, 200, 503, 200, 200, 503, 200]);
  });

  it('resets hanging requests', async () => {
    proxy.inject({ fault: { kind: 'hang' } });
    const reset = expect(put('/a', Buffer.from('x'))).rejects.toMatchObject({
      cause: { code: 'ECONNRESET' },
    });
    await until('the request hangs', () => proxy.hangingCount === 1);
    proxy.endHanging();
    await reset;
    expect(heard).toEqual([]);
  });

  it('lets a request hang until its client aborts, or the proxy is closed', async () => {
    proxy.inject({ times: Infinity, fault: { kind: 'hang' } });
    const impatient = fetch(`${proxy.endpoint}/a`, { signal: AbortSignal.timeout(50) });
    await expect(impatient).rejects.toMatchObject({ name: 'TimeoutError' });
    const patient = expect(fetch(`${proxy.endpoint}/a`)).rejects.toThrow();
    while (proxy.requests().length < 2) await new Promise((resolve) => setImmediate(resolve));
    await proxy.close();
    await patient;
    expect(heard).toEqual([]);
  });

  it('changes one bit of a body', async () => {
    proxy.inject({ fault: { kind: 'flip' } });
    const body = randomBytes(100_000);
    await received(await put('/a', body));
    const { body: got } = heard[0]!;
    expect(got).toHaveLength(body.length);
    expect(got.subarray(1).equals(body.subarray(1))).toBe(true);
    expect(got[0]! ^ body[0]!).toBe(1);
  });

  it('heals', async () => {
    proxy.inject({ times: Infinity, fault: { kind: 'reset' } });
    proxy.heal();
    expect((await put('/a', Buffer.from('x'))).status).toBe(200);
  });
});
