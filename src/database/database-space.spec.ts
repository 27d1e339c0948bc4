import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { mountSmallDisk, skipped, type SmallDisk } from '../../test/support/small-disk.js';
import { DatabaseFullError } from './errors/database-full.error.js';
import { DatabaseSpace } from './database-space.js';
import { reserveBytesOf } from '../common/free-space.js';

const MIB = 1024 * 1024;
let disk: SmallDisk | undefined;
beforeAll(() => void Logger.overrideLogger(false));
afterEach(async () => {
  await disk?.unmount();
  disk = undefined;
});

/** A disk of 64 MiB with this much free space. */
async function diskWithFree(freeBytes: number): Promise<string | undefined> {
  const mounted = await mountSmallDisk(64 * MIB);
  if (typeof mounted === 'string') {
    skipped(mounted);
    return undefined;
  }
  disk = mounted;
  await writeFile(join(mounted.path, 'filler'), Buffer.alloc(64 * MIB - freeBytes));
  return mounted.path;
}

describe('DatabaseSpace', () => {
  it.each([
    ['more than the reserve', 40 * MIB, true, true],
    ['less than the reserve', 30 * MIB, false, true],
    ['less than deletions may use', 20 * MIB, false, false],
    ['nothing', 0, false, false],
  ])('with %s free', async (_, freeBytes, push, deletion) => {
    const path = await diskWithFree(freeBytes);
    if (path === undefined) return;
    const space = new DatabaseSpace(path, 32 * MIB, 1);
    expect(await space.isFull()).toBe(!push);
    for (const [purpose, fits] of [
      ['push', push],
      ['delete', deletion],
    ] as const) {
      const refused = await space.expectRoom(purpose).catch((error: unknown) => error);
      expect([purpose, refused instanceof DatabaseFullError]).toEqual([purpose, !fits]);
    }
  });

  it('refuses pushes if inodes run out', async () => {
    const path = await diskWithFree(60 * MIB);
    if (path === undefined) return;
    await disk?.remount('nr_inodes=500');
    const space = new DatabaseSpace(path, 32 * MIB, 1);
    await expect(space.expectRoom('push')).rejects.toBeInstanceOf(DatabaseFullError);
    await space.expectRoom('delete');
  });

  it.each([
    [1, 8 * MIB],
    [16, MIB / 2],
    [64, MIB / 4],
  ])('with %i processes, measures again after %i bytes', async (processes, bytes) => {
    const path = await diskWithFree(40 * MIB);
    if (path === undefined) return;
    const space = new DatabaseSpace(path, 32 * MIB, processes);
    await space.expectRoom('push', 1);
    await writeFile(join(path, 'more'), Buffer.alloc(20 * MIB));
    await expect(space.expectRoom('push', bytes)).rejects.toBeInstanceOf(DatabaseFullError);
  });

  it.each([
    ['an external database', undefined, 32 * MIB],
    ['a reserve of 0', '', 0],
    ['a directory that does not exist', '/nowhere', 32 * MIB],
  ])('refuses nothing with %s', async (_, directory, reserveBytes) => {
    const full = directory === '' ? await diskWithFree(0) : directory;
    const space = new DatabaseSpace(full, reserveBytes, 1);
    await space.expectRoom('push');
    expect(await space.isFull()).toBe(false);
  });
});

describe('reserveBytesOf', () => {
  it.each([
    [1024 * MIB, undefined, 64 * MIB],
    [2000 * MIB, undefined, 100 * MIB],
    [100_000 * MIB, undefined, 256 * MIB],
    [100_000 * MIB, 5, 5],
    [100_000 * MIB, 0, 0],
  ])('a disk of %i bytes, set to %s: %i', (totalBytes, setting, reserve) => {
    expect(reserveBytesOf(setting, { totalBytes, freeBytes: 0, freeFiles: 0 })).toBe(reserve);
  });
});
