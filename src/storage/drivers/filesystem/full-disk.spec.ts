import { randomBytes, randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { countOpenFilesBelow } from '../../../../test/support/open-files.js';
import { mountSmallDisk, skipped, type SmallDisk } from '../../../../test/support/small-disk.js';
import { digestOf } from '../../../oci/digest.js';
import type { DriverUpload, UploadSink } from '../../storage-driver.js';
import { StorageFullError } from '../../storage.errors.js';
import { FilesystemStorageDriver } from './filesystem-storage.driver.js';

const KIB = 1024;
let disk: SmallDisk | string;
beforeEach(async () => {
  disk = await mountSmallDisk(1024 * KIB);
});
afterEach(async () => {
  if (typeof disk !== 'string') await disk.unmount();
});

it('keeps acknowledged bytes on a full disk, and resumes when space is free', async () => {
  if (typeof disk === 'string') {
    skipped(disk);
    return;
  }
  const driver = new FilesystemStorageDriver(disk.path);
  await driver.prepare();
  const filler = join(disk.path, 'filler');
  await writeFile(filler, Buffer.alloc(500 * KIB));
  const content = randomBytes(800 * KIB);
  const id = randomUUID();
  let upload: DriverUpload = { id, state: await driver.createUpload(id) };

  const sink = await driver.openUpload(upload, 0);
  await sink.write(content.subarray(0, 200 * KIB));
  upload = { id, state: await sink.flush() };
  await expect(writeUntilEnd(sink, content.subarray(200 * KIB))).rejects.toBeInstanceOf(StorageFullError);
  // The sink is unusable after a failure: a later flush must not acknowledge part of a chunk.
  await expect(sink.flush()).rejects.toThrow('has failed');
  await sink.close();
  expect(await countOpenFilesBelow(disk.path)).toBe(0);

  const kept = await buffer(await driver.readUpload(upload, 200 * KIB));
  expect(kept.equals(content.subarray(0, 200 * KIB))).toBe(true);
  await rm(filler);
  const again = await driver.openUpload(upload, 200 * KIB);
  await writeUntilEnd(again, content.subarray(200 * KIB));
  upload = { id, state: await again.flush() };
  await again.close();
  const key = await driver.finishUpload(upload, digestOf('sha256', content), content.length);
  expect((await buffer(await driver.read(key, undefined))).equals(content)).toBe(true);
});

it("keeps a fenced upload that a full disk can't finish, and finishes it when space is free", async () => {
  if (typeof disk === 'string') {
    skipped(disk);
    return;
  }
  const driver = new FilesystemStorageDriver(disk.path);
  await driver.prepare();
  const content = randomBytes(500 * KIB);
  const digest = digestOf('sha256', content);
  const started = await uploaded(driver, content.subarray(0, 400 * KIB));
  let upload: DriverUpload = { ...started, state: await driver.fenceUpload(started) };
  const sink = await driver.openUpload(upload, 400 * KIB);
  await sink.write(content.subarray(400 * KIB));
  upload = { ...upload, state: await sink.flush() };
  await sink.close();
  const filler = join(disk.path, 'filler');
  await writeFile(filler, Buffer.alloc(300 * KIB));

  for (let time = 0; time < 2; time += 1) {
    const finishing = driver.finishUpload(upload, digest, content.length);
    await expect(finishing).rejects.toBeInstanceOf(StorageFullError);
    expect(await countOpenFilesBelow(disk.path)).toBe(0);
    expect((await buffer(await driver.readUpload(upload, content.length))).equals(content)).toBe(true);
    for await (const { key } of driver.list('')) expect(key).toBe('filler');
  }
  await rm(filler);
  const key = await driver.finishUpload(upload, digest, content.length);
  expect((await buffer(await driver.read(key, undefined))).equals(content)).toBe(true);
  for await (const left of driver.listUploads()) throw new Error(`${left.upload.id} left something`);
});

it('frees the space of aborted uploads and deleted objects', async () => {
  if (typeof disk === 'string') {
    skipped(disk);
    return;
  }
  const driver = new FilesystemStorageDriver(disk.path);
  await driver.prepare();
  const content = Buffer.alloc(700 * KIB, 1);
  for (let round = 0; round < 3; round += 1) {
    const aborted = await uploaded(driver, content);
    await driver.abortUpload(aborted);
    const finished = await uploaded(driver, content);
    await driver.delete(await driver.finishUpload(finished, digestOf('sha256', content), content.length));
  }
});

async function uploaded(driver: FilesystemStorageDriver, content: Buffer): Promise<DriverUpload> {
  const id = randomUUID();
  const sink = await driver.openUpload({ id, state: await driver.createUpload(id) }, 0);
  await sink.write(content);
  const state = await sink.flush();
  await sink.close();
  return { id, state };
}

async function writeUntilEnd(sink: UploadSink, content: Buffer): Promise<void> {
  for (let start = 0; start < content.length; start += 50 * KIB) {
    await sink.write(content.subarray(start, start + 50 * KIB));
  }
}
