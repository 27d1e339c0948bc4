import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { makeDirectory } from './make-directory.js';

describe('makeDirectory', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'berth-mkdir-'));
  });
  afterEach(() => rm(root, { recursive: true }));

  it('creates what is missing and returns the first', async () => {
    expect(await makeDirectory(join(root, 'a/b/c'))).toBe(join(root, 'a'));
    expect(await makeDirectory(join(root, 'a/b/d'), 0o700)).toBe(join(root, 'a/b/d'));
    expect((await stat(join(root, 'a/b/d'))).mode & 0o777).toBe(0o700);
    expect(await makeDirectory(join(root, 'a/b/d'))).toBeUndefined();
  });

  it('can create the same directory several times at once', async () => {
    const made = await Promise.all(Array.from({ length: 10 }, () => makeDirectory(join(root, 'x/y/z'))));
    expect(made).toContain(join(root, 'x'));
  });

  it('refuses a path below a file', async () => {
    await writeFile(join(root, 'file'), '');
    await expect(makeDirectory(join(root, 'file/a/b'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  });

  const onLinux = process.platform === 'linux' ? it : it.skip;
  onLinux('ends below /proc, where nothing can be created', async () => {
    await expect(makeDirectory('/proc/berth/data')).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
