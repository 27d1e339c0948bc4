import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Worker } from 'node:worker_threads';
import { nodeGlobal } from '../../../../test/support/node-global.js';
import { SlicedFile } from './sliced-file.js';
import { WriteThreads } from './write-threads.js';

const MIB = 1024 * 1024;

/** Random bytes in memory that threads share, as in the buffers of uploads. */
function sharedBytes(length: number): Buffer {
  const bytes = Buffer.from(new SharedArrayBuffer(length));
  randomBytes(length).copy(bytes);
  return bytes;
}

describe('SlicedFile', () => {
  const threads = new WriteThreads();
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-sliced-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  const openFile = async (name: string, flags: string | number = 'w') =>
    new SlicedFile(await open(join(directory, name), flags), threads);
  const contentOf = (name: string) => readFile(join(directory, name));

  it.each([
    ['less than is sliced', 100_000],
    ['whole slices', 2 * MIB],
    ['slices and a rest', 3 * 65_536 + 17],
  ])('writes %s at a position', async (_, length) => {
    const bytes = sharedBytes(length + 30);
    const file = await openFile('one');
    await file.write(sharedBytes(length), 0, length, 0);
    expect((await file.write(bytes, 10, length, 5)).bytesWritten).toBe(length);
    await file.datasync();
    await file.close();
    expect((await contentOf('one')).subarray(5).equals(bytes.subarray(10, 10 + length))).toBe(true);
  });

  it('writes bytes that threads do not share', async () => {
    const bytes = randomBytes(MIB);
    const file = await openFile('plain');
    await file.write(bytes, 0, bytes.length, 0);
    await file.close();
    expect((await contentOf('plain')).equals(bytes)).toBe(true);
  });

  it('writes many files at once, each its own bytes', async () => {
    const files = await Promise.all(
      Array.from({ length: 12 }, async (_, index) => {
        const bytes = sharedBytes(MIB);
        const file = await openFile(`file-${index}`);
        await Promise.all([0, 1, 2, 3].map((n) => file.write(bytes, (n * MIB) / 4, MIB / 4, (n * MIB) / 4)));
        await file.close();
        return (await contentOf(`file-${index}`)).equals(bytes);
      }),
    );
    expect(files).toEqual(files.map(() => true));
  });

  it('closes only after the writes in progress', async () => {
    const bytes = sharedBytes(8 * MIB);
    const file = await openFile('closing');
    const written = file.write(bytes, 0, bytes.length, 0);
    await file.close();
    await written;
    expect((await contentOf('closing')).equals(bytes)).toBe(true);
  });

  it.each([
    ['a full disk', '/dev/full', constants.O_WRONLY, 'ENOSPC'],
    ['a file that is open for reading', '/dev/null', constants.O_RDONLY, 'EBADF'],
  ])('rejects with the error of the system for %s', async (_, path, flags, code) => {
    const file = new SlicedFile(await open(path, flags), threads);
    await expect(file.write(sharedBytes(MIB), 0, MIB, 0)).rejects.toMatchObject({ code, syscall: 'write' });
    await file.close();
  });
});

describe('WriteThreads', () => {
  it('rejects the writes of a thread that ends, and starts another one', async () => {
    const threads = new WriteThreads();
    const file = await open('/dev/null', 'w');
    nodeGlobal.process.once('worker', (worker: Worker) => void worker.terminate());
    await expect(threads.write(file.fd, sharedBytes(MIB), 0)).rejects.toThrow(
      'a thread that writes files ended',
    );
    await threads.write(file.fd, sharedBytes(MIB), 0);
    await file.close();
  });
});
