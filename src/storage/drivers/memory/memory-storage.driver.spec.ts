import { randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { digestOf } from '../../../oci/digest.js';
import type { DriverUpload } from '../../storage-driver.js';
import { StorageFullError, UploadStateError } from '../../storage.errors.js';
import { MemoryMedium } from './memory-medium.js';
import { MemoryStorageDriver } from './memory-storage.driver.js';

const CONTENT = Buffer.alloc(600, 1);
const DIGEST = digestOf('sha256', CONTENT);

describe('MemoryStorageDriver', () => {
  let driver: MemoryStorageDriver;
  beforeEach(() => {
    driver = new MemoryStorageDriver(new MemoryMedium(1000));
  });

  it('holds at most its capacity, and resumes when space is free', async () => {
    const first = await uploaded(CONTENT);
    const id = randomUUID();
    const started = { id, state: await driver.createUpload(id) };
    const sink = await driver.openUpload(started, 0);
    await sink.write(CONTENT.subarray(0, 300));
    await expect(sink.write(CONTENT.subarray(300))).rejects.toBeInstanceOf(StorageFullError);
    await expect(sink.flush()).rejects.toThrow('has failed');
    await sink.close();
    const key = await driver.finishUpload(first, DIGEST, 600);
    await driver.delete(key);
    await driver.delete(key);
    await uploaded(Buffer.alloc(1000));
  });

  it('is not ready when it is full', async () => {
    const upload = await uploaded(Buffer.alloc(1000));
    await expect(driver.check()).rejects.toBeInstanceOf(StorageFullError);
    await driver.abortUpload(upload);
    await driver.check();
  });

  it('frees the space of aborted, closed, truncated and deleted bytes exactly once', async () => {
    for (let round = 0; round < 5; round += 1) {
      const upload = await uploaded(CONTENT);
      await driver.abortUpload(upload);
      await driver.abortUpload(upload);
      const id = randomUUID();
      const started = { id, state: await driver.createUpload(id) };
      const sink = await driver.openUpload(started, 0);
      await sink.write(CONTENT);
      await sink.close();
      await sink.close();
      await uploadedTo(started, CONTENT);
      await driver.delete(await driver.finishUpload(await uploadedTo(started, CONTENT), DIGEST, 600));
    }
    await uploaded(Buffer.alloc(1000));
    await expect(driver.check()).rejects.toBeInstanceOf(StorageFullError);
  });

  it('keeps an object when a reader overwrites its bytes', async () => {
    const key = await driver.finishUpload(await uploaded(CONTENT), DIGEST, 600);
    for await (const chunk of await driver.read(key, undefined)) (chunk as Buffer).fill(9);
    expect((await buffer(await driver.read(key, undefined))).equals(CONTENT)).toBe(true);
  });

  it('refuses the flush of a sink after its upload was finished', async () => {
    const upload = await uploaded(CONTENT);
    const late = await driver.openUpload(upload, 600);
    const key = await driver.finishUpload(upload, DIGEST, 600);
    await late.write(Buffer.of(1));
    await expect(late.flush()).rejects.toBeInstanceOf(UploadStateError);
    await late.close();
    expect((await driver.stat(key)).sizeBytes).toBe(600);
  });

  it('refuses the flush of a sink after its empty upload was aborted', async () => {
    const id = randomUUID();
    const started = { id, state: await driver.createUpload(id) };
    const late = await driver.openUpload(started, 0);
    await late.write(CONTENT);
    await driver.abortUpload(started);
    await expect(late.flush()).rejects.toBeInstanceOf(UploadStateError);
    await late.close();
    await uploaded(Buffer.alloc(1000));
  });

  it('counts the bytes of fenced writers once, until the upload is over', async () => {
    for (let round = 0; round < 5; round += 1) {
      const upload = await uploaded(CONTENT.subarray(0, 300));
      const stale = await driver.openUpload(upload, 300);
      await stale.write(Buffer.alloc(100));
      let mine = { ...upload, state: await driver.fenceUpload(upload) };
      await stale.flush();
      const sink = await driver.openUpload(mine, 300);
      await sink.write(CONTENT.subarray(300));
      mine = { ...mine, state: await sink.flush() };
      await sink.close();
      await expect(uploaded(Buffer.alloc(301))).rejects.toBeInstanceOf(StorageFullError);
      if (round % 2 === 0) {
        await driver.abortUpload(mine);
        await driver.abortUpload(mine);
      } else {
        await driver.delete(await driver.finishUpload(mine, DIGEST, 600));
      }
      await stale.write(Buffer.of(1));
      await expect(stale.flush()).rejects.toBeInstanceOf(UploadStateError);
      await stale.close();
    }
    await uploaded(Buffer.alloc(1000));
    await expect(driver.check()).rejects.toBeInstanceOf(StorageFullError);
  });

  it('finishes a fenced upload in a full medium', async () => {
    const upload = await uploaded(CONTENT);
    const mine = { ...upload, state: await driver.fenceUpload(upload) };
    await uploaded(Buffer.alloc(400));
    await expect(driver.check()).rejects.toBeInstanceOf(StorageFullError);
    const key = await driver.finishUpload(mine, DIGEST, 600);
    expect((await buffer(await driver.read(key, undefined))).equals(CONTENT)).toBe(true);
    await driver.delete(key);
    await uploaded(CONTENT);
  });

  async function uploaded(content: Buffer): Promise<DriverUpload> {
    const id = randomUUID();
    return uploadedTo({ id, state: await driver.createUpload(id) }, content);
  }

  async function uploadedTo(upload: DriverUpload, content: Buffer): Promise<DriverUpload> {
    const sink = await driver.openUpload(upload, 0);
    await sink.write(content);
    const state = await sink.flush();
    await sink.close();
    return { id: upload.id, state };
  }
});
