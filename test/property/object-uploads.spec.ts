import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ObjectStorageDriver } from '../../src/storage/object-store/object-storage.driver.js';
import type { DriverUpload, UploadSink } from '../../src/storage/storage-driver.js';
import { StorageUnavailableError } from '../../src/storage/storage.errors.js';
import {
  begin,
  digest,
  expectBytes,
  expectOnlyLeftoversOf,
  readAll,
  type StorageDriverHarness,
  viaJson,
} from '../contract/storage-driver.harness.js';
import { playTakeovers, takeoverSteps } from '../contract/storage-driver-takeovers.js';
import { MemoryBucket, MemoryObjectStore } from '../support/memory-object-store.js';
import { layerPlan, OneLayer } from './one-layer.js';
import { runs } from './runs.js';

const PART_BYTES = 16_000;

/** Compared with a model, the recorded bytes. Parts are small, so that every boundary occurs. */
describe('uploads to an object store', () => {
  it('keep every recorded byte, whatever fenced writers do', async () => {
    await fc.assert(
      fc.asyncProperty(takeoverSteps, async (steps) => {
        const registry = new Registry();
        await playTakeovers(registry.open(), registry.harness, steps);
        registry.expectClean();
      }),
      runs(36),
    );
  });

  it.each([
    ['leaves parts out', { leavesPartsOut: true, randomTags: false }],
    ['leaves parts out, and gives each part a tag of its own', { leavesPartsOut: true, randomTags: true }],
    ['needs every part', { leavesPartsOut: false, randomTags: false }],
  ])(
    'always end in a store that %s, whatever is frozen, fails, or arrives late',
    async (_, trouble) => {
      await fc.assert(
        fc.asyncProperty(layerPlan, (plan) => new OneLayer(plan, trouble).play()),
        runs(72),
      );
    },
    300_000,
  );

  it.each([
    ['leaves parts out', true],
    ['needs every part', false],
  ])(
    'survive a failure at any request, before or after it was done, in a store that %s',
    async (_, leavesOut) => {
      const sizes = fc.array(fc.integer({ min: 0, max: 100_000 }), { maxLength: 8 });
      const failures = fc.array(fc.tuple(fc.nat(25), fc.constantFrom('before', 'after')), { maxLength: 6 });
      await fc.assert(
        fc.asyncProperty(sizes, failures, async (chunks, faults) => {
          const registry = new Registry(leavesOut);
          await push(registry, chunks, faults);
          registry.expectClean();
        }),
        runs(54),
      );
    },
  );
});

class Registry {
  readonly bucket = new MemoryBucket();
  readonly harness: StorageDriverHarness = {
    driver: this.open(),
    reopen: () => Promise.resolve(this.open()),
    openHandles: () => Promise.resolve(0),
    dispose: () => Promise.resolve(),
  };

  constructor(private readonly leavesPartsOut = true) {}

  store(): MemoryObjectStore {
    return new MemoryObjectStore(this.bucket, this.leavesPartsOut);
  }

  open(store = this.store()): ObjectStorageDriver {
    return new ObjectStorageDriver(store, { partBytes: PART_BYTES, inlineBytes: 500, redirect: false });
  }

  /** Called after all listed leftovers were removed. */
  expectClean(): void {
    expect([...this.bucket.multiparts.keys()]).toEqual([]);
    expect([...this.bucket.objects.keys()].filter((name) => name.startsWith('uploads/'))).toEqual([]);
  }
}

/**
 * A client that resumes at the last recorded byte until all are recorded, and repeats the commit until it
 * succeeds.
 */
async function push(registry: Registry, sizes: number[], faults: [number, string][]): Promise<void> {
  const store = registry.store();
  const driver = registry.open(store);
  let upload = await begin(driver);
  const content = randomBytes(sizes.reduce((sum, size) => sum + size, 0));
  const due = [...faults];
  let requests = 0;
  store.interfere = (_kind, when) => {
    if (when === 'before') requests += 1;
    const [fault] = due;
    if (fault === undefined || requests < fault[0] || fault[1] !== when) return;
    due.shift();
    requests = 0;
    throw new StorageUnavailableError('a fault of the test');
  };
  let offset = 0;
  for (const size of sizes) {
    const end = offset + size;
    while (offset < end) {
      const sent = await attempt(() => send(driver, upload, content, offset, end));
      if (sent === undefined) continue;
      upload = sent;
      offset = end;
    }
  }
  const finish = () => driver.finishUpload(upload, digest(content), content.length);
  let key = await attempt(finish);
  while (key === undefined) key = await attempt(finish);
  store.interfere = () => undefined;
  expect(await finish()).toBe(key);
  expectBytes(await readAll(driver, key), content);
  await driver.abortUpload(upload);
  await expectOnlyLeftoversOf(driver, [upload.id]);
  expectBytes(await readAll(driver, key), content);
}

async function send(
  driver: ObjectStorageDriver,
  upload: DriverUpload,
  content: Buffer,
  offset: number,
  end: number,
): Promise<DriverUpload> {
  let sink: UploadSink | undefined;
  try {
    sink = await driver.openUpload(upload, offset);
    for (let at = offset; at < end; at += 9_000)
      await sink.write(content.subarray(at, Math.min(at + 9_000, end)));
    return { ...upload, state: viaJson(await sink.flush({ isLast: true })) };
  } finally {
    await sink?.close();
  }
}

async function attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof StorageUnavailableError) return undefined;
    throw error;
  }
}
