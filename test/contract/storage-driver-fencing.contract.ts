import { randomBytes, randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import type {
  DriverUpload,
  DriverUploadState,
  StorageDriver,
  UploadSink,
} from '../../src/storage/storage-driver.js';
import { UploadStateError } from '../../src/storage/storage.errors.js';
import {
  append,
  begin,
  closed,
  type Context,
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
} from './storage-driver.harness.js';
import { playTakeovers, takeoverSteps } from './storage-driver-takeovers.js';

/** What a writer that was shut out can and can't do, and what becomes of the bytes around it. */
export function describeFencing(context: Context): void {
  describeStaleSinks(context);
  describeFencedStates(context);
  if (context.readsUploads) describeFencedReading(context);
  describeFencedFinish(context);
  describeLeftovers(context);

  it('keeps every recorded byte, whatever writers do that were shut out', async () => {
    await fc.assert(
      fc.asyncProperty(takeoverSteps, async (steps) => {
        await playTakeovers(context.driver(), context.harness(), steps);
      }),
      { numRuns: 60 },
    );
    expect(await context.harness().openHandles()).toBe(0);
  }, 60_000);
}

const [FIRST, SECOND] = [randomBytes(30_000), randomBytes(20_000)];
const BOTH = Buffer.concat([FIRST, SECOND]);

/** A writer that is presumed dead after it recorded `FIRST`: its sink is open, with unacknowledged bytes. */
async function abandoned(driver: StorageDriver): Promise<{ upload: DriverUpload; stale: UploadSink }> {
  const upload = await begin(driver);
  const stale = await driver.openUpload(upload, 0);
  await stale.write(FIRST);
  const state = viaJson(await stale.flush());
  await stale.write(randomBytes(5_000));
  return { upload: { ...upload, state }, stale };
}

async function fenced(driver: StorageDriver, upload: DriverUpload): Promise<DriverUpload> {
  return { ...upload, state: viaJson(await driver.fenceUpload(upload)) };
}

/** The fenced writer continues. It may succeed or fail. */
async function goesOn(stale: UploadSink): Promise<void> {
  await stale
    .write(randomBytes(70_000))
    .then(() => stale.flush())
    .catch(() => undefined);
}

function describeStaleSinks({ driver, harness }: Context): void {
  const moments = [
    'the fence',
    'the next opening',
    'a write',
    'a flush',
    'a close',
    'the finish',
    'an abort',
  ];

  it.each(moments)('lets a stale sink change nothing after %s', async (moment) => {
    const { upload, stale } = await abandoned(driver());
    const reached = (now: string): Promise<void> | undefined => (now === moment ? goesOn(stale) : undefined);
    let mine = await fenced(driver(), upload);
    await reached('the fence');
    const sink = await (await harness().reopen()).openUpload(mine, FIRST.length);
    await reached('the next opening');
    await sink.write(SECOND.subarray(0, 15_000));
    await reached('a write');
    await sink.write(SECOND.subarray(15_000));
    mine = { ...mine, state: viaJson(await sink.flush()) };
    await reached('a flush');
    await sink.close();
    await reached('a close');
    await expectFlushed(driver(), mine, BOTH);
    const key = await driver().finishUpload(mine, digest(BOTH), BOTH.length);
    await reached('the finish');
    await driver().abortUpload(mine);
    await reached('an abort');
    await stale.close();
    expectBytes(await readAll(driver(), key), BOTH);
    expect(await driver().finishUpload(mine, digest(BOTH), BOTH.length)).toBe(key);
    expectBytes(await readAll(driver(), key), BOTH);
    expect(await harness().openHandles()).toBe(0);
  });

  it.each(['the fence', 'the next opening', 'a flush', 'the finish'])(
    'lets an opening by the fenced state change nothing, which comes after %s',
    async (moment) => {
      const upload = await uploaded(driver(), FIRST);
      const late: UploadSink[] = [];
      const reached = async (now: string): Promise<void> => {
        if (now !== moment) return;
        const stale = await driver()
          .openUpload(upload, FIRST.length)
          .catch(() => undefined);
        if (stale === undefined) return;
        late.push(stale);
        await goesOn(stale);
      };
      let mine = await fenced(driver(), upload);
      await reached('the fence');
      const sink = await driver().openUpload(mine, FIRST.length);
      await reached('the next opening');
      await sink.write(SECOND);
      mine = { ...mine, state: await sink.flush() };
      await reached('a flush');
      await sink.close();
      const key = await driver().finishUpload(mine, digest(BOTH), BOTH.length);
      await reached('the finish');
      for (const stale of late) await goesOn(stale);
      for (const stale of late) await stale.close();
      expectBytes(await readAll(driver(), key), BOTH);
      expect(await harness().openHandles()).toBe(0);
    },
  );

  it('finishes after a fence without another byte while the stale sink writes on', async () => {
    const { upload, stale } = await abandoned(driver());
    const mine = await fenced(driver(), upload);
    await goesOn(stale);
    const key = await driver().finishUpload(mine, digest(FIRST), FIRST.length);
    expectBytes(await readAll(driver(), key), FIRST);
    await goesOn(stale);
    await stale.close();
    expect((await driver().stat(key)).sizeBytes).toBe(FIRST.length);
    expectBytes(await readAll(driver(), key), FIRST);
    expect(await driver().finishUpload(mine, digest(FIRST), FIRST.length)).toBe(key);
  });

  it('takes an empty upload over from a writer that still writes', async () => {
    const upload = await begin(driver());
    const stale = await driver().openUpload(upload, 0);
    await stale.write(randomBytes(9_000));
    let mine = await fenced(driver(), upload);
    await goesOn(stale);
    mine = { ...mine, state: await append(driver(), mine, 0, [SECOND]) };
    await goesOn(stale);
    const key = await driver().finishUpload(mine, digest(SECOND), SECOND.length);
    await stale.close();
    await (await driver().openUpload(upload, 0)).close();
    expectBytes(await readAll(driver(), key), SECOND);
  });

  it('finishes an empty upload, taken over from a writer that still writes, as the empty object', async () => {
    const upload = await begin(driver());
    const stale = await driver().openUpload(upload, 0);
    await stale.write(randomBytes(9_000));
    const mine = await fenced(driver(), upload);
    const key = await driver().finishUpload(mine, digest(Buffer.of()), 0);
    await goesOn(stale);
    await stale.close();
    expect(await driver().finishUpload(mine, digest(Buffer.of()), 0)).toBe(key);
    expectBytes(await readAll(driver(), key), Buffer.of());
  });
}

function describeFencedStates({ driver, harness }: Context): void {
  it('changes nothing alone: the old state stays valid until the new one is recorded', async () => {
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

  it('allows two fences of one state of which only one is recorded', async () => {
    const upload = await uploaded(driver(), FIRST);
    // Its writer does not know that its state was not recorded.
    const unrecorded = await fenced(driver(), upload);
    let mine = await fenced(await harness().reopen(), upload);
    expect(mine.state).not.toEqual(unrecorded.state);
    const stale = await driver().openUpload(unrecorded, FIRST.length);
    await goesOn(stale);
    mine = { ...mine, state: await append(driver(), mine, FIRST.length, [SECOND]) };
    await goesOn(stale);
    const key = await driver().finishUpload(mine, digest(BOTH), BOTH.length);
    await goesOn(stale);
    await stale.close();
    expectBytes(await readAll(driver(), key), BOTH);
  });

  it('continues through a chain of takeovers, each with a writer that still writes', async () => {
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
      for (const each of stale) await goesOn(each);
      await expectFlushed(driver(), upload, content);
    }
    // Two takeovers with nothing between them.
    upload = await fenced(driver(), await fenced(driver(), upload));
    upload = { ...upload, state: await append(driver(), upload, content.length, [SECOND]) };
    content = Buffer.concat([content, SECOND]);
    const key = await driver().finishUpload(upload, digest(content), content.length);
    for (const each of stale) await goesOn(each);
    for (const each of stale) await each.close();
    expectBytes(await readAll(driver(), key), content);
    expect(await listed(driver(), '')).toEqual([key]);
    await expectOnlyLeftoversOf(driver(), [upload.id]);
    expectBytes(await readAll(driver(), key), content);
    expect(await harness().openHandles()).toBe(0);
  });

  it('drops what the new writer wrote without flushing, and continues', async () => {
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

  it('can be taken 100 times, and says so when it is too often', async () => {
    let upload = await uploaded(driver(), FIRST);
    for (let fence = 0; fence < 100; fence += 1) upload = await fenced(driver(), upload);
    const toTheEnd = async (): Promise<void> => {
      for (let fence = 0; fence < 100_000; fence += 1) upload = await fenced(driver(), upload);
    };
    await expect(toTheEnd()).rejects.toBeInstanceOf(UploadStateError);
    const key = await driver().finishUpload(upload, digest(FIRST), FIRST.length);
    expectBytes(await readAll(driver(), key), FIRST);
  });

  it('refuses to fence by a state that no driver made', async () => {
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

  it('leaves nothing of a finished object that is deleted, and says that its bytes are gone', async () => {
    const mine = await taken();
    await driver().delete(await driver().finishUpload(mine, digest(BOTH), BOTH.length));
    await expect(driver().finishUpload(mine, digest(BOTH), BOTH.length)).rejects.toBeInstanceOf(
      UploadStateError,
    );
    expect(await listed(driver(), '')).toEqual([]);
    expect(await listedUploads(driver())).toEqual([]);
  });
}

function describeLeftovers({ driver, harness }: Context): void {
  it('lists nothing at first, nor when it is done', async () => {
    expect(await listedUploads(driver())).toEqual([]);
    const upload = await uploaded(driver(), FIRST);
    await driver().finishUpload(upload, digest(FIRST), FIRST.length);
    await driver().check();
    expect(await listedUploads(driver())).toEqual([]);
  });

  it('lists what an upload holds, whose it is and since when', async () => {
    const upload = await uploaded(driver(), FIRST);
    const found = await listedUploads(await harness().reopen());
    expect(idsOf(found)).toEqual([upload.id]);
    for (const { modifiedAt } of found) {
      expect(Math.abs(modifiedAt.getTime() - Date.now())).toBeLessThan(60_000);
    }
  });

  it('lists no objects, and no uploads among the objects', async () => {
    const upload = await uploaded(driver(), FIRST);
    const other = await uploaded(driver(), SECOND);
    const key = await driver().finishUpload(upload, digest(FIRST), FIRST.length);
    expect(idsOf(await listedUploads(driver()))).toEqual([other.id]);
    expect(await listed(driver(), '')).toEqual([key]);
  });

  it('removes with a fenced upload the bytes of every writer', async () => {
    const { upload, stale } = await abandoned(driver());
    let mine = await fenced(driver(), upload);
    mine = { ...mine, state: await append(driver(), mine, FIRST.length, [SECOND]) };
    mine = await fenced(driver(), mine);
    await driver().abortUpload(mine);
    await driver().abortUpload(mine);
    await goesOn(stale);
    await stale.close();
    await expectOnlyLeftoversOf(driver(), [mine.id]);
    await expect(driver().openUpload(mine, BOTH.length)).rejects.toBeInstanceOf(UploadStateError);
  });

  it('removes what a crash left, and that alone', async () => {
    const live = await uploaded(driver(), FIRST);
    // The state of this fence was never recorded, and its writer crashed.
    const unrecorded = await fenced(driver(), live);
    await append(driver(), unrecorded, FIRST.length, [SECOND]);
    // No row knows this upload any more.
    const lost = await uploaded(driver(), SECOND);
    const before = await listedUploads(driver());
    expect(idsOf(before)).toEqual([live.id, lost.id].sort());

    const found = before.filter(({ upload: { id } }) => id === lost.id);
    for (const { upload } of found) {
      await driver().abortUpload(viaJsonUpload(upload));
      await driver().abortUpload(upload);
    }
    expect(idsOf(await listedUploads(driver()))).toEqual([live.id]);
    const key = await driver().finishUpload(live, digest(FIRST), FIRST.length);
    expectBytes(await readAll(driver(), key), FIRST);
    for (const { upload } of await listedUploads(driver())) await driver().abortUpload(upload);
    expect(await listedUploads(driver())).toEqual([]);
    expectBytes(await readAll(driver(), key), FIRST);
  });

  it('removes one part of an upload and keeps the others', async () => {
    const live = await uploaded(driver(), FIRST);
    const parts = await listedUploads(driver());
    const unrecorded = await fenced(driver(), live);
    await append(driver(), unrecorded, FIRST.length, [SECOND]);
    const known = new Set(parts.map(({ upload }) => JSON.stringify(upload)));
    const stray = (await listedUploads(driver())).filter(({ upload }) => !known.has(JSON.stringify(upload)));
    expect(idsOf(stray)).toEqual([live.id]);
    for (const { upload } of stray) await driver().abortUpload(upload);
    await expectFlushed(driver(), live, FIRST);
    expectBytes(
      await readAll(driver(), await driver().finishUpload(live, digest(FIRST), FIRST.length)),
      FIRST,
    );
  });

  it('does not resume from a listed state', async () => {
    await uploaded(driver(), FIRST);
    for (const { upload } of await listedUploads(driver())) {
      await expect(driver().openUpload(upload, FIRST.length)).rejects.toBeInstanceOf(UploadStateError);
      await expect(driver().openUpload(upload, 0)).rejects.toBeInstanceOf(UploadStateError);
      await expect(driver().fenceUpload(upload)).rejects.toBeInstanceOf(UploadStateError);
      await expect(driver().finishUpload(upload, digest(Buffer.of()), 0)).rejects.toBeInstanceOf(
        UploadStateError,
      );
    }
    expect(idsOf(await listedUploads(driver()))).toHaveLength(1);
  });

  it('frees what the list holds when it is left early', async () => {
    for (let round = 0; round < 3; round += 1) await uploaded(driver(), SECOND);
    for await (const _ of driver().listUploads()) break;
    expect(await harness().openHandles()).toBe(0);
  });

  it('stops listing when it is aborted', async () => {
    for (let round = 0; round < 3; round += 1) await uploaded(driver(), SECOND);
    const reason = new Error('enough');
    const controller = new AbortController();
    const listing = (async () => {
      for await (const _ of driver().listUploads({ signal: controller.signal })) controller.abort(reason);
    })();
    await expect(listing).rejects.toBe(reason);
    expect(await harness().openHandles()).toBe(0);
  });
}

function viaJsonUpload({ id, state }: DriverUpload): { id: string; state: DriverUploadState } {
  return { id, state: viaJson(state) };
}
