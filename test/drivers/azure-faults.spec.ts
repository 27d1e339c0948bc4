import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type AzureObjectStore,
  openAzureObjectStore,
} from '../../src/storage/drivers/azure/azure-object.store.js';
import type { AzureLimits } from '../../src/storage/drivers/azure/azure-limits.js';
import { ObjectStorageDriver } from '../../src/storage/object-store/object-storage.driver.js';
import type { Part } from '../../src/storage/object-store/object-store.js';
import { StorageUnavailableError, UploadStateError } from '../../src/storage/storage.errors.js';
import { type AzuriteContainer, azuriteSettings, createAzuriteContainer } from '../support/azurite.js';
import { type Fault, FaultProxy } from '../support/fault-proxy.js';
import {
  bodyOf,
  listed,
  listedObjects,
  NOW,
  putParts,
  readAll,
  stored,
} from '../contract/object-store.harness.js';
import { begin, digest, expectBytes, MIB } from '../contract/storage-driver.harness.js';

const LIMITS: Partial<AzureLimits> = { attempts: 4, deadlineMs: 5000, firstPauseMs: 1, maxPauseMs: 5 };

const busy = responding(503, 'ServerBusy');
const FAULTS: [string, Fault][] = [
  ['503 ServerBusy', busy],
  ['500 InternalError', responding(500, 'InternalError')],
  ['500 OperationTimedOut', responding(500, 'OperationTimedOut')],
  ['a reset', { kind: 'reset' }],
  ['a lost response', { kind: 'lose response' }],
];

function responding(status: number, code: string): Fault {
  const error = `<Error><Code>${code}</Code><Message>Words.</Message></Error>`;
  const body = `<?xml version="1.0" encoding="utf-8"?>${error}`;
  return { kind: 'respond', status, body, headers: { 'x-ms-error-code': code } };
}

const CONTENT = randomBytes(3000);
const UPLOAD = { name: 'blobs/upload', id: '' };

/** Calls to a container with the object `there` and two staged blocks of an upload. */
const CALLS: [string, (store: AzureObjectStore, parts: readonly Part[]) => Promise<void>][] = [
  ['check', (store) => store.check(NOW)],
  ['prepare', (store) => store.prepare()],
  [
    'head',
    async (store) => {
      expect(await store.head('there', NOW)).toMatchObject({ sizeBytes: CONTENT.length });
      expect(await store.head('missing', NOW)).toBeUndefined();
    },
  ],
  ['get', async (store) => expectBytes(await readAll(store, 'there'), CONTENT)],
  [
    'put',
    async (store) => {
      await stored(store, 'new', CONTENT);
      expectBytes(await readAll(store, 'new'), CONTENT);
    },
  ],
  [
    'delete',
    async (store) => {
      await store.delete(['there', 'missing'], NOW);
      expect(await store.head('there', NOW)).toBeUndefined();
    },
  ],
  ['list', async (store) => expect(await listedObjects(store, 'th')).toMatchObject([{ name: 'there' }])],
  [
    'putPart',
    async (store, parts) => {
      const [third] = await putParts(store, UPLOAD, new Map([[3, CONTENT]]));
      if (third === undefined) throw new Error('no part');
      await store.completeMultipart(UPLOAD, [...parts, third], NOW).catch(orExists(store));
      expect(await store.head(UPLOAD.name, NOW)).toMatchObject({ sizeBytes: 3 * CONTENT.length });
    },
  ],
  [
    'completeMultipart',
    async (store, parts) => {
      await store.completeMultipart(UPLOAD, parts, NOW).catch(orExists(store));
      expectBytes(await readAll(store, UPLOAD.name), Buffer.concat([CONTENT, CONTENT]));
    },
  ],
  [
    'abortMultipart',
    async (store, parts) => {
      await store.abortMultipart(UPLOAD, parts, NOW);
      await expect(store.completeMultipart(UPLOAD, parts, NOW)).rejects.toBeInstanceOf(UploadStateError);
      expect(await listed(store, '')).toEqual(['there']);
    },
  ],
];

/** A completion whose response was lost finds its object with `head`, as the driver does. */
function orExists(store: AzureObjectStore): (error: unknown) => Promise<void> {
  return async (error) => {
    if (!(error instanceof UploadStateError)) throw error;
    expect(await store.head(UPLOAD.name, NOW)).toBeDefined();
  };
}

describe('Azure behind a faulty network', () => {
  let azurite: AzuriteContainer;
  let proxy: FaultProxy;
  let store: AzureObjectStore;
  let parts: readonly Part[];

  const opened = (limits: Partial<AzureLimits> = {}): Promise<AzureObjectStore> =>
    openAzureObjectStore(azuriteSettings(azurite, { storageAzureEndpoint: proxy.endpoint }), {
      limits: { ...LIMITS, ...limits },
    });

  beforeEach(async () => {
    azurite = await createAzuriteContainer();
    proxy = await FaultProxy.start(azurite.endpoint);
    store = await opened();
    await stored(store, 'there', CONTENT);
    const contents = [CONTENT, CONTENT].map((bytes, at): [number, Buffer] => [at + 1, bytes]);
    parts = await putParts(store, UPLOAD, new Map(contents));
    proxy.forget();
  });
  afterEach(async () => {
    await proxy.close();
    await azurite.drop();
  });

  describe.each(FAULTS)('survives %s, twice in a row', (_, fault) => {
    it.each(CALLS)('in %s', async (__, call) => {
      proxy.inject({ times: 2, fault });
      await call(store, parts);
      expect(proxy.requests().filter((each) => each.fault !== undefined)).toHaveLength(2);
    });
  });

  describe.each<[string, Fault]>([
    ['503 ServerBusy', busy],
    ['a reset', { kind: 'reset' }],
  ])('reports Azure as unavailable after repeated %s', (_, fault) => {
    it.each(CALLS)('in %s', async (__, call) => {
      proxy.inject({ times: Infinity, fault });
      await expect(call(store, parts)).rejects.toBeInstanceOf(StorageUnavailableError);
      // A `delete` of two names sends two requests, each four times.
      expect(proxy.requests().length).toBeGreaterThanOrEqual(4);
      expect(proxy.requests().length).toBeLessThanOrEqual(8);
    });
  });

  it.each(CALLS)('rejects at the deadline if requests hang: %s', async (_, call) => {
    const hurried = await opened({ deadlineMs: 300 });
    proxy.inject({ times: Infinity, fault: { kind: 'hang' } });
    const began = performance.now();
    const failure: unknown = await call(hurried, parts).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(StorageUnavailableError);
    expect(String(failure)).toMatch(/no response within/);
    expect(performance.now() - began).toBeLessThan(3000);
  });

  it('ends a hanging attempt when another one succeeds', async () => {
    const hurried = await opened({ deadlineMs: 900 });
    proxy.inject({ times: 1, fault: { kind: 'hang' } });
    expect(await hurried.head('there', NOW)).toMatchObject({ sizeBytes: CONTENT.length });
    expect(proxy.requests()).toHaveLength(2);
  });

  it('closes a hanging request at once when it is aborted', async () => {
    const caller = new AbortController();
    const reason = new Error('left');
    proxy.inject({ times: Infinity, fault: { kind: 'hang' } });
    const looking = expect(store.head('there', { signal: caller.signal })).rejects.toBe(reason);
    caller.abort(reason);
    await looking;
  });

  it('refuses corrupted bytes', async () => {
    proxy.inject({ method: 'PUT', times: Infinity, fault: { kind: 'flip' } });
    const [put, part] = await Promise.allSettled([
      store.put('changed', bodyOf(CONTENT), NOW),
      store.putPart(UPLOAD, 3, bodyOf(CONTENT), NOW),
    ]);
    for (const outcome of [put, part]) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(StorageUnavailableError) });
    }
    expect(await store.head('changed', NOW)).toBeUndefined();
    expect(proxy.counts()).toMatchObject({ PUT: LIMITS.attempts, 'PUT blockid comp=block': LIMITS.attempts });
  });

  it('sends corrupted bytes again', async () => {
    proxy.inject({ method: 'PUT', times: 2, fault: { kind: 'flip' } });
    await stored(store, 'new', CONTENT);
    proxy.inject({ method: 'PUT', times: 2, fault: { kind: 'flip' } });
    const third = await putParts(store, UPLOAD, new Map([[3, CONTENT]]));
    await store.completeMultipart(UPLOAD, third, NOW);
    for (const name of ['new', UPLOAD.name]) expectBytes(await readAll(store, name), CONTENT);
  });

  it('fails a stream that breaks, and never ends it early', async () => {
    const big = randomBytes(MIB);
    await stored(store, 'big', big);
    proxy.inject({ method: 'GET', fault: { kind: 'break response', afterBytes: 100_000 } });
    const stream = await store.get('big', { start: 0, end: big.length - 1 }, NOW);
    await expect(buffer(stream)).rejects.toThrow();
    expect(proxy.counts()['GET']).toBe(1);
  });

  it('resumes a read at the position where the stream broke', async () => {
    const big = randomBytes(2 * MIB);
    const driver = new ObjectStorageDriver(store, { partBytes: MIB, redirect: false });
    const upload = await begin(driver);
    const sink = await driver.openUpload(upload, 0);
    await sink.write(big);
    const state = await sink.flush();
    await sink.close();
    const key = await driver.finishUpload({ ...upload, state }, digest(big), big.length);
    proxy.forget();
    proxy.inject({ method: 'GET', times: 3, fault: { kind: 'break response', afterBytes: 300_000 } });
    expectBytes(await buffer(await driver.read(key, undefined)), big);
    expect(proxy.counts()['GET']).toBe(4);
  });

  it('pushes with blocks and a block list, without copying', async () => {
    const driver = new ObjectStorageDriver(store, { partBytes: MIB, redirect: false });
    const content = randomBytes(5 * MIB + 1000);
    const upload = await begin(driver);
    const sink = await driver.openUpload(upload, 0);
    await sink.write(content);
    const state = await sink.flush();
    await sink.close();
    const key = await driver.finishUpload({ ...upload, state }, digest(content), content.length);
    expect(proxy.counts()).toEqual({ 'PUT blockid comp=block': 6, 'PUT comp=blocklist': 1 });
    expect(proxy.requests().some(({ headers }) => 'x-ms-copy-source' in headers)).toBe(false);
    expectBytes(await buffer(await driver.read(key, undefined)), content);
  });
});
