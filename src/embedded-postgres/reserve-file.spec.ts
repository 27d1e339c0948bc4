import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { link, lstat, mkdir, mkdtemp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../../test/support/until.js';
import { RESERVE_FILE_BYTES, ReserveFile } from './reserve-file.js';

describe('ReserveFile', () => {
  let dir: string;
  let path: string;
  let logged: string[];
  let reserve: ReserveFile;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'berth-reserve-'));
    path = join(dir, 'postgres.reserve');
    logged = [];
    // The smallest reserve: the disk of a test may have little room.
    reserve = new ReserveFile(join(dir, 'postgres'), 1, (line) => logged.push(line));
  });
  afterEach(async () => {
    await reserve.stop();
    await rm(dir, { recursive: true });
  });

  const occupiedBytes = async () => (await lstat(path)).blocks * 512;
  const isWhole = async () => (await lstat(path)).size === RESERVE_FILE_BYTES;
  const target = () => join(dir, 'precious');

  it.each<[string, () => Promise<unknown>]>([
    ['is missing', () => Promise.resolve()],
    ['is a part of it', () => writeFile(path, Buffer.alloc(5_000_000, 1))],
  ])('is made where it %s, and deleted', async (_, arrange) => {
    await arrange();
    reserve.keep();
    await until(
      'the file',
      async () => (await lstat(path).catch(() => undefined))?.size === RESERVE_FILE_BYTES,
    );
    expect(await occupiedBytes()).toBeGreaterThanOrEqual(RESERVE_FILE_BYTES);
    expect(await reserve.delete()).toBe(true);
    expect(await reserve.delete()).toBe(false);
    expect(logged).toEqual([expect.stringContaining('was deleted so that PostgreSQL can start')]);
  });

  it.each([RESERVE_FILE_BYTES, RESERVE_FILE_BYTES / 2])(
    'fills the holes of a file of %i bytes',
    async (size) => {
      await writeFile(path, '');
      await truncate(path, size);
      expect(await occupiedBytes()).toBeLessThan(size);
      reserve.keep();
      await until('the blocks', async () => (await occupiedBytes()) >= RESERVE_FILE_BYTES);
      await until('the end of the file', isWhole);
    },
  );

  it.each<[string, () => Promise<unknown>]>([
    ['a symbolic link', () => symlink(target(), path)],
    ['another name of a file', () => link(target(), path)],
    ['a pipe', () => Promise.resolve(execFileSync('mkfifo', [path]))],
    ['a directory', () => mkdir(path)],
  ])('leaves %s in its place alone, and says so once', async (_, arrange) => {
    await writeFile(target(), 'precious');
    await arrange();
    const before = await lstat(path);
    reserve.keep();
    await until('a line', () => logged.length > 0);
    expect(await reserve.delete()).toBe(false);
    expect(await readFile(target(), 'utf8')).toBe('precious');
    expect(await lstat(path)).toMatchObject({ ino: before.ino, size: before.size, nlink: before.nlink });
    expect(logged).toEqual([
      expect.stringMatching(/postgres\.reserve can't reserve space .+ not a plain file/),
    ]);
  });

  it('is no obstacle where the free space is unknown', async () => {
    await new ReserveFile(join(dir, 'missing', 'postgres'), 1, () => undefined).deleteIfShort();
  });
});
