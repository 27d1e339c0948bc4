import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import { MemoryBucket, MemoryObjectStore } from '../../../test/support/memory-object-store.js';
import { digestOf } from '../../oci/digest.js';
import { parseObjectKey } from '../object-key.js';
import { canRedirect } from '../driver-abilities.js';
import type { DriverUpload, UploadSink } from '../storage-driver.js';
import {
  DamagedIdentityError,
  StorageError,
  StorageUnavailableError,
  UploadStateError,
} from '../storage.errors.js';
import { objectKeyOf } from './names.js';
import { ObjectStorageDriver } from './object-storage.driver.js';
import { bodyOf } from './part-buffer.js';
import { STALL_MS } from './resuming-read.js';

const PART = 10_000;

describe('ObjectStorageDriver', () => {
  let bucket: MemoryBucket;
  let store: MemoryObjectStore;
  let driver: ObjectStorageDriver;
  beforeEach(() => {
    bucket = new MemoryBucket();
    store = new MemoryObjectStore(bucket);
    driver = new ObjectStorageDriver(store, { partBytes: PART, inlineBytes: 1_000, redirect: true });
  });

  describe('readIdentity', () => {
    it.each(['', randomUUID().slice(1), 'a longer line that an operator wrote'])(
      'rejects a damaged identity: %j',
      async (content) => {
        bucket.objects.set('berth-identity', { bytes: Buffer.from(content), touchedAt: new Date() });
        await expect(driver.readIdentity()).rejects.toBeInstanceOf(DamagedIdentityError);
      },
    );

    it('does not report an identity that it could not read as damaged', async () => {
      await driver.writeIdentity(randomUUID());
      store.interfere = (kind) => {
        if (kind === 'get') throw new StorageError('no permission');
      };
      await expect(driver.readIdentity()).rejects.toThrow('no permission');
    });
  });

  describe('sends no more requests than needed', () => {
    it.each([
      ['nothing', 0, { put: 1 }],
      ['what fits into a row', 1_000, { put: 1 }],
      ['less than a part', 9_000, { put: 1, begin: 1, part: 1, complete: 1, delete: 1 }],
      ['one part', PART, { begin: 1, part: 1, complete: 1 }],
      ['whole parts', 5 * PART, { begin: 1, part: 5, complete: 1 }],
      ['parts and a few bytes', 5 * PART + 9, { begin: 1, part: 6, complete: 1 }],
      ['parts and a tail', 5 * PART + 5_000, { begin: 1, part: 6, complete: 1, put: 1, delete: 1 }],
    ])('for a push of %s', async (_, size, expected) => {
      const content = randomBytes(size);
      const upload = await written(await started(), [content]);
      await driver.finishUpload(upload, digestOf('sha256', content), size);
      const counts: Record<string, number> = {};
      for (const { kind } of store.requests) counts[kind] = (counts[kind] ?? 0) + 1;
      expect(counts).toEqual(expected);
    });

    it('for odd chunks: reads each byte back at most once, and stores none more than twice', async () => {
      const chunks = Array.from({ length: 200 }, (_, index) => randomBytes(1_001 + 7 * index));
      const content = Buffer.concat(chunks);
      let upload = await started();
      for (const chunk of chunks) upload = await written(upload, [chunk], sizeOf(upload));
      await driver.finishUpload(upload, digestOf('sha256', content), content.length);
      const bytesOf = (kind: string) =>
        store.requests.filter((each) => each.kind === kind).reduce((sum, { bytes }) => sum + bytes, 0);
      expect(bytesOf('get')).toBeLessThanOrEqual(content.length);
      expect(bytesOf('part')).toBeLessThan(2 * content.length);
      expect(bytesOf('put')).toBeLessThan(1.5 * content.length);
      expect(store.count('listMultiparts') + store.count('list')).toBe(0);
      expect([...bucket.objects.keys()]).toHaveLength(1);
    });

    it('and keeps the row of a push of single bytes small', async () => {
      const content = randomBytes(700);
      let upload = await started();
      driver = new ObjectStorageDriver(store, { partBytes: PART, inlineBytes: 0, redirect: false });
      for (let at = 0; at < content.length; at += 1) {
        upload = await written(upload, [content.subarray(at, at + 1)], at);
        expect(JSON.stringify(upload.state).length).toBeLessThan(50_000);
      }
      const key = await driver.finishUpload(upload, digestOf('sha256', content), content.length);
      expect((await buffer(await driver.read(key, undefined))).equals(content)).toBe(true);
      expect([...bucket.objects.keys()]).toEqual([key]);
    });
  });

  describe('a sink', () => {
    it('closes only after its requests have settled', async () => {
      const upload = await started();
      const sink = await driver.openUpload(upload, 0);
      const arrive = hold('part');
      await sink.write(randomBytes(PART));
      let isClosed = false;
      const closing = sink.close().then(() => (isClosed = true));
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(isClosed).toBe(false);
      arrive();
      await closing;
      expect(bucket.multiparts.size).toBe(1);
    });

    it('buffers only a few parts, and then waits for the store', async () => {
      const sink = await driver.openUpload(await started(), 0);
      const arrive = hold('part');
      const writing = sink.write(randomBytes(10 * PART));
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(store.count('part')).toBeLessThanOrEqual(3);
      arrive();
      await writing;
      await sink.flush();
      expect(store.count('part')).toBe(10);
      await sink.close();
    });

    it('fails if a part fails, and the next sink resumes from the last flush', async () => {
      const content = randomBytes(4 * PART);
      let upload = await written(await started(), [content.subarray(0, PART + 3)]);
      const sink = await driver.openUpload(upload, PART + 3);
      store.interfere = (kind) => {
        if (kind === 'part') throw new StorageUnavailableError('not now');
      };
      await expect(
        (async () => {
          await sink.write(content.subarray(PART + 3));
          await sink.flush();
        })(),
      ).rejects.toBeInstanceOf(StorageUnavailableError);
      await expect(sink.write(Buffer.of(1))).rejects.toBeInstanceOf(StorageError);
      await sink.close();
      store.interfere = () => undefined;
      upload = await written(upload, [content.subarray(PART + 3)], PART + 3);
      const key = await driver.finishUpload(upload, digestOf('sha256', content), content.length);
      expect((await buffer(await driver.read(key, undefined))).equals(content)).toBe(true);
    });

    it('returns the end of a part as the cheapest offset for a flush', async () => {
      const upload = await written(await started(), [randomBytes(PART / 2)]);
      const sink = await driver.openUpload(upload, PART / 2);
      expect(sink.flushOffset?.(PART - 1)).toBe(PART - 1);
      expect(sink.flushOffset?.(PART)).toBe(PART);
      expect(sink.flushOffset?.(3 * PART + 5)).toBe(3 * PART);
      await sink.close();
    });

    it('stops writing if its states are not recorded', async () => {
      const sink = await driver.openUpload(await started(), 0);
      await expect(sink.write(Buffer.alloc(60 * PART))).rejects.toThrow('not recorded');
      await sink.close();
      const told = await driver.openUpload(await started(), 0);
      for (let round = 0; round < 10; round += 1) {
        await told.write(Buffer.alloc(20 * PART));
        await told.flush();
        told.recorded?.();
      }
      await told.close();
    });

    it('plans no more parts between two flushes than it has numbers for', async () => {
      const sink = await driver.openUpload(await started(), 0);
      const planned = sink.flushOffset?.(1_000 * PART) ?? 0;
      await sink.write(Buffer.alloc(planned));
      await sink.flush();
      await sink.close();
      expect(planned).toBeGreaterThanOrEqual(20 * PART);
    });

    it('stores the tail as a part only in the last flush', async () => {
      const sink = await driver.openUpload(await started(), 0);
      for (let flush = 1; flush <= 5; flush += 1) {
        await sink.write(Buffer.alloc(1_500));
        await sink.flush({ isLast: flush === 5 });
        sink.recorded?.();
      }
      await sink.close();
      expect(store.requests.filter(({ kind }) => kind === 'part').map(({ bytes }) => bytes)).toEqual([7_500]);
      expect(store.requests.filter(({ kind }) => kind === 'put').map(({ bytes }) => bytes)).toEqual(
        Array<number>(5).fill(1_500),
      );
    });

    it('keeps the next writer from the number of a part that may still arrive', async () => {
      const upload = await started();
      const sink = await driver.openUpload(upload, 0);
      store.interfere = (kind) => {
        if (kind === 'part') throw new StorageUnavailableError('timed out');
      };
      await expect(sink.write(randomBytes(2 * PART)).then(() => sink.flush())).rejects.toThrow('timed out');
      const state = await sink.close();
      store.interfere = () => undefined;
      expect(state).toMatchObject({ sizeBytes: 0 });
      expect(Number(state?.['nextPart'])).toBeGreaterThan(Number(upload.state['nextPart']));
      const content = randomBytes(2 * PART);
      const next = await written({ ...upload, state: state ?? {} }, [content]);
      expect((next.state['parts'] as [number][])[0]?.[0]).toBe(state?.['nextPart']);
    });

    it('keeps the part size that an upload started with', async () => {
      const content = randomBytes(5 * PART);
      let upload = await written(await started(), [content.subarray(0, 2 * PART + 1)]);
      driver = new ObjectStorageDriver(store, { partBytes: 3 * PART, redirect: false });
      upload = await written(upload, [content.subarray(2 * PART + 1)], 2 * PART + 1);
      const key = await driver.finishUpload(upload, digestOf('sha256', content), content.length);
      expect((await buffer(await driver.read(key, undefined))).equals(content)).toBe(true);
    });
  });

  describe('a finish', () => {
    it('uploads the last part again if it is not the recorded one', async () => {
      const content = randomBytes(PART + 5_000);
      const upload = await written(await started(), [content]);
      const multipart = { id: [...bucket.multiparts.keys()].join(), name: objectKeyOf(upload.id) };
      await store.putPart(multipart, 2, await bodyOf(randomBytes(5_000)), {});
      const key = await driver.finishUpload(upload, digestOf('sha256', content), content.length);
      expect((await buffer(await driver.read(key, undefined))).equals(content)).toBe(true);
    });

    it('refuses a tail that the store has changed', async () => {
      const content = randomBytes(9_000);
      let upload = await written(await started(), [content.subarray(0, 4_000)]);
      upload = await written(upload, [content.subarray(4_000)], 4_000);
      const get = store.get.bind(store);
      let flips = 1;
      store.get = async (...call) => {
        const bytes = await buffer(await get(...call));
        if (flips-- > 0) bytes[100] = (bytes[100] ?? 0) ^ 1;
        return Readable.from([bytes], { objectMode: false });
      };
      const finish = () => driver.finishUpload(upload, digestOf('sha256', content), content.length);
      const key = await finish();
      expect(bucket.objects.get(key)?.bytes.equals(content)).toBe(true);
      flips = Infinity;
      const other = await written(await started(), [content.subarray(0, 4_000)]);
      const tail = await written(other, [content.subarray(4_000)], 4_000);
      await expect(
        driver.finishUpload(tail, digestOf('sha256', content), content.length),
      ).rejects.toBeInstanceOf(StorageUnavailableError);
    });

    it('succeeds on a retry after the response was lost', async () => {
      const content = randomBytes(3 * PART);
      const upload = await written(await started(), [content]);
      store.interfere = (kind, when) => {
        if (kind === 'complete' && when === 'after')
          throw new StorageUnavailableError('the response is lost');
      };
      const finish = () => driver.finishUpload(upload, digestOf('sha256', content), content.length);
      await expect(finish()).rejects.toBeInstanceOf(StorageUnavailableError);
      store.interfere = () => undefined;
      const key = await finish();
      expect((await driver.stat(key)).sizeBytes).toBe(content.length);
    });

    it('does not accept an object of another size as its own', async () => {
      const content = randomBytes(3 * PART);
      const upload = await written(await started(), [content]);
      bucket.multiparts.clear();
      bucket.objects.set(objectKeyOf(upload.id), {
        bytes: Buffer.alloc(7),
        touchedAt: new Date(),
      });
      await expect(
        driver.finishUpload(upload, digestOf('sha256', content), content.length),
      ).rejects.toBeInstanceOf(UploadStateError);
    });
  });

  describe('a read', () => {
    const content = randomBytes(500_000);
    const key = parseObjectKey('some/object');
    beforeEach(() => {
      bucket.objects.set(key, { bytes: content, touchedAt: new Date() });
    });

    it('resumes where the stream broke, repeatedly', async () => {
      const get = store.get.bind(store);
      const spans: string[] = [];
      store.get = async (name, span, options) => {
        spans.push(`${span.start}-${span.end}`);
        return brokenAfter(await get(name, span, options), 70_000);
      };
      const bytes = await buffer(await driver.read(key, { start: 100, end: content.length - 1 }));
      expect(bytes.equals(content.subarray(100))).toBe(true);
      expect(spans.length).toBeGreaterThan(3);
      expect(new Set(spans).size).toBe(spans.length);
    });

    it('fails when retries receive no byte', async () => {
      store.get = () => Promise.resolve(brokenAfter(Readable.from([]), 0));
      await expect(buffer(await driver.read(key, { start: 0, end: 9 }))).rejects.toBeInstanceOf(
        StorageUnavailableError,
      );
    });

    it('never ends early or late', async () => {
      const get = store.get.bind(store);
      store.get = (name, { start, end }, options) =>
        get(name, { start, end: Math.min(start + 9, end) }, options);
      const bytes = await buffer(await driver.read(key, { start: 0, end: 35 }));
      expect(bytes.equals(content.subarray(0, 36))).toBe(true);
      store.get = (name, { start }, options) => get(name, { start, end: start + 9 }, options);
      await expect(buffer(await driver.read(key, { start: 0, end: 5 }))).rejects.toThrow('more');
    });

    it('resumes a stream that stalls while it is read, but not one whose reader is slow', async () => {
      jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
      try {
        const get = store.get.bind(store);
        const sources: Readable[] = [];
        store.get = async (name, span, options) => {
          if (sources.length > 0) return get(name, span, options);
          const silent = new PassThrough();
          silent.write(content.subarray(0, 200_000));
          sources.push(silent);
          return silent;
        };
        const stream = await driver.read(key, { start: 0, end: content.length - 1 });
        await once(stream, 'readable');
        jest.advanceTimersByTime(10 * STALL_MS);
        expect(sources[0]?.destroyed).toBe(false);
        const reading = buffer(stream);
        await new Promise((resolve) => setImmediate(resolve));
        expect(sources[0]?.destroyed).toBe(false);
        jest.advanceTimersByTime(STALL_MS);
        expect(sources[0]?.destroyed).toBe(true);
        expect((await reading).equals(content)).toBe(true);
      } finally {
        jest.useRealTimers();
      }
    });

    it('sends no request after it was destroyed', async () => {
      const get = store.get.bind(store);
      store.get = async (...call) => brokenAfter(await get(...call), 70_000);
      const stream = await driver.read(key, { start: 0, end: content.length - 1 });
      for await (const _ of stream) break;
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(store.count('get')).toBe(1);
    });
  });

  describe('a redirect', () => {
    it('needs a store that can sign, and the setting', () => {
      expect(canRedirect(driver)).toBe(false);
      const signing = Object.assign(new MemoryObjectStore(bucket), { signedUrl: sign });
      expect(canRedirect(new ObjectStorageDriver(signing, { partBytes: PART, redirect: false }))).toBe(false);
      expect(canRedirect(new ObjectStorageDriver(signing, { partBytes: PART, redirect: true }))).toBe(true);
    });

    it('is signed once for many clients, and again after a failure', async () => {
      let failures = 1;
      let signed = 0;
      const signedUrl = (name: string) => {
        if (failures-- > 0) return Promise.reject(new StorageError('not now'));
        signed += 1;
        return sign(name);
      };
      const signing = new ObjectStorageDriver(Object.assign(store, { signedUrl }), {
        partBytes: PART,
        redirect: true,
      });
      if (!canRedirect(signing)) throw new Error('it can');
      await expect(signing.redirectUrl(parseObjectKey('a/b'))).rejects.toThrow('not now');
      const urls = await Promise.all(
        Array.from({ length: 5 }, () => signing.redirectUrl(parseObjectKey('a/b'))),
      );
      expect(new Set(urls.map(({ href }) => href))).toEqual(new Set(['https://store.example/a/b']));
      expect(signed).toBe(1);
    });
  });

  async function started(): Promise<DriverUpload> {
    const id = randomUUID();
    return { id, state: await driver.createUpload(id) };
  }

  async function written(upload: DriverUpload, chunks: Buffer[], offset = 0): Promise<DriverUpload> {
    let sink: UploadSink | undefined;
    try {
      sink = await driver.openUpload(upload, offset);
      for (const chunk of chunks) await sink.write(chunk);
      return { ...upload, state: await sink.flush({ isLast: true }) };
    } finally {
      await sink?.close();
    }
  }

  /** Delays requests of this kind until the returned function is called. */
  function hold(kind: string): () => void {
    let arrive = (): void => undefined;
    const arrival = new Promise<void>((resolve) => (arrive = resolve));
    store.interfere = (each, when) => (each === kind && when === 'before' ? arrival : undefined);
    return arrive;
  }
});

function sizeOf({ state }: DriverUpload): number {
  return Number(state['sizeBytes']);
}

function sign(name: string): Promise<URL> {
  return Promise.resolve(new URL(`https://store.example/${name}`));
}

function brokenAfter(source: Readable, bytes: number): Readable {
  async function* broken() {
    let left = bytes;
    for await (const chunk of source as AsyncIterable<Buffer>) {
      yield chunk.subarray(0, left);
      left -= chunk.length;
      if (left <= 0) throw new Error('ECONNRESET');
    }
    if (bytes === 0) throw new Error('ECONNRESET');
  }
  return Readable.from(broken(), { objectMode: false });
}
