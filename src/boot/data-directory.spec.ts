import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { claimDataDirectory } from './data-directory.js';

describe('claimDataDirectory', () => {
  let parent = '';
  beforeAll(async () => void (parent = await mkdtemp(join(tmpdir(), 'berth-data-'))));
  afterAll(() => rm(parent, { recursive: true }));

  it('creates a directory that only this user can enter', async () => {
    const dir = join(parent, 'a/b');
    const claim = await claimDataDirectory(dir);
    expect((await stat(dir)).mode & 0o777).toBe(0o700);
    claim.release();
  });

  it('keeps the mode of an existing directory', async () => {
    const dir = join(parent, 'c');
    await mkdir(dir);
    await chmod(dir, 0o755);
    (await claimDataDirectory(dir)).release();
    expect((await stat(dir)).mode & 0o777).toBe(0o755);
  });

  it('refuses a second claim, naming directory and process id, until the first is released', async () => {
    const dir = join(parent, 'd');
    const claim = await claimDataDirectory(dir);
    await expect(claimDataDirectory(dir)).rejects.toThrow(
      `DATA_DIR (${dir}) is in use by another Berth (pid ${process.pid}): ` +
        'stop it, or set another DATA_DIR for this one.',
    );
    claim.release();
    (await claimDataDirectory(dir)).release();
  });

  it('refuses a path below a file', async () => {
    await writeFile(join(parent, 'file'), '');
    await expect(claimDataDirectory(join(parent, 'file/e'))).rejects.toThrow(/^DATA_DIR .* is not writable/);
  });
});
