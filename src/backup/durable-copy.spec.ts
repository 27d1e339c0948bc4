import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { copyTree } from './durable-copy.js';

let scratch: string;
let from: string;
let to: string;
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'berth-copy-'));
  from = join(scratch, 'from');
  to = join(scratch, 'new/to');
  await mkdir(join(from, 'a/empty'), { recursive: true });
  await writeFile(join(from, 'a/large'), Buffer.alloc(700_001, 7), { mode: 0o644 });
  await writeFile(join(from, 'top'), 'text');
});
afterEach(() => rm(scratch, { recursive: true, force: true }));

describe('copyTree', () => {
  it('copies files and directories, and says how much', async () => {
    expect(await copyTree(from, to)).toEqual({ files: 2, bytes: 700_005 });
    expect(await readFile(join(to, 'a/large'))).toEqual(Buffer.alloc(700_001, 7));
    expect(await readdir(join(to, 'a'))).toEqual(['empty', 'large']);
  });

  it('lets only the owner read the copy', async () => {
    await copyTree(from, to);
    const modes = await Promise.all(['', 'a', 'a/large'].map((path) => stat(join(to, path))));
    expect(modes.map(({ mode }) => mode & 0o777)).toEqual([0o700, 0o700, 0o600]);
  });

  it('leaves out what the rules exclude, and sockets', async () => {
    const server = createServer().listen(join(from, 'socket'));
    try {
      const includes = (path: string) => path !== 'a/large';
      expect(await copyTree(from, to, { includes })).toEqual({ files: 1, bytes: 4 });
    } finally {
      server.close();
    }
    expect(await readdir(to)).toEqual(['a', 'top']);
  });

  it('makes hard links where the rules say so, and counts their bytes', async () => {
    expect(await copyTree(from, to, { links: (path) => path === 'top' })).toEqual({
      files: 2,
      bytes: 700_005,
    });
    const inode = async (path: string) => (await stat(path)).ino;
    expect(await inode(join(to, 'top'))).toBe(await inode(join(from, 'top')));
    expect(await inode(join(to, 'a/large'))).not.toBe(await inode(join(from, 'a/large')));
  });

  it('refuses links, and files that exist', async () => {
    await writeFile(join(from, 'other'), '');
    await copyTree(from, to);
    await expect(copyTree(from, to)).rejects.toThrow('EEXIST');
    await symlink('top', join(from, 'link'));
    await expect(copyTree(from, join(scratch, 'again'))).rejects.toThrow(/from\/link is a link, which/);
  });

  it('takes a directory that is gone for an empty one', async () => {
    expect(await copyTree(join(from, 'gone'), to)).toEqual({ files: 0, bytes: 0 });
  });
});
