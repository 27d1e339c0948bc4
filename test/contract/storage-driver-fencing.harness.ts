import { randomBytes } from 'node:crypto';
import type { DriverUpload, StorageDriver, UploadSink } from '../../src/storage/storage-driver.js';
import { begin, viaJson } from './storage-driver.harness.js';

export const [FIRST, SECOND] = [randomBytes(30_000), randomBytes(20_000)];
export const BOTH = Buffer.concat([FIRST, SECOND]);

/** A writer that recorded `FIRST` and is presumed dead. Its sink is open and has unacknowledged bytes. */
export async function abandoned(driver: StorageDriver): Promise<{ upload: DriverUpload; stale: UploadSink }> {
  const upload = await begin(driver);
  const stale = await driver.openUpload(upload, 0);
  await stale.write(FIRST);
  const state = viaJson(await stale.flush());
  await stale.write(randomBytes(5_000));
  return { upload: { ...upload, state }, stale };
}

export async function fenced(driver: StorageDriver, upload: DriverUpload): Promise<DriverUpload> {
  return { ...upload, state: viaJson(await driver.fenceUpload(upload)) };
}

/** A fenced writer continues to write. It may succeed or fail. */
export async function writeOn(stale: UploadSink): Promise<void> {
  await stale
    .write(randomBytes(70_000))
    .then(() => stale.flush())
    .catch(() => undefined);
}
