import { randomBytes } from 'node:crypto';
import { expect, it } from '@jest/globals';
import type { UploadSink } from '../../src/storage/storage-driver.js';
import { BOTH, FIRST, SECOND, abandoned, fenced, writeOn } from './storage-driver-fencing.harness.js';
import {
  append,
  begin,
  digest,
  expectBytes,
  expectFlushed,
  readAll,
  uploaded,
  viaJson,
  type Context,
} from './storage-driver.harness.js';

/** A sink that was fenced changes nothing. */
export function describeStaleSinks({ driver, harness }: Context): void {
  const moments = [
    'the fence',
    'the next opening',
    'a write',
    'a flush',
    'a close',
    'the finish',
    'an abort',
  ];

  it.each(moments)('a stale sink changes nothing after %s', async (moment) => {
    const { upload, stale } = await abandoned(driver());
    const reached = (now: string): Promise<void> | undefined => (now === moment ? writeOn(stale) : undefined);
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
    'opening the fenced state changes nothing after %s',
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
        await writeOn(stale);
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
      for (const stale of late) await writeOn(stale);
      for (const stale of late) await stale.close();
      expectBytes(await readAll(driver(), key), BOTH);
      expect(await harness().openHandles()).toBe(0);
    },
  );

  it('finishes after a fence while the stale sink continues to write', async () => {
    const { upload, stale } = await abandoned(driver());
    const mine = await fenced(driver(), upload);
    await writeOn(stale);
    const key = await driver().finishUpload(mine, digest(FIRST), FIRST.length);
    expectBytes(await readAll(driver(), key), FIRST);
    await writeOn(stale);
    await stale.close();
    expect((await driver().stat(key)).sizeBytes).toBe(FIRST.length);
    expectBytes(await readAll(driver(), key), FIRST);
    expect(await driver().finishUpload(mine, digest(FIRST), FIRST.length)).toBe(key);
  });

  it('takes an empty upload over from an active writer', async () => {
    const upload = await begin(driver());
    const stale = await driver().openUpload(upload, 0);
    await stale.write(randomBytes(9_000));
    let mine = await fenced(driver(), upload);
    await writeOn(stale);
    mine = { ...mine, state: await append(driver(), mine, 0, [SECOND]) };
    await writeOn(stale);
    const key = await driver().finishUpload(mine, digest(SECOND), SECOND.length);
    await stale.close();
    await (await driver().openUpload(upload, 0)).close();
    expectBytes(await readAll(driver(), key), SECOND);
  });

  it('finishes an empty upload, taken over from an active writer, as the empty object', async () => {
    const upload = await begin(driver());
    const stale = await driver().openUpload(upload, 0);
    await stale.write(randomBytes(9_000));
    const mine = await fenced(driver(), upload);
    const key = await driver().finishUpload(mine, digest(Buffer.of()), 0);
    await writeOn(stale);
    await stale.close();
    expect(await driver().finishUpload(mine, digest(Buffer.of()), 0)).toBe(key);
    expectBytes(await readAll(driver(), key), Buffer.of());
  });
}
