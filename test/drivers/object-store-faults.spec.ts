import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { StartupError } from '../../src/common/startup.error.js';
import type { Fault, FaultRule } from '../support/fault-proxy.js';
import { reap } from '../support/run-job.js';
import { describeWithRadosgw } from '../support/radosgw.js';
import { digestOf, errorCode, RegistryClient } from '../support/registry-client.js';
import { freshName } from '../support/fresh-name.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { patternBytes } from '../support/upload-probe.js';
import {
  storedObjects,
  unfinishedUploads,
  withAgedUploads,
} from '../integration/support/storage-contents.js';
import { MIB, operationsOf, PART_BYTES, type ProxiedS3, startProxiedS3 } from './support/proxied-s3.js';

const s3Error = (code: string): string => `<?xml version="1.0"?><Error><Code>${code}</Code></Error>`;
const SLOW_DOWN: Fault = { kind: 'respond', status: 503, body: s3Error('SlowDown') };
const INTERNAL_ERROR: Fault = { kind: 'respond', status: 500, body: s3Error('InternalError') };
const UNAVAILABLE: Fault = { kind: 'respond', status: 503, body: s3Error('ServiceUnavailable') };

/** Each n-th of the first requests: a rule does not count requests that an earlier rule failed. */
function everyNth(n: number, fault: Fault): FaultRule[] {
  return Array.from({ length: 20 }, (_, index) => ({ after: (n - 1) * (index + 1), fault }));
}

describeWithRadosgw('faults between Berth and S3', () => {
  let store: ProxiedS3;
  let berth: TestBerth;
  let client: RegistryClient;

  beforeAll(async () => {
    store = await startProxiedS3();
    berth = await startTestBerth(store.environment);
    client = new RegistryClient(berth.url);
  });
  beforeEach(() => store.proxy.forget());
  afterEach(() => store.proxy.heal());
  afterAll(async () => {
    await berth.dispose();
    await store.proxy.close();
  });

  /** Without those of uploads, which are deleted after the response to a commit. */
  const blobObjects = async () =>
    (await storedObjects(berth.driver)).filter((key) => key.startsWith('blobs/'));
  const faultCount = () => store.proxy.requests().filter(({ fault }) => fault !== undefined).length;

  it.each([
    // The SDK waits longer after this error.
    ['503 SlowDown', 3, SLOW_DOWN],
    ['500 InternalError', 2, INTERNAL_ERROR],
    ['500 InternalError', 3, INTERNAL_ERROR],
    ['a reset', 2, { kind: 'reset' }],
    ['a reset', 3, { kind: 'reset' }],
    ['a lost response', 2, { kind: 'lose response' }],
    ['a lost response', 3, { kind: 'lose response' }],
  ] as [string, number, Fault][])('a push succeeds with %s at every %dth request', async (_, n, fault) => {
    const blob = randomBytes(2 * PART_BYTES + MIB);
    const name = freshName();
    const location = await client.startUpload(name);
    store.proxy.inject(...everyNth(n, fault));
    const middle = PART_BYTES + 100_000;
    expect((await client.patch(location, blob.subarray(0, middle))).status).toBe(202);
    expect((await client.patch(location, blob.subarray(middle))).status).toBe(202);
    expect((await client.commit(location, digestOf(blob))).status).toBe(201);
    expect(faultCount()).toBeGreaterThanOrEqual(3);
    store.proxy.heal();
    expect(digestOf(await client.blob(name, digestOf(blob)))).toBe(digestOf(blob));
    expect(await unfinishedUploads(berth.driver)).toEqual([]);
  });

  describe.each([
    ['is unavailable', UNAVAILABLE],
    ['resets every connection', { kind: 'reset' }],
  ] as [string, Fault][])('while S3 %s', (_, fault) => {
    it('a PATCH returns 503 with Retry-After within the retry limit, and can be resumed', async () => {
      const blob = randomBytes(PART_BYTES + 2 * MIB);
      const name = freshName();
      const location = await client.startUpload(name);
      const begun = blob.subarray(0, MIB);
      expect((await client.patch(location, begun)).status).toBe(202);

      store.proxy.inject({ times: Infinity, fault });
      const before = performance.now();
      const refused = await client.patch(location, blob.subarray(MIB));
      expect(performance.now() - before).toBeLessThan(120_000);
      expect(refused.status).toBe(503);
      expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
      expect(await errorCode(refused)).toBe('UNKNOWN');
      const status = await client.fetch(location);
      const offset = Number(/^0-(\d+)$/.exec(status.headers.get('range') ?? '')?.[1]) + 1;
      expect(offset).toBeGreaterThanOrEqual(begun.length);

      store.proxy.heal();
      const range = `${offset}-${blob.length - 1}`;
      expect((await client.patch(location, blob.subarray(offset), range)).status).toBe(202);
      expect((await client.commit(location, digestOf(blob))).status).toBe(201);
      expect(digestOf(await client.blob(name, digestOf(blob)))).toBe(digestOf(blob));
    });
  });

  it('while S3 is unavailable, a pull returns 503, and Berth is not ready', async () => {
    const name = freshName();
    const digest = await client.pushBlob(name, randomBytes(1000));
    store.proxy.inject({ times: Infinity, fault: UNAVAILABLE });
    const [pull, ready] = await Promise.all([
      client.fetch(`/v2/${name}/blobs/${digest}`),
      client.fetch('/health/ready'),
    ]);
    expect([pull.status, pull.headers.get('retry-after')]).toEqual([503, '5']);
    expect(ready.status).toBe(503);
    store.proxy.heal();
    expect((await client.fetch('/health/ready')).status).toBe(200);
  });

  it.each([1, 100_000])('a pull is complete if its stream breaks every %d bytes', async (afterBytes) => {
    const blob = patternBytes(1_000_000, afterBytes);
    const name = freshName();
    const digest = await client.pushBlob(name, blob);
    store.proxy.forget();
    const breaks = 8;
    store.proxy.inject({ method: 'GET', times: breaks, fault: { kind: 'break response', afterBytes } });
    expect((await client.blob(name, digest)).equals(blob)).toBe(true);
    expect(operationsOf(store.proxy.requests())).toEqual({ GetObject: breaks + 1 });
  });

  it('a pull of a range is complete if its stream breaks', async () => {
    const blob = patternBytes(500_000, 3);
    const name = freshName();
    const digest = await client.pushBlob(name, blob);
    store.proxy.inject({ method: 'GET', times: 3, fault: { kind: 'break response', afterBytes: 50_000 } });
    const headers = { Range: 'bytes=100000-399999' };
    const response = await client.fetch(`/v2/${name}/blobs/${digest}`, { headers });
    expect(response.status).toBe(206);
    expect(Buffer.from(await response.arrayBuffer()).equals(blob.subarray(100_000, 400_000))).toBe(true);
  });

  it('a pull fails, and does not end early, if its stream cannot be resumed', async () => {
    const name = freshName();
    const digest = await client.pushBlob(name, patternBytes(500_000, 4));
    const fault: Fault = { kind: 'break response', afterBytes: 1 };
    store.proxy.inject({ method: 'GET', fault }, { times: Infinity, fault: UNAVAILABLE });
    const response = await client.fetch(`/v2/${name}/blobs/${digest}`);
    expect(response.status).toBe(200);
    await expect(response.arrayBuffer()).rejects.toThrow();
  });

  describe('if the response of CompleteMultipartUpload is lost', () => {
    const begun = async (name: string, blob: Buffer) => {
      const location = await client.startUpload(name);
      expect((await client.patch(location, blob)).status).toBe(202);
      return location;
    };
    const completions = (times: number): FaultRule => ({
      method: 'POST',
      url: /[?&]uploadId=/,
      times,
      fault: { kind: 'lose response' },
    });

    it.each([1, 2])('%d times, the PUT succeeds', async (times) => {
      const blob = randomBytes(PART_BYTES + MIB);
      const name = freshName();
      const location = await begun(name, blob);
      store.proxy.inject(completions(times));
      expect((await client.commit(location, digestOf(blob))).status).toBe(201);
      expect(faultCount()).toBe(times);
      expect((await client.blob(name, digestOf(blob))).equals(blob)).toBe(true);
      expect(await unfinishedUploads(berth.driver)).toEqual([]);
    });

    it('and S3 has removed the upload, the PUT succeeds', async () => {
      const blob = randomBytes(PART_BYTES + MIB);
      const name = freshName();
      const location = await begun(name, blob);
      const fault: Fault = { kind: 'respond', status: 404, body: s3Error('NoSuchUpload') };
      store.proxy.inject(completions(1), { ...completions(Infinity), fault });
      expect((await client.commit(location, digestOf(blob))).status).toBe(201);
      expect(faultCount()).toBe(2);
      expect((await client.blob(name, digestOf(blob))).equals(blob)).toBe(true);
      expect(await unfinishedUploads(berth.driver)).toEqual([]);
    });

    it('and S3 is then unavailable, a repeated PUT succeeds', async () => {
      const blob = randomBytes(PART_BYTES + MIB);
      const name = freshName();
      const location = await begun(name, blob);
      const before = await blobObjects();
      // Not for the identity of the storage, which may be read before the commit.
      store.proxy.inject(completions(1), { url: /\/blobs\//, times: Infinity, fault: UNAVAILABLE });
      expect((await client.commit(location, digestOf(blob))).status).toBe(503);
      store.proxy.heal();
      // The object exists; only the response was lost.
      expect(await blobObjects()).toHaveLength(before.length + 1);
      expect((await client.commit(location, digestOf(blob))).status).toBe(201);
      expect((await client.blob(name, digestOf(blob))).equals(blob)).toBe(true);
      expect(await blobObjects()).toHaveLength(before.length + 1);
      expect(await unfinishedUploads(berth.driver)).toEqual([]);
    });
  });

  it('if the response of CreateMultipartUpload is lost, the reaper removes the unknown upload', async () => {
    const blob = randomBytes(PART_BYTES + MIB);
    const name = freshName();
    store.proxy.inject({ method: 'POST', url: /[?&]uploads/, fault: { kind: 'lose response' } });
    await client.pushBlob(name, blob);
    expect(faultCount()).toBe(1);
    expect(await unfinishedUploads(berth.driver)).toHaveLength(1);
    await withAgedUploads(berth.driver, 2 * 3600, () => reap(berth));
    expect(await unfinishedUploads(berth.driver)).toEqual([]);
    expect((await client.blob(name, digestOf(blob))).equals(blob)).toBe(true);
  });

  it.each([
    ['part', { method: 'PUT', url: /[?&]partNumber=/ }],
    ['piece', { method: 'PUT', url: /\/uploads\// }],
  ])('a %s is sent again if its bytes change in transit', async (_, which) => {
    const blob = randomBytes(PART_BYTES + 2 * MIB);
    const name = freshName();
    store.proxy.inject({ ...which, fault: { kind: 'flip' } });
    await client.pushBlob(name, blob);
    expect(faultCount()).toBe(1);
    expect((await client.blob(name, digestOf(blob))).equals(blob)).toBe(true);
  });

  it.each([
    ['part', { method: 'PUT', url: /[?&]partNumber=/ }],
    ['piece', { method: 'PUT', url: /\/uploads\// }],
  ])('a %s whose bytes change in every attempt loses no acknowledged bytes', async (_, which) => {
    const blob = randomBytes(PART_BYTES + 2 * MIB);
    const name = freshName();
    const location = await client.startUpload(name);
    expect((await client.patch(location, blob.subarray(0, 1000))).status).toBe(202);
    store.proxy.inject({ ...which, times: Infinity, fault: { kind: 'flip' } });
    expect((await client.patch(location, blob.subarray(1000))).status).toBe(503);
    expect(faultCount()).toBeGreaterThan(1);
    store.proxy.heal();
    expect((await client.fetch(location)).headers.get('range')).toBe('0-999');
    expect((await client.patch(location, blob.subarray(1000))).status).toBe(202);
    expect((await client.commit(location, digestOf(blob))).status).toBe(201);
    expect((await client.blob(name, digestOf(blob))).equals(blob)).toBe(true);
  });

  it.each([
    ['bucket', { STORAGE_S3_BUCKET: 'no-such-bucket' }, 'STORAGE_S3_BUCKET'],
    ['secret', { STORAGE_S3_SECRET_ACCESS_KEY: 'wrong-secret' }, 'STORAGE_S3_SECRET_ACCESS_KEY'],
    ['key', { STORAGE_S3_ACCESS_KEY_ID: 'unknown-key' }, 'STORAGE_S3_ACCESS_KEY_ID'],
    ['endpoint', { STORAGE_S3_ENDPOINT: 'http://127.0.0.1:1' }, 'STORAGE_S3_ENDPOINT'],
  ])('a wrong %s is reported at the start, without secrets', async (_, wrong, variable) => {
    const settings: Record<string, string> = { ...store.environment, ...wrong };
    const starting = startTestBerth(settings).then(
      async (unexpected) => {
        await unexpected.dispose();
        throw new Error('it started');
      },
      (error: unknown) => error,
    );
    const error = (await starting) as StartupError;
    expect(error).toBeInstanceOf(StartupError);
    expect(error.message).toContain(variable);
    expect(error.message).not.toContain(String(settings['STORAGE_S3_SECRET_ACCESS_KEY']));
  });
});
