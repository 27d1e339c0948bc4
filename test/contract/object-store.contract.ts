import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Multipart, ObjectStore } from '../../src/storage/object-store/object-store.js';
import type { IoOptions } from '../../src/storage/storage-driver.js';
import { UploadStateError } from '../../src/storage/storage.errors.js';
import {
  bodyOf,
  type Context,
  forEachOf,
  listed,
  listedMultiparts,
  listedObjects,
  listedWhole,
  NOW,
  type ObjectStoreHarness,
  readAll,
  stored,
} from './object-store.harness.js';
import { expectBytes, closeOpened, MIB } from './storage-driver.harness.js';
import {
  describeObjects,
  describeIdentity,
  describeReading,
  describeDeleting,
  describeListing,
  describeChecksums,
  describeNames,
  describeSignedUrls,
} from './object-store-objects.contract.js';
import {
  describeCompleting,
  describeAborting,
  describeListingMultiparts,
} from './object-store-multiparts.contract.js';

/** The executable form of the contract in `src/storage/object-store/object-store.ts`. */
export function describeObjectStoreContract(
  name: string,
  makeHarness: () => Promise<ObjectStoreHarness>,
): void {
  describe(`object store contract: ${name}`, () => {
    let harness: ObjectStoreHarness;
    let store: ObjectStore;
    beforeEach(async () => {
      harness = await makeHarness();
      store = harness.store;
    });
    afterEach(() => harness.dispose());

    const context: Context = { store: () => store, harness: () => harness };
    describe('objects', () => describeObjects(context));
    describe('reading', () => describeReading(context));
    describe('the identity', () => describeIdentity(context));
    describe('deleting', () => describeDeleting(context));
    describe('listing', () => describeListing(context));
    describe('creating an object of parts', () => describeCompleting(context));
    describe('aborting multiparts', () => describeAborting(context));
    describe('listing multiparts', () => describeListingMultiparts(context));
    describe('checksums', () => describeChecksums(context));
    describe('prefixes and names', () => describeNames(context));
    describe('signed URLs', () => describeSignedUrls(context));
    describe('aborting calls', () => describeSignals(context));
    describe('boot', () => describeBoot(context));
  });
}

function describeSignals({ store, harness }: Context): void {
  const reason = new Error('the client left');
  type Call = (on: ObjectStore, multipart: Multipart, options: IoOptions) => Promise<unknown>;
  const body = bodyOf(Buffer.alloc(100_000, 1));
  const calls: [string, Call][] = [
    ['check', (on, _, options) => on.check(options)],
    ['head', (on, _, options) => on.head('there', options)],
    ['get', (on, _, options) => on.get('there', { start: 0, end: 99 }, options)],
    ['put', (on, _, options) => on.put('new', body, options)],
    ['delete of one', (on, _, options) => on.delete(['missing'], options)],
    ['delete of several', (on, _, options) => on.delete(['missing', 'as well'], options)],
    ['deleteMany', (on, _, options) => on.deleteMany(['missing', 'as well'], options)],
    ['list', (on, _, options) => listedObjects(on, '', options)],
    ['beginMultipart', (on, _, options) => on.beginMultipart('new', options)],
    ['putPart', (on, multipart, options) => on.putPart(multipart, 2, body, options)],
    [
      'completeMultipart',
      async (on, multipart, options) => {
        const part = await on.putPart(multipart, 1, body, NOW);
        return on.completeMultipart(multipart, [part], options);
      },
    ],
    ['abortMultipart', (on, multipart, options) => on.abortMultipart(multipart, [], options)],
    ['listMultiparts', (on, _, options) => listedMultiparts(on, '', options)],
  ];

  it.each(calls)('%s rejects with the reason if its signal is already aborted', async (_, call) => {
    await stored(store(), 'there', randomBytes(100));
    const multipart = await store().beginMultipart('parts', NOW);
    const signal = AbortSignal.abort(reason);
    await expect(call(store(), multipart, { signal })).rejects.toBe(reason);
    expect(await listedWhole({ store, harness })).toEqual(['there']);
  });

  it.each(calls)('%s succeeds, or rejects with the reason, when it is aborted', async (_, call) => {
    await stored(store(), 'there', randomBytes(100));
    const multipart = await store().beginMultipart('parts', NOW);
    for (const turns of [0, 1, 5, 20]) {
      const controller = new AbortController();
      const calling = call(store(), multipart, { signal: controller.signal });
      const settled = Promise.allSettled([calling]);
      for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      controller.abort(reason);
      const [outcome] = await settled;
      if (outcome.status === 'fulfilled') await closeOpened(outcome.value);
      // What an earlier turn has completed or aborted is no multipart any more.
      else if (!(outcome.reason instanceof UploadStateError)) expect(outcome.reason).toBe(reason);
    }
    expectBytes(
      await buffer(await store().get('there', { start: 0, end: 99 }, NOW)),
      await readAll(store(), 'there'),
    );
  });

  it('keeps the stream of a get whose signal is aborted later', async () => {
    const content = randomBytes(4 * MIB);
    await stored(store(), 'object', content);
    const controller = new AbortController();
    const span = { start: 0, end: content.length - 1 };
    const stream = await store().get('object', span, { signal: controller.signal });
    controller.abort(reason);
    expectBytes(await buffer(stream), content);
  });

  it('ends a list early with the reason', async () => {
    const length = harness().traits.pageSize + 1;
    await forEachOf(
      Array.from({ length }, (_, index) => `blobs/${index}`),
      (name) => stored(store(), name, Buffer.from('x')),
    );
    const controller = new AbortController();
    const listing = async (): Promise<void> => {
      for await (const _ of store().list('', { signal: controller.signal })) controller.abort(reason);
    };
    await expect(listing()).rejects.toBe(reason);
  });
}

function describeBoot({ store, harness }: Context): void {
  it('has a name, a readable location and a part limit', () => {
    expect(store().name).toMatch(/^[a-z0-9]+$/);
    expect(store().location).not.toBe('');
    expect(store().maxPartNumber).toBeGreaterThanOrEqual(1000);
  });

  it('prepares without leaving or changing objects', async () => {
    const content = randomBytes(100);
    await stored(store(), 'blobs/x', content);
    await store().prepare();
    await (await harness().open('')).prepare();
    expect(await listed(store(), '')).toEqual(['blobs/x']);
    expectBytes(await readAll(store(), 'blobs/x'), content);
  });

  it('is ready, and its check leaves no objects', async () => {
    await store().check(NOW);
    await store().check({ signal: new AbortController().signal });
    expect(await listed(store(), '')).toEqual([]);
    expect(await listedMultiparts(store(), '')).toEqual([]);
  });
}
