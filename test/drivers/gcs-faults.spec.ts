import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { GcsSettings } from '../../src/config/gcs.settings.js';
import { GcsObjectStore } from '../../src/storage/drivers/gcs/gcs-object.store.js';
import type { GcsLimits } from '../../src/storage/drivers/gcs/gcs-limits.js';
import { parsePieceName } from '../../src/storage/object-store/names.js';
import type { Multipart, Part } from '../../src/storage/object-store/object-store.js';
import { StorageError, StorageUnavailableError, UploadStateError } from '../../src/storage/storage.errors.js';
import { watchConnections } from '../support/active-connections.js';
import { type Fault, FaultProxy } from '../support/fault-proxy.js';
import { GcsHarness } from '../support/gcs-server/gcs-harness.js';
import {
  bodyOf,
  forEachOf,
  listed,
  listedObjects,
  NOW,
  putParts,
  readAll,
  stored,
} from '../contract/object-store.harness.js';

/** Nothing is waited for longer than a test needs; deadlines of their own where a test is about them. */
const SHORT = { firstPauseMs: 5, maxPauseMs: 10, deadlineMs: 30_000, idleMs: 10_000 };
const MIB = 1024 * 1024;
const UNAVAILABLE: Fault = {
  kind: 'respond',
  status: 503,
  headers: { 'content-type': 'application/json; charset=UTF-8' },
  body: '{"error":{"code":503,"message":"We encountered an internal error. Please try again."}}',
};
const SLOW_DOWN: Fault = {
  ...UNAVAILABLE,
  status: 429,
  body: '{"error":{"code":429,"message":"The object exceeded the rate limit for object mutation operations."}}',
};

const DENIED: Fault = { ...UNAVAILABLE, status: 403, body: '{"error":{"code":403,"message":"no"}}' };

let harness: GcsHarness;
let proxy: FaultProxy;
let store: GcsObjectStore;

beforeEach(async () => {
  harness = await GcsHarness.start();
  proxy = await FaultProxy.start(harness.server.url);
  store = opened();
});

afterEach(async () => {
  await proxy.close();
  await harness.dispose();
});

/** By the proxy. */
function opened(changes: Partial<GcsSettings> = {}, limits: Partial<GcsLimits> = {}): GcsObjectStore {
  return harness.store({ storageGcsEndpoint: proxy.endpoint, ...changes }, { ...SHORT, ...limits });
}

interface Given {
  readonly content: Buffer;
  readonly multipart: Multipart;
  readonly parts: Part[];
}

/** What the calls below work on. Not by the proxy. */
async function given(): Promise<Given> {
  const direct = harness.store();
  const content = randomBytes(1000);
  await stored(direct, 'there', content);
  const multipart = await direct.beginMultipart('blobs/ab/abc', NOW);
  const numbered = Array.from({ length: 40 }, (_, at): [number, Buffer] => [at + 1, Buffer.from([at])]);
  return { content, multipart, parts: await putParts(direct, multipart, new Map(numbered)) };
}

type Call = (on: GcsObjectStore, given: Given) => Promise<unknown>;
const CALLS: [string, Call][] = [
  ['prepare', (on) => on.prepare()],
  ['check', (on) => on.check(NOW)],
  ['head', (on) => on.head('there', NOW)],
  ['get', async (on) => buffer(await on.get('there', { start: 0, end: 999 }, NOW))],
  ['put', (on) => on.put('new', bodyOf(randomBytes(1000)), NOW)],
  ['delete', (on) => on.delete(['there', 'missing'], NOW)],
  ['list', (on) => listedObjects(on, '')],
  ['putPart', (on, { multipart }) => on.putPart(multipart, 41, bodyOf(randomBytes(100)), NOW)],
  ['completeMultipart', (on, { multipart, parts }) => on.completeMultipart(multipart, parts, NOW)],
  ['abortMultipart', (on, { multipart, parts }) => on.abortMultipart(multipart, parts, NOW)],
];

describe('temporary failures', () => {
  it.each(
    CALLS.flatMap(([name, call]) => [
      [name, '503', UNAVAILABLE, call] as const,
      [name, '429', SLOW_DOWN, call] as const,
      [name, 'a reset', { kind: 'reset' }, call] as const,
    ]),
  )('%s: %s, twice', async (_, __, fault, call) => {
    const before = await given();
    // The first two of every kind of request.
    proxy.inject({ method: 'GET', times: 2, fault });
    proxy.inject({ method: 'POST', times: 2, fault });
    proxy.inject({ method: 'DELETE', times: 2, fault });
    await call(store, before);
    const faults = proxy.requests().filter((request) => request.fault !== undefined);
    expect(faults.length).toBeGreaterThanOrEqual(2);
  });

  it.each(CALLS.filter(([name]) => name !== 'completeMultipart'))(
    '%s: the response is lost, twice',
    async (_, call) => {
      const before = await given();
      proxy.inject({ times: 2, fault: { kind: 'lose response' } });
      await call(store, before);
      expect(proxy.requests().filter(({ fault }) => fault === 'lose response')).toHaveLength(2);
    },
  );

  it('a lost response of the last composition: the object exists, complete, and nothing else', async () => {
    const { multipart, parts } = await given();
    proxy.inject({ method: 'POST', url: /abc\/compose/, fault: { kind: 'lose response' } });
    await expect(store.completeMultipart(multipart, parts, NOW)).rejects.toBeInstanceOf(UploadStateError);
    expect(await readAll(store, multipart.name)).toEqual(Buffer.from(parts.map((__, at) => at)));
    expect(await listed(store, '')).toEqual([multipart.name, 'there']);
  });

  it('a lost response of another composition changes nothing', async () => {
    const { multipart, parts } = await given();
    proxy.inject({ method: 'POST', url: /uploads%2F.*\/compose/, fault: { kind: 'lose response' } });
    await store.completeMultipart(multipart, parts, NOW);
    expect(await readAll(store, multipart.name)).toEqual(Buffer.from(parts.map((__, at) => at)));
  });

  it('corrupted bytes are refused, and not kept', async () => {
    // The proxy would change the first byte, which is of the envelope.
    const message = `Provided MD5 hash "a" doesn't match calculated MD5 hash "b".`;
    const body = JSON.stringify({ error: { code: 400, message, errors: [{ message, reason: 'invalid' }] } });
    const fault: Fault = { ...UNAVAILABLE, status: 400, body };
    const content = randomBytes(1000);
    proxy.inject({ url: /^\/upload/, times: 2, fault });
    await store.put('new', bodyOf(content), NOW);
    expect(await readAll(harness.store(), 'new')).toEqual(content);
    proxy.inject({ url: /^\/upload/, times: Infinity, fault });
    const outcome = store.put('newer', bodyOf(content), NOW);
    await expect(outcome).rejects.toBeInstanceOf(StorageUnavailableError);
    await expect(outcome).rejects.toThrow('received other bytes');
  });

  it('the test server refuses bytes with a wrong MD5 every time', async () => {
    const { md5 } = bodyOf(randomBytes(10));
    const outcome = store.put('new', { bytes: randomBytes(1000), md5 }, NOW);
    await expect(outcome).rejects.toBeInstanceOf(StorageUnavailableError);
    expect(proxy.requests().filter(({ method }) => method === 'POST')).toHaveLength(6);
    expect(await store.head('new', NOW)).toBeUndefined();
  });

  it('a 412 for another reason does not mean that the object exists', async () => {
    const { multipart, parts } = await given();
    const body = '{"error":{"code":412,"message":"x","errors":[{"reason":"orgPolicyConstraintFailed"}]}}';
    proxy.inject({ method: 'POST', url: /abc\/compose/, fault: { ...UNAVAILABLE, status: 412, body } });
    const outcome = store.completeMultipart(multipart, parts, NOW);
    await expect(outcome).rejects.toBeInstanceOf(StorageError);
    await expect(outcome).rejects.not.toBeInstanceOf(UploadStateError);
    // The parts are still needed.
    expect(await listed(harness.store(), 'uploads/abc~')).toHaveLength(parts.length);
    proxy.inject({ url: /^\/upload/, fault: { ...UNAVAILABLE, status: 412, body } });
    await expect(store.check(NOW)).rejects.toThrow('responded 412');
  });

  it('listing fails if the next page is always the same', async () => {
    const body = '{"kind":"storage#objects","nextPageToken":"again"}';
    proxy.inject({ method: 'GET', times: Infinity, fault: { ...UNAVAILABLE, status: 200, body } });
    await expect(listed(store, '')).rejects.toThrow('where the next page of its list begins');
    expect(proxy.requests().filter(({ method }) => method === 'GET')).toHaveLength(2);
  });

  it('the start writes a probe whose name the reaper finds after a crash', async () => {
    proxy.inject({ method: 'DELETE', times: Infinity, fault: DENIED });
    await expect(store.prepare()).rejects.toThrow('has no permission');
    const [left = ''] = await listed(harness.store(), '');
    expect(parsePieceName(left)?.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f-]{17}$/);
  });

  it('a failed deletion of parts and intermediate objects does not fail the call', async () => {
    const { multipart, parts } = await given();
    proxy.inject({ method: 'DELETE', times: Infinity, fault: UNAVAILABLE });
    await store.completeMultipart(multipart, parts, NOW);
    expect(await readAll(store, multipart.name)).toHaveLength(40);
    expect(await listed(store, 'uploads/abc~')).toHaveLength(40 + 2);
  });
});

describe('lasting failures', () => {
  it.each(CALLS)('%s: rejects after the last attempt', async (_, call) => {
    const before = await given();
    proxy.inject({ times: Infinity, fault: UNAVAILABLE });
    await expect(call(opened({}, { attempts: 3 }), before)).rejects.toBeInstanceOf(StorageUnavailableError);
    const counts = new Map<string, number>();
    for (const { method, url } of proxy.requests()) {
      // Probes and intermediate objects have random names.
      const each = `${method} ${url.replace(/~[0-9a-f]{16}/g, '~')}`;
      counts.set(each, (counts.get(each) ?? 0) + 1);
    }
    expect(Math.max(...counts.values()) % 3).toBe(0);
  });

  it.each(CALLS)('%s: rejects at the deadline if the store hangs', async (_, call) => {
    const before = await given();
    proxy.inject({ times: Infinity, fault: { kind: 'hang' } });
    const began = Date.now();
    const outcome = call(opened({}, { deadlineMs: 300, minBytesPerSecond: MIB }), before);
    await expect(outcome).rejects.toBeInstanceOf(StorageUnavailableError);
    await expect(outcome).rejects.toThrow(/within 0\.3/);
    expect(Date.now() - began).toBeLessThan(5000);
  });

  it.each(CALLS)('%s: retries after an attempt that hangs', async (_, call) => {
    const before = await given();
    proxy.inject({ fault: { kind: 'hang' } });
    await call(opened({}, { idleMs: 600 }), before);
    expect(proxy.requests().filter(({ fault }) => fault === 'hang')).toHaveLength(1);
  });

  it('aborting a put that hangs closes its connection', async () => {
    const deaf = createServer();
    const connected = new Promise<Socket>((resolve) => deaf.once('connection', resolve));
    await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve));
    const endpoint = `http://127.0.0.1:${(deaf.address() as AddressInfo).port}`;
    const caller = new AbortController();
    const reason = new Error('the client left');
    const options = { signal: caller.signal };
    const putting = opened({ storageGcsEndpoint: endpoint }).put('new', bodyOf(randomBytes(1000)), options);
    const socket = await connected;
    const closed = new Promise((resolve) =>
      socket
        .once('close', resolve)
        .resume()
        .once('error', () => undefined),
    );
    caller.abort(reason);
    await expect(putting).rejects.toBe(reason);
    await closed;
    await new Promise((resolve) => deaf.close(resolve));
  });
});

describe('reading', () => {
  const SPAN = { start: 0, end: 4 * MIB - 1 };

  it('a connection that ends within the response fails the stream', async () => {
    await stored(harness.store(), 'big', randomBytes(4 * MIB));
    proxy.inject({ url: /alt=media/, fault: { kind: 'break response', afterBytes: 100_000 } });
    const stream = await store.get('big', SPAN, NOW);
    let bytes = 0;
    const reading = (async () => {
      for await (const chunk of stream as AsyncIterable<Buffer>) bytes += chunk.length;
    })();
    await expect(reading).rejects.toThrow();
    expect(bytes).toBeLessThanOrEqual(100_000);
  });

  it('a stream that is destroyed unread closes its connection', async () => {
    const connectionsInUse = watchConnections();
    await stored(harness.store(), 'big', randomBytes(16 * MIB));
    const direct = harness.store();
    const stream = await direct.get('big', { start: 0, end: 16 * MIB - 1 }, NOW);
    expect(stream).toBeInstanceOf(Readable);
    stream.destroy();
    await new Promise((resolve) => stream.once('close', resolve));
    expect(await connectionsInUse()).toBe(0);
  });
});

describe('messages about the bucket', () => {
  async function failure(changes: Partial<GcsSettings>): Promise<StorageError> {
    const [outcome] = await Promise.allSettled([opened(changes, { attempts: 2 }).prepare()]);
    if (outcome.status === 'fulfilled') throw new Error('it was prepared');
    expect(outcome.reason).toBeInstanceOf(StorageError);
    return outcome.reason as StorageError;
  }

  async function keyFile(content: string): Promise<string> {
    const path = join(harness.directory, 'other.json');
    await writeFile(path, content);
    return path;
  }

  it('a missing bucket', async () => {
    const error = await failure({ storageGcsBucket: 'missing' });
    expect(error).not.toBeInstanceOf(StorageUnavailableError);
    expect(error.message).toMatch(/there is no bucket missing .* STORAGE_GCS_BUCKET/);
  });

  it('a missing bucket is not a missing object', async () => {
    const missing = opened({ storageGcsBucket: 'missing' });
    await expect(missing.head('x', NOW)).rejects.toThrow('there is no bucket missing');
    await expect(missing.get('x', { start: 0, end: 0 }, NOW)).rejects.toThrow('there is no bucket missing');
  });

  it.each(['storage.objects.create', 'storage.objects.list', 'storage.objects.delete'])(
    'a missing permission: %s',
    async (right) => {
      harness.server.denied.add(right);
      const error = await failure({});
      expect(error.message).toMatch(/has no permission .*bucket berth-tests.*roles\/storage\.objectUser/);
      expect(error.message).toContain(harness.keyFile);
      if (right === 'storage.objects.create')
        await expect(store.check(NOW)).rejects.toThrow('has no permission');
    },
  );

  it('a missing credential', async () => {
    const error = await failure({ storageGcsKeyFile: undefined });
    expect(error.message).toMatch(/is refused.*STORAGE_GCS_KEY_FILE/);
  });

  it('a deleted key', async () => {
    const other = await GcsHarness.start();
    const content = JSON.parse(harness.server.keyFile()) as Record<string, string>;
    const path = await keyFile(JSON.stringify({ ...content, client_email: 'who@else.test' }));
    await other.dispose();
    const error = await failure({ storageGcsKeyFile: path });
    expect(error.message).toMatch(/is refused.*STORAGE_GCS_KEY_FILE/);
    expect(error).not.toBeInstanceOf(StorageUnavailableError);
  });

  it('a revoked token', async () => {
    await store.prepare();
    harness.server.account.revokeTokens();
    await expect(store.put('x', bodyOf(Buffer.of()), NOW)).rejects.toThrow('is refused');
  });

  it.each([
    ['nowhere.json', undefined, /nowhere\.json of STORAGE_GCS_KEY_FILE can't be read \(ENOENT\)/],
    ['no JSON', '-----BEGIN PRIVATE KEY-----\nsecret', /is not JSON/],
    ['no key', '{"type":"service_account","client_email":"a@b"}', /has no client_email or no private_key/],
    ['a broken key', '{"client_email":"a@b","private_key":"secret"}', /has an invalid private_key/],
  ])('a key file: %s', async (name, content, message) => {
    const path = content === undefined ? join(harness.directory, name) : await keyFile(content);
    const error = await failure({ storageGcsKeyFile: path });
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('secret');
  });

  it("the SDK's variable for an emulator, which would override the setting", async () => {
    process.env['STORAGE_EMULATOR_HOST'] = 'http://127.0.0.1:1';
    try {
      expect((await failure({})).message).toMatch(/STORAGE_EMULATOR_HOST overrides.*STORAGE_GCS_ENDPOINT/);
    } finally {
      delete process.env['STORAGE_EMULATOR_HOST'];
    }
  });

  it('an unknown host', async () => {
    const error = await failure({
      storageGcsEndpoint: 'http://berth.invalid',
      storageGcsKeyFile: undefined,
    });
    expect(error).toBeInstanceOf(StorageUnavailableError);
    expect(error.message).toMatch(/berth\.invalid can't be resolved.*STORAGE_GCS_ENDPOINT/);
  });

  it.each([
    'http://storage.example',
    'http://192.0.2.1:80',
    'http://[2001:db8::1]',
    'http://localhost.example',
  ])('a key file with an unencrypted remote endpoint: %s', async (storageGcsEndpoint) => {
    const error = await failure({ storageGcsEndpoint });
    expect(error.message).toMatch(/need https:.*STORAGE_GCS_ENDPOINT/);
    const opening = GcsObjectStore.open(harness.settings({ storageGcsEndpoint }));
    await expect(opening).rejects.toThrow('need https:');
    expect(harness.server.requests).toEqual([]);
  });

  it.each(['localhost', '[::1]'])('a key file is allowed with a local endpoint: %s', async (host) => {
    const error = await failure({ storageGcsEndpoint: `http://${host}:1` });
    expect(error.message).toMatch(/nothing listens|can't be reached/);
  });

  it('a port where nothing listens', async () => {
    const gone = await FaultProxy.start(harness.server.url);
    await gone.close();
    const error = await failure({ storageGcsEndpoint: gone.endpoint });
    expect(error).toBeInstanceOf(StorageUnavailableError);
    expect(error.message).toMatch(/nothing listens at .*STORAGE_GCS_ENDPOINT/);
  });

  it('errors carry no token', async () => {
    harness.server.denied.add('storage.objects.list').add('storage.objects.create');
    for (const call of [() => listed(store, ''), () => store.put('x', bodyOf(Buffer.of()), NOW)]) {
      const [outcome] = await Promise.allSettled([call()]);
      if (outcome.status === 'fulfilled') throw new Error('it was allowed');
      const { cause } = outcome.reason as StorageError;
      expect(JSON.stringify({ ...(cause as object), message: (cause as Error).message })).not.toMatch(
        /ya29|Bearer/,
      );
      expect(Object.keys(cause as object).sort()).toEqual(['code', 'name', 'reason', 'status']);
    }
  });
});

describe('signing', () => {
  it('has signed URLs only with a credential that can sign', async () => {
    const anonymous = await GcsObjectStore.open(harness.settings({ storageGcsKeyFile: undefined }));
    expect(anonymous.signedUrl).toBeUndefined();
    const able = await GcsObjectStore.open(harness.settings());
    expect(able.signedUrl).toBeDefined();
  });

  it('signs for the endpoint that clients use', async () => {
    const known = opened({ storageGcsPublicEndpoint: `http://localhost:${harness.server.port}/` });
    await stored(known, 'object', Buffer.from('content'));
    const url = await known.signedUrl?.('object', 60);
    expect(url?.origin).toBe(`http://localhost:${harness.server.port}`);
    expect(await (await fetch(url ?? '')).text()).toBe('content');
  });
});

it('creates an object of 10,000 parts', async () => {
  // The cleanup has a time limit, and leaves the rest to the reaper. Here it must delete everything.
  const direct = harness.store({}, { cleanupMs: 120_000 });
  const multipart = await direct.beginMultipart('blobs/ab/abc', NOW);
  const parts: Part[] = [];
  await forEachOf([...Array(10_000).keys()], async (at) => {
    parts[at] = await direct.putPart(multipart, at + 1, bodyOf(Buffer.from([at % 251])), NOW);
  });
  const before = harness.server.requests.length;
  await direct.completeMultipart(multipart, parts, NOW);
  const compositions = harness.server.requests.slice(before).filter((line) => line.endsWith('/compose'));
  expect(compositions).toHaveLength(313 + 10 + 1);
  const bytes = await readAll(direct, multipart.name);
  expect(bytes.equals(Buffer.from(parts.map((__, at) => at % 251)))).toBe(true);
  expect(await listed(direct, '')).toEqual([multipart.name]);
}, 180_000);
