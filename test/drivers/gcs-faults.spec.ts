import { randomBytes } from 'node:crypto';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from '@jest/globals';
import type { GcsObjectStore } from '../../src/storage/drivers/gcs/gcs-object.store.js';
import { parsePieceName } from '../../src/storage/object-store/names.js';
import type { Multipart, Part } from '../../src/storage/object-store/object-store.js';
import { StorageError, StorageUnavailableError, UploadStateError } from '../../src/storage/storage.errors.js';
import { watchConnections } from '../support/active-connections.js';
import type { Fault } from '../support/fault-proxy.js';
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
import { useFaultyGcs } from './support/faulty-gcs.js';

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
  body: '{"error":{"code":429,"message":"The object exceeded the rate limit."}}',
};

const DENIED: Fault = { ...UNAVAILABLE, status: 403, body: '{"error":{"code":403,"message":"no"}}' };

const gcs = useFaultyGcs();

interface Given {
  readonly content: Buffer;
  readonly multipart: Multipart;
  readonly parts: Part[];
}

/** Content for the calls below, written without the proxy. */
async function given(): Promise<Given> {
  const direct = gcs.harness.store();
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
    gcs.proxy.inject({ method: 'GET', times: 2, fault });
    gcs.proxy.inject({ method: 'POST', times: 2, fault });
    gcs.proxy.inject({ method: 'DELETE', times: 2, fault });
    await call(gcs.store, before);
    const faults = gcs.proxy.requests().filter((request) => request.fault !== undefined);
    expect(faults.length).toBeGreaterThanOrEqual(2);
  });

  it.each(CALLS.filter(([name]) => name !== 'completeMultipart'))(
    '%s: the response is lost, twice',
    async (_, call) => {
      const before = await given();
      gcs.proxy.inject({ times: 2, fault: { kind: 'lose response' } });
      await call(gcs.store, before);
      expect(gcs.proxy.requests().filter(({ fault }) => fault === 'lose response')).toHaveLength(2);
    },
  );

  it('a lost response of the last composition: the object exists, complete, and nothing else', async () => {
    const { multipart, parts } = await given();
    gcs.proxy.inject({ method: 'POST', url: /abc\/compose/, fault: { kind: 'lose response' } });
    await expect(gcs.store.completeMultipart(multipart, parts, NOW)).rejects.toBeInstanceOf(UploadStateError);
    expect(await readAll(gcs.store, multipart.name)).toEqual(Buffer.from(parts.map((__, at) => at)));
    expect(await listed(gcs.store, '')).toEqual([multipart.name, 'there']);
  });

  it('a lost response of another composition changes nothing', async () => {
    const { multipart, parts } = await given();
    gcs.proxy.inject({ method: 'POST', url: /uploads%2F.*\/compose/, fault: { kind: 'lose response' } });
    await gcs.store.completeMultipart(multipart, parts, NOW);
    expect(await readAll(gcs.store, multipart.name)).toEqual(Buffer.from(parts.map((__, at) => at)));
  });

  it('corrupted bytes are refused, and not kept', async () => {
    // The fault `flip` would change the envelope, not the content.
    const message = `Provided MD5 hash "a" doesn't match calculated MD5 hash "b".`;
    const body = JSON.stringify({ error: { code: 400, message, errors: [{ message, reason: 'invalid' }] } });
    const fault: Fault = { ...UNAVAILABLE, status: 400, body };
    const content = randomBytes(1000);
    gcs.proxy.inject({ url: /^\/upload/, times: 2, fault });
    await gcs.store.put('new', bodyOf(content), NOW);
    expect(await readAll(gcs.harness.store(), 'new')).toEqual(content);
    gcs.proxy.inject({ url: /^\/upload/, times: Infinity, fault });
    const outcome = gcs.store.put('newer', bodyOf(content), NOW);
    await expect(outcome).rejects.toBeInstanceOf(StorageUnavailableError);
    await expect(outcome).rejects.toThrow('received other bytes');
  });

  it('the test server refuses bytes with a wrong MD5 every time', async () => {
    const { md5 } = bodyOf(randomBytes(10));
    const outcome = gcs.store.put('new', { bytes: randomBytes(1000), md5 }, NOW);
    await expect(outcome).rejects.toBeInstanceOf(StorageUnavailableError);
    expect(gcs.proxy.requests().filter(({ method }) => method === 'POST')).toHaveLength(6);
    expect(await gcs.store.head('new', NOW)).toBeUndefined();
  });

  it('a 412 for another reason does not mean that the object exists', async () => {
    const { multipart, parts } = await given();
    const body = '{"error":{"code":412,"message":"x","errors":[{"reason":"orgPolicyConstraintFailed"}]}}';
    gcs.proxy.inject({ method: 'POST', url: /abc\/compose/, fault: { ...UNAVAILABLE, status: 412, body } });
    const outcome = gcs.store.completeMultipart(multipart, parts, NOW);
    await expect(outcome).rejects.toBeInstanceOf(StorageError);
    await expect(outcome).rejects.not.toBeInstanceOf(UploadStateError);
    // The parts are still needed.
    expect(await listed(gcs.harness.store(), 'uploads/abc~')).toHaveLength(parts.length);
    gcs.proxy.inject({ url: /^\/upload/, fault: { ...UNAVAILABLE, status: 412, body } });
    await expect(gcs.store.check(NOW)).rejects.toThrow('responded 412');
  });

  it('listing fails if the next page is always the same', async () => {
    const body = '{"kind":"storage#objects","nextPageToken":"again"}';
    gcs.proxy.inject({ method: 'GET', times: Infinity, fault: { ...UNAVAILABLE, status: 200, body } });
    await expect(listed(gcs.store, '')).rejects.toThrow('where the next page of its list begins');
    expect(gcs.proxy.requests().filter(({ method }) => method === 'GET')).toHaveLength(2);
  });

  it('the start writes a probe whose name the reaper finds after a crash', async () => {
    gcs.proxy.inject({ method: 'DELETE', times: Infinity, fault: DENIED });
    await expect(gcs.store.prepare()).rejects.toThrow('has no permission');
    const [left = ''] = await listed(gcs.harness.store(), '');
    expect(parsePieceName(left)?.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f-]{17}$/);
  });

  it('a failed deletion of parts and intermediate objects does not fail the call', async () => {
    const { multipart, parts } = await given();
    gcs.proxy.inject({ method: 'DELETE', times: Infinity, fault: UNAVAILABLE });
    await gcs.store.completeMultipart(multipart, parts, NOW);
    expect(await readAll(gcs.store, multipart.name)).toHaveLength(40);
    expect(await listed(gcs.store, 'uploads/abc~')).toHaveLength(40 + 2);
  });
});

describe('lasting failures', () => {
  it.each(CALLS)('%s: rejects after the last attempt', async (_, call) => {
    const before = await given();
    gcs.proxy.inject({ times: Infinity, fault: UNAVAILABLE });
    await expect(call(gcs.open({}, { attempts: 3 }), before)).rejects.toBeInstanceOf(StorageUnavailableError);
    const counts = new Map<string, number>();
    for (const { method, url } of gcs.proxy.requests()) {
      // Probes and intermediate objects have random names.
      const each = `${method} ${url.replace(/~[0-9a-f]{16}/g, '~')}`;
      counts.set(each, (counts.get(each) ?? 0) + 1);
    }
    expect(Math.max(...counts.values()) % 3).toBe(0);
  });

  it.each(CALLS)('%s: rejects at the deadline if the store hangs', async (_, call) => {
    const before = await given();
    gcs.proxy.inject({ times: Infinity, fault: { kind: 'hang' } });
    const began = Date.now();
    const outcome = call(gcs.open({}, { deadlineMs: 300, minBytesPerSecond: MIB }), before);
    await expect(outcome).rejects.toBeInstanceOf(StorageUnavailableError);
    await expect(outcome).rejects.toThrow(/within 0\.3/);
    expect(Date.now() - began).toBeLessThan(5000);
  });

  it.each(CALLS)('%s: retries after an attempt that hangs', async (_, call) => {
    const before = await given();
    gcs.proxy.inject({ fault: { kind: 'hang' } });
    await call(gcs.open({}, { idleMs: 600 }), before);
    expect(gcs.proxy.requests().filter(({ fault }) => fault === 'hang')).toHaveLength(1);
  });

  it('aborting a put that hangs closes its connection', async () => {
    const deaf = createServer();
    const connected = new Promise<Socket>((resolve) => deaf.once('connection', resolve));
    await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve));
    const endpoint = `http://127.0.0.1:${(deaf.address() as AddressInfo).port}`;
    const caller = new AbortController();
    const reason = new Error('the client left');
    const options = { signal: caller.signal };
    const putting = gcs.open({ storageGcsEndpoint: endpoint }).put('new', bodyOf(randomBytes(1000)), options);
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
    await stored(gcs.harness.store(), 'big', randomBytes(4 * MIB));
    gcs.proxy.inject({ url: /alt=media/, fault: { kind: 'break response', afterBytes: 100_000 } });
    const stream = await gcs.store.get('big', SPAN, NOW);
    let bytes = 0;
    const reading = (async () => {
      for await (const chunk of stream as AsyncIterable<Buffer>) bytes += chunk.length;
    })();
    await expect(reading).rejects.toThrow();
    expect(bytes).toBeLessThanOrEqual(100_000);
  });

  it('a stream that is destroyed unread closes its connection', async () => {
    const connectionsInUse = watchConnections();
    await stored(gcs.harness.store(), 'big', randomBytes(16 * MIB));
    const direct = gcs.harness.store();
    const stream = await direct.get('big', { start: 0, end: 16 * MIB - 1 }, NOW);
    expect(stream).toBeInstanceOf(Readable);
    stream.destroy();
    await new Promise((resolve) => stream.once('close', resolve));
    expect(await connectionsInUse()).toBe(0);
  });
});

it('creates an object of 10,000 parts', async () => {
  // The cleanup has a time limit, and leaves the rest to the reaper. Here it must delete everything.
  const direct = gcs.harness.store({}, { cleanupMs: 120_000 });
  const multipart = await direct.beginMultipart('blobs/ab/abc', NOW);
  const parts: Part[] = [];
  await forEachOf([...Array(10_000).keys()], async (at) => {
    parts[at] = await direct.putPart(multipart, at + 1, bodyOf(Buffer.from([at % 251])), NOW);
  });
  const before = gcs.harness.server.requests.length;
  await direct.completeMultipart(multipart, parts, NOW);
  const compositions = gcs.harness.server.requests.slice(before).filter((line) => line.endsWith('/compose'));
  expect(compositions).toHaveLength(313 + 10 + 1);
  const bytes = await readAll(direct, multipart.name);
  expect(bytes.equals(Buffer.from(parts.map((__, at) => at % 251)))).toBe(true);
  expect(await listed(direct, '')).toEqual([multipart.name]);
}, 180_000);
