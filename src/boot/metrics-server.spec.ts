import { get, type IncomingMessage } from 'node:http';
import { afterEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { CleanupStack } from './cleanup-stack.js';
import { serveMetrics } from './metrics-server.js';

const LOGGER = pino({ level: 'silent' });

describe('the listener of METRICS_ADDRESS', () => {
  let cleanup = new CleanupStack();
  afterEach(async () => {
    await cleanup.close();
    cleanup = new CleanupStack();
  });

  const serve = (metricsAddress: string, text = () => Promise.resolve('a_total 1\n')) =>
    serveMetrics({ metricsAddress }, { text }, LOGGER, cleanup);

  it('serves /metrics and nothing else', async () => {
    const url = (await serve('127.0.0.1:0')) ?? '';
    const response = await fetch(url);
    expect([response.status, await response.text()]).toEqual([200, 'a_total 1\n']);
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    const head = await fetch(url, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '10', '']);
    expect((await fetch(url.replace('/metrics', '/v2/'))).status).toBe(404);
    const post = await fetch(url, { method: 'POST', body: 'x' });
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  it.each([
    ['127.0.0.1:0', 'rebound.example', 403],
    ['127.0.0.1:0', 'localhost:9', 200],
    ['0.0.0.0:0', 'rebound.example', 200],
  ])('on %s, requests for the host %s get %d', async (address, host, status) => {
    const url = (await serve(address)) ?? '';
    const { statusCode } = await new Promise<IncomingMessage>((resolve, reject) => {
      get(url.replace('0.0.0.0', '127.0.0.1'), { headers: { host } }, (response) =>
        resolve(response.resume()),
      ).once('error', reject);
    });
    expect(statusCode).toBe(status);
  });

  it('sends 503 if the metrics can not be collected', async () => {
    const url = (await serve('127.0.0.1:0', () => Promise.reject(new Error('frozen')))) ?? '';
    expect((await fetch(url)).status).toBe(503);
  });

  it('refuses an address that is in use, and names the setting', async () => {
    const address = new URL((await serve('127.0.0.1:0')) ?? '').host;
    await expect(serve(address)).rejects.toThrow(
      `Berth can't listen on ${address}, the address of METRICS_ADDRESS`,
    );
  });
});
