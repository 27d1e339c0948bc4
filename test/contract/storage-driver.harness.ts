import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect } from '@jest/globals';
import { type Digest, digestOf } from '../../src/oci/digest.js';
import { canReadUploads, type UploadReadingStorageDriver } from '../../src/storage/driver-abilities.js';
import type { ObjectKey } from '../../src/storage/object-key.js';
import type {
  DriverUpload,
  DriverUploadState,
  IoOptions,
  StorageDriver,
  StoredUpload,
} from '../../src/storage/storage-driver.js';

/** A driver on a medium of its own, which is empty at the beginning of each test. */
export interface StorageDriverHarness {
  /** Prepared. */
  readonly driver: StorageDriver;
  /** Another driver on the same medium, as another replica or the same one after a restart has it. */
  reopen(): Promise<StorageDriver>;
  /** How many files, sockets or the like are held for the medium now; 0 where there is no such thing. */
  openHandles(): Promise<number>;
  dispose(): Promise<void>;
}

/** What the groups of the contract get. */
export interface Context {
  /** Whether unfinished uploads can be read back. */
  readonly readsUploads: boolean;
  driver(): StorageDriver;
  harness(): StorageDriverHarness;
}

export const MIB = 1024 * 1024;

export function digest(content: Buffer): Digest {
  return digestOf('sha256', content);
}

/** Compares without a diff: for megabytes Jest takes minutes to make one. */
export function expectBytes(actual: Buffer, expected: Buffer): void {
  expect(actual.length).toBe(expected.length);
  expect(actual.equals(expected)).toBe(true);
}

/** What the driver has made durable of an upload. Where it can't be read back, the object will tell. */
export async function expectFlushed(
  driver: StorageDriver,
  upload: DriverUpload,
  expected: Buffer,
): Promise<void> {
  if (!canReadUploads(driver)) return;
  expectBytes(await buffer(await driver.readUpload(upload, expected.length)), expected);
}

/** Reads of unfinished uploads, where it is known that there are any. */
export async function readUpload(driver: StorageDriver, ...call: ReadUpload): Promise<Readable> {
  if (!canReadUploads(driver)) throw new Error('the driver reads no uploads');
  return driver.readUpload(...call);
}

type ReadUpload = Parameters<UploadReadingStorageDriver['readUpload']>;

/** What is left of uploads that stale writers went on with: theirs alone, and removed like any other. */
export async function expectOnlyLeftoversOf(driver: StorageDriver, ids: readonly string[]): Promise<void> {
  const left = await listedUploads(driver);
  expect(ids).toEqual(expect.arrayContaining([...new Set(left.map(({ upload: { id } }) => id))]));
  for (const { upload } of left) await driver.abortUpload(upload);
  expect(await listedUploads(driver)).toEqual([]);
}

export function idsOf(uploads: readonly StoredUpload[]): string[] {
  return [...new Set(uploads.map(({ upload: { id } }) => id))].sort();
}

export async function begin(driver: StorageDriver): Promise<DriverUpload> {
  const id = randomUUID();
  return { id, state: await driver.createUpload(id) };
}

export async function append(
  driver: StorageDriver,
  upload: DriverUpload,
  offsetBytes: number,
  chunks: Buffer[],
): Promise<DriverUploadState> {
  const sink = await driver.openUpload(upload, offsetBytes);
  try {
    for (const chunk of chunks) await sink.write(chunk);
    return await sink.flush({ isLast: true });
  } finally {
    await sink.close();
  }
}

export async function uploaded(
  driver: StorageDriver,
  content: Buffer,
  chunkBytes = 5 * MIB,
): Promise<DriverUpload> {
  const upload = await begin(driver);
  const chunks: Buffer[] = [];
  for (let start = 0; start < content.length; start += chunkBytes) {
    chunks.push(content.subarray(start, start + chunkBytes));
  }
  return { ...upload, state: await append(driver, upload, 0, chunks) };
}

export async function stored(
  driver: StorageDriver,
  content: Buffer,
  chunkBytes?: number,
): Promise<ObjectKey> {
  const upload = await uploaded(driver, content, chunkBytes);
  return driver.finishUpload(upload, digest(content), content.length);
}

export async function readAll(driver: StorageDriver, key: ObjectKey): Promise<Buffer> {
  return buffer(await driver.read(key, undefined));
}

export async function listed(
  driver: StorageDriver,
  prefix: string,
  options?: IoOptions,
): Promise<ObjectKey[]> {
  const keys: ObjectKey[] = [];
  for await (const { key } of driver.list(prefix, options)) keys.push(key);
  return keys;
}

export function viaJson(state: DriverUploadState): DriverUploadState {
  return JSON.parse(JSON.stringify(state)) as DriverUploadState;
}

export async function closed(stream: Readable): Promise<void> {
  if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve));
}

export async function closeOpened(value: unknown): Promise<void> {
  if (value instanceof Readable) {
    value.destroy();
    await closed(value);
  } else if (typeof value === 'object' && value !== null && 'close' in value) {
    await (value as { close(): Promise<void> }).close();
  }
}

export async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('it did not come true within 5 s');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export async function listedUploads(driver: StorageDriver, options?: IoOptions): Promise<StoredUpload[]> {
  const uploads: StoredUpload[] = [];
  for await (const upload of driver.listUploads(options)) uploads.push(upload);
  return uploads;
}
