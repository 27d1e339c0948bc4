import { expect, it } from '@jest/globals';
import type { DriverUpload, DriverUploadState } from '../../src/storage/storage-driver.js';
import { UploadStateError } from '../../src/storage/storage.errors.js';
import { BOTH, FIRST, SECOND, abandoned, fenced, writeOn } from './storage-driver-fencing.harness.js';
import {
  append,
  digest,
  expectBytes,
  expectFlushed,
  expectOnlyLeftoversOf,
  idsOf,
  listed,
  listedUploads,
  readAll,
  uploaded,
  viaJson,
  type Context,
} from './storage-driver.harness.js';

/** Bytes of unfinished uploads are listed and can be removed. */
export function describeLeftovers({ driver, harness }: Context): void {
  it('lists nothing at first, and nothing after a finish', async () => {
    expect(await listedUploads(driver())).toEqual([]);
    const upload = await uploaded(driver(), FIRST);
    await driver().finishUpload(upload, digest(FIRST), FIRST.length);
    await driver().check();
    expect(await listedUploads(driver())).toEqual([]);
  });

  it('lists the bytes of an upload with its id and their age', async () => {
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

  it('removes the bytes of all writers of a fenced upload', async () => {
    const { upload, stale } = await abandoned(driver());
    let mine = await fenced(driver(), upload);
    mine = { ...mine, state: await append(driver(), mine, FIRST.length, [SECOND]) };
    mine = await fenced(driver(), mine);
    await driver().abortUpload(mine);
    await driver().abortUpload(mine);
    await writeOn(stale);
    await stale.close();
    await expectOnlyLeftoversOf(driver(), [mine.id]);
    await expect(driver().openUpload(mine, BOTH.length)).rejects.toBeInstanceOf(UploadStateError);
  });

  it('removes only the bytes that a crash left', async () => {
    const live = await uploaded(driver(), FIRST);
    // The state of this fence was never recorded, and its writer crashed.
    const unrecorded = await fenced(driver(), live);
    await append(driver(), unrecorded, FIRST.length, [SECOND]);
    // An upload without a row.
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

  it('releases its resources if a listing ends early', async () => {
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
