import { randomBytes, randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { DriverUpload, UploadSink } from '../../src/storage/storage-driver.js';
import { UploadStateError } from '../../src/storage/storage.errors.js';
import { BOTH, FIRST, SECOND, abandoned, fenced, writeOn } from './storage-driver-fencing.harness.js';
import {
  append,
  begin,
  closed,
  digest,
  expectBytes,
  expectFlushed,
  expectOnlyLeftoversOf,
  idsOf,
  listed,
  listedUploads,
  readAll,
  readUpload,
  uploaded,
  viaJson,
  type Context,
} from './storage-driver.harness.js';
import { describeStaleSinks } from './storage-driver-stale-sinks.contract.js';
import { describeLeftovers } from './storage-driver-leftovers.contract.js';
import { playTakeovers, takeoverSteps } from './storage-driver-takeovers.js';

/** What a fenced writer can do, and what happens to its bytes. */
export function describeFencing(context: Context): void {
  describeStaleSinks(context);
  describeFencedStates(context);
  if (context.readsUploads) describeFencedReading(context);
  describeFencedFinish(context);
  describeLeftovers(context);

  it('keeps every recorded byte, whatever fenced writers do', async () => {
    await fc.assert(
      fc.asyncProperty(takeoverSteps, async (steps) => {
        await playTakeovers(context.driver(), context.harness(), steps);
      }),
      { numRuns: 60 },
    );
    expect(await context.harness().openHandles()).toBe(0);
  }, 60_000);
}

function describeFencedStates({ driver, harness }: Context): void {
  it('has no effect until its state is recorded: the old state stays valid', async () => {
    const upload = await uploaded(driver(), FIRST);
    const before = await listedUploads(driver());
    const unrecorded = await driver().fenceUpload(upload);
    expect(unrecorded).not.toEqual(upload.state);
    expect(await listedUploads(driver())).toEqual(before);
    const state = await append(driver(), upload, FIRST.length, [SECOND]);
    const key = await driver().finishUpload({ ...upload, state }, digest(BOTH), BOTH.length);
    expectBytes(await readAll(driver(), key), BOTH);
    expect(await listedUploads(driver())).toEqual([]);
  });

  it('allows two fences of one state if only one is recorded', async () => {
    const upload = await uploaded(driver(), FIRST);
    // Its writer does not know that its state was not recorded.
    const unrecorded = await fenced(driver(), upload);
    let mine = await fenced(await harness().reopen(), upload);
    expect(mine.state).not.toEqual(unrecorded.state);
    const stale = await driver().openUpload(unrecorded, FIRST.length);
    await writeOn(stale);
    mine = { ...mine, state: await append(driver(), mine, FIRST.length, [SECOND]) };
    await writeOn(stale);
    const key = await driver().finishUpload(mine, digest(BOTH), BOTH.length);
    await writeOn(stale);
    await stale.close();
    expectBytes(await readAll(driver(), key), BOTH);
  });

  it('continues through a chain of takeovers from active writers', async () => {
    let upload = await begin(driver());
    let content = Buffer.of();
    const stale: UploadSink[] = [];
    for (let round = 0; round < 5; round += 1) {
      const sink = await (await harness().reopen()).openUpload(upload, content.length);
      const chunk = randomBytes(10_000 + round);
      await sink.write(chunk);
      content = Buffer.concat([content, chunk]);
      upload = { ...upload, state: viaJson(await sink.flush()) };
      stale.push(sink);
      upload = await fenced(driver(), upload);
      for (const each of stale) await writeOn(each);
      await expectFlushed(driver(), upload, content);
    }
    // Two takeovers without a write between them.
    upload = await fenced(driver(), await fenced(driver(), upload));
    upload = { ...upload, state: await append(driver(), upload, content.length, [SECOND]) };
    content = Buffer.concat([content, SECOND]);
    const key = await driver().finishUpload(upload, digest(content), content.length);
    for (const each of stale) await writeOn(each);
    for (const each of stale) await each.close();
    expectBytes(await readAll(driver(), key), content);
    expect(await listed(driver(), '')).toEqual([key]);
    await expectOnlyLeftoversOf(driver(), [upload.id]);
    expectBytes(await readAll(driver(), key), content);
    expect(await harness().openHandles()).toBe(0);
  });

  it('drops unflushed bytes of the new writer, and continues', async () => {
    const { upload, stale } = await abandoned(driver());
    let mine = await fenced(driver(), upload);
    for (let round = 0; round < 3; round += 1) {
      const sink = await driver().openUpload(mine, FIRST.length);
      await sink.write(randomBytes(50_000));
      if (round === 1) await sink.flush();
      await sink.close();
    }
    mine = { ...mine, state: await append(driver(), mine, FIRST.length, [SECOND]) };
    await stale.close();
    const key = await driver().finishUpload(mine, digest(BOTH), BOTH.length);
    expectBytes(await readAll(driver(), key), BOTH);
  });

  it('still compares the offset with the state', async () => {
    const mine = await fenced(driver(), await uploaded(driver(), FIRST));
    for (const offset of [0, FIRST.length - 1, FIRST.length + 1]) {
      await expect(driver().openUpload(mine, offset)).rejects.toBeInstanceOf(UploadStateError);
      await expect(driver().finishUpload(mine, digest(FIRST), offset)).rejects.toBeInstanceOf(
        UploadStateError,
      );
    }
    expect(await listed(driver(), '')).toEqual([]);
    await driver().finishUpload(mine, digest(FIRST), FIRST.length);
  });

  it('can be fenced 100 times, and fails when it is fenced too often', async () => {
    let upload = await uploaded(driver(), FIRST);
    for (let fence = 0; fence < 100; fence += 1) upload = await fenced(driver(), upload);
    const toTheEnd = async (): Promise<void> => {
      for (let fence = 0; fence < 100_000; fence += 1) upload = await fenced(driver(), upload);
    };
    await expect(toTheEnd()).rejects.toBeInstanceOf(UploadStateError);
    const key = await driver().finishUpload(upload, digest(FIRST), FIRST.length);
    expectBytes(await readAll(driver(), key), FIRST);
  });

  it('refuses to fence an invalid state', async () => {
    await expect(driver().fenceUpload({ id: randomUUID(), state: {} })).rejects.toBeInstanceOf(
      UploadStateError,
    );
  });

  it('refuses the fenced state of another upload', async () => {
    const { state } = await fenced(driver(), await uploaded(driver(), FIRST));
    const other = { id: (await uploaded(driver(), FIRST)).id, state };
    await expect(driver().openUpload(other, FIRST.length)).rejects.toBeInstanceOf(UploadStateError);
    await expect(driver().fenceUpload(other)).rejects.toBeInstanceOf(UploadStateError);
    await expect(driver().abortUpload(other)).rejects.toBeInstanceOf(UploadStateError);
    await expect(driver().finishUpload(other, digest(FIRST), FIRST.length)).rejects.toBeInstanceOf(
      UploadStateError,
    );
    expect(idsOf(await listedUploads(driver()))).toHaveLength(2);
  });
}

function describeFencedReading({ driver, harness }: Context): void {
  it('reads the first bytes of an upload across its takeovers', async () => {
    const upload = await fenced(driver(), await uploaded(driver(), FIRST));
    const mine = { ...upload, state: await append(driver(), upload, FIRST.length, [SECOND]) };
    for (const size of [0, 1, FIRST.length - 1, FIRST.length, FIRST.length + 1, BOTH.length]) {
      expectBytes(await buffer(await readUpload(driver(), mine, size)), BOTH.subarray(0, size));
    }
    await expect(readUpload(driver(), mine, BOTH.length + 1)).rejects.toBeInstanceOf(UploadStateError);
    const partly = await readUpload(driver(), mine, BOTH.length);
    for await (const _ of partly) break;
    const unread = await readUpload(driver(), mine, BOTH.length);
    unread.destroy();
    await Promise.all([closed(partly), closed(unread)]);
    expect(await harness().openHandles()).toBe(0);
  });
}

function describeFencedFinish({ driver, harness }: Context): void {
  const taken = async (): Promise<DriverUpload> => {
    const upload = await fenced(driver(), await uploaded(driver(), FIRST));
    return { ...upload, state: await append(driver(), upload, FIRST.length, [SECOND]) };
  };

  it('returns the same key again, and leaves nothing of the upload', async () => {
    const mine = await taken();
    const key = await driver().finishUpload(mine, digest(BOTH), BOTH.length);
    expect(await listedUploads(driver())).toEqual([]);
    expect(await driver().finishUpload(mine, digest(BOTH), BOTH.length)).toBe(key);
    expect(await (await harness().reopen()).finishUpload(mine, digest(BOTH), BOTH.length)).toBe(key);
    expectBytes(await readAll(driver(), key), BOTH);
    expect(await listed(driver(), '')).toEqual([key]);
  });

  it.each(['with bytes of the new writer', 'without'])(
    'returns the same key to all concurrent finishes: %s',
    async (which) => {
      for (let round = 0; round < 10; round += 1) {
        const isTaken = which !== 'without';
        const mine = isTaken ? await taken() : await fenced(driver(), await uploaded(driver(), FIRST));
        const content = isTaken ? BOTH : FIRST;
        const other = await harness().reopen();
        const keys = await Promise.all(
          [driver(), other, driver(), other, driver()].map((each) =>
            each.finishUpload(mine, digest(content), content.length),
          ),
        );
        expect(new Set(keys).size).toBe(1);
        expectBytes(await readAll(driver(), keys[0]!), content);
        expect(await listedUploads(driver())).toEqual([]);
      }
    },
  );

  it('leaves nothing of a deleted object, and refuses to finish it again', async () => {
    const mine = await taken();
    await driver().delete(await driver().finishUpload(mine, digest(BOTH), BOTH.length));
    await expect(driver().finishUpload(mine, digest(BOTH), BOTH.length)).rejects.toBeInstanceOf(
      UploadStateError,
    );
    expect(await listed(driver(), '')).toEqual([]);
    expect(await listedUploads(driver())).toEqual([]);
  });
}
