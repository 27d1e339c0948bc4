import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { digestOf, refusal, RegistryClient } from '../support/registry-client.js';
import { RawConnection, type RawHeaders, requestHead } from '../support/raw-http.js';
import { freshName } from '../support/fresh-name.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';

describe('slow clients', () => {
  let berth: TestBerth;
  let client: RegistryClient;
  const name = freshName('slow');

  beforeAll(async () => {
    berth = await startTestBerth({ REQUEST_IDLE_TIMEOUT_SECONDS: '1', REQUEST_MIN_BYTES_PER_SECOND: '1' });
    client = new RegistryClient(berth.url);
  });
  afterAll(() => berth.dispose());

  it('13. a slow body continues, far beyond the idle timeout', async () => {
    const location = await client.startUpload(name);
    const connection = await RawConnection.open(berth.url);
    await connection.send(requestHead('PATCH', location, [['Content-Length', 7]]));
    let longestPauseMs = 0;
    for (const letter of 'slowly!') {
      const before = performance.now();
      await delay(200);
      await connection.send(letter).catch(() => undefined);
      longestPauseMs = Math.max(longestPauseMs, performance.now() - before);
    }
    const response = await connection.response();
    connection.leave();
    if (longestPauseMs > 500) return void process.stderr.write('too slow to tell: a slow body\n');
    expect([response.status, response.headers.get('range')]).toEqual([202, '0-6']);
  });

  it('13. a stalled body is aborted, and its bytes are kept', async () => {
    const location = await client.startUpload(name);
    const connection = await RawConnection.open(berth.url);
    await connection.send(requestHead('PATCH', location, [['Content-Length', 1_000]]), 'then nothing');
    const response = await connection.response();
    connection.leave();
    expect(response.headers.get('connection')).toBe('close');
    expect(await refusal(response)).toBe('408 BLOB_UPLOAD_INVALID');
    expect((await client.fetch(location)).headers.get('range')).toBe('0-11');
    expect((await client.commit(location, digestOf('then nothing at all'), ' at all')).status).toBe(201);
  });

  it('13. a stalled manifest is refused as an invalid manifest', async () => {
    const connection = await RawConnection.open(berth.url);
    await connection.send(requestHead('PUT', `/v2/${name}/manifests/idle`, [['Content-Length', 100]]), '{');
    const response = await connection.response();
    connection.leave();
    expect(await refusal(response)).toBe('408 MANIFEST_INVALID');
  });

  it('13. an idle connection is kept longer than load balancers keep theirs', async () => {
    const { headers } = await client.fetch('/v2/');
    expect(Number(/timeout=(\d+)/.exec(headers.get('keep-alive') ?? '')?.[1])).toBeGreaterThan(60);
  });

  describe('a body that trickles', () => {
    beforeAll(() => berth.restart({ REQUEST_MIN_BYTES_PER_SECOND: '1024' }));

    /** Sends a byte every 50 ms until there is a response. Returns how many were sent. */
    async function trickle(
      method: string,
      path: string,
      contentType = 'application/octet-stream',
    ): Promise<[Response, number]> {
      const connection = await RawConnection.open(berth.url);
      const headers: RawHeaders = [
        ['Content-Length', 1_000],
        ['Content-Type', contentType],
      ];
      await connection.send(requestHead(method, path, headers));
      const state = { isRefused: false };
      const pending = connection.response().finally(() => (state.isRefused = true));
      let sent = 0;
      for (; !state.isRefused && sent < 1_000; sent += 1) {
        await connection.send('x');
        await delay(50);
      }
      const response = await pending;
      connection.leave();
      return [response, sent];
    }

    it('13. is aborted, and its bytes are kept', async () => {
      const location = await new RegistryClient(berth.url).startUpload(name);
      const [response, sent] = await trickle('PATCH', location);
      expect(response.headers.get('connection')).toBe('close');
      expect(await response.clone().text()).toContain('fewer than 1024 bytes per second for 1 s');
      expect(await refusal(response)).toBe('408 BLOB_UPLOAD_INVALID');
      const range = (await new RegistryClient(berth.url).fetch(location)).headers.get('range');
      expect(Number(range?.split('-')[1])).toBeGreaterThan(0);
      expect(Number(range?.split('-')[1])).toBeLessThan(sent);
    });

    it('13. is refused as an invalid manifest if it is a manifest', async () => {
      const [response] = await trickle('PUT', `/v2/${name}/manifests/trickle`);
      expect(await refusal(response)).toBe('408 MANIFEST_INVALID');
    });

    // Anybody can send these bodies: they are read before the sender is known.
    it.each([
      ['/auth/token', 'application/x-www-form-urlencoded'],
      ['/api/v1/users', 'application/json'],
    ])('is refused by %s', async (path, contentType) => {
      const [response] = await trickle('POST', path, contentType);
      expect([response.status, response.headers.get('connection')]).toEqual([408, 'close']);
      expect(await response.text()).toContain('did not arrive within 1 s');
    });
  });
});
