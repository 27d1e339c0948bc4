import { get } from 'node:http';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { metricsOf } from '../support/metrics.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { type RunningBerth, sharedBerth } from '../support/running-berth.js';

describe('metrics', () => {
  let berth: RunningBerth;
  let client: RegistryClient;

  beforeAll(async () => {
    berth = await sharedBerth();
    client = new RegistryClient(berth.url);
  });

  const scrape = () => metricsOf(`${berth.url}/metrics`);
  const requestsTo = (method: string, route: string, status: string) =>
    `berth_http_request_duration_seconds_count{method="${method}",route="${route}",status="${status}"}`;

  it('are in the text format of Prometheus, and have those of the process', async () => {
    const response = await client.fetch('/metrics');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(response.headers.get('cache-control')).toBe('no-store');
    const text = await response.text();
    expect(text).toContain('# TYPE berth_http_request_duration_seconds histogram\n');
    expect(text).toMatch(/^process_cpu_seconds_total \d/m);
    expect(text).toMatch(/^nodejs_eventloop_lag_p99_seconds \d/m);
    expect(text).toMatch(/^berth_build_info\{version="[\d.]+",node="v\d+[\d.]+"\} 1$/m);
    expect((await client.fetch('/metrics', { method: 'HEAD' })).status).toBe(200);
  });

  it('count what requests did, by the pattern of their path', async () => {
    const before = await scrape();
    const content = Buffer.alloc(100_000, 'metrics');
    const path = `/v2/metrics/app/blobs/uploads/?digest=${digestOf(content)}`;
    expect((await client.fetch(path, { method: 'POST', body: content })).status).toBe(201);
    await (await client.fetch(`/v2/metrics/app/blobs/${digestOf(content)}`)).arrayBuffer();
    const missing = `/v2/metrics/app/blobs/${digestOf('missing')}`;
    expect((await client.fetch(missing, { method: 'HEAD' })).status).toBe(404);
    expect((await client.fetch('/nothing/here')).status).toBe(404);
    const after = await scrape();
    const grown = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0);
    const blob = '/v2/*name/blobs/:digest';
    for (const name of [
      ...[requestsTo('POST', '/v2/*name/blobs/uploads', '201'), requestsTo('GET', blob, '200')],
      ...[requestsTo('HEAD', blob, '404'), requestsTo('GET', 'none', '404')],
      ...['berth_uploads_started_total', 'berth_uploads_ended_total{outcome="committed"}'],
      'berth_storage_operation_duration_seconds_count{driver="filesystem",operation="finish_upload"}',
    ])
      expect([name, grown(name)]).toEqual([name, 1]);
    expect(grown('berth_http_received_bytes_total')).toBe(content.length);
    expect(grown('berth_http_sent_bytes_total')).toBeGreaterThanOrEqual(content.length);
    expect(grown('berth_upload_hashed_bytes_total{algorithm="sha256"}')).toBe(content.length);
    expect(grown('berth_shared_reads_total')).toBeGreaterThanOrEqual(2);
    expect(grown('berth_database_statement_duration_seconds_count{pool="writes"}')).toBeGreaterThan(2);
  });

  it('have no name of a repository, digest or client in a label', async () => {
    const text = await (await client.fetch('/metrics')).text();
    expect(text).not.toMatch(/sha256:|metrics\/app|127\.0\.0\.1|[0-9a-f]{8}-[0-9a-f]{4}-/);
  });

  it('count bytes of requests in progress, and why a request failed', async () => {
    const before = await scrape();
    const received = 'berth_http_received_bytes_total';
    const broken = 'berth_upload_failures_total{reason="disconnected"}';
    const upload = await client.startUpload('metrics/app');
    const abort = new AbortController();
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(Buffer.alloc(70_000)),
    });
    const init = { method: 'PATCH', body, duplex: 'half', signal: abort.signal } as RequestInit;
    const patch = client.fetch(upload, init).catch(() => undefined);
    await untilAtLeast(received, (before.get(received) ?? 0) + 70_000);
    expect((await scrape()).get('berth_uploads_writing')).toBeGreaterThanOrEqual(1);
    abort.abort();
    await patch;
    await untilAtLeast(broken, (before.get(broken) ?? 0) + 1);
  });

  it('are not for other web pages', async () => {
    const headers = { Host: 'rebound.example' };
    expect(await statusOf(`${berth.url}/metrics`, headers)).toBe(403);
  });

  async function untilAtLeast(name: string, value: number): Promise<void> {
    for (;;) if (((await scrape()).get(name) ?? 0) >= value) return;
  }
});

/** `fetch` doesn't send another `Host`. */
function statusOf(url: string, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(url, { headers, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).once('error', reject);
  });
}
