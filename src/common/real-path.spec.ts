import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { realPathOf } from './real-path.js';

let scratch: string;
beforeEach(async () => {
  scratch = await realpath(await mkdtemp(join(tmpdir(), 'berth-path-')));
  await mkdir(join(scratch, 'a/b'), { recursive: true });
  await symlink('a/b', join(scratch, 'link'));
});
afterEach(() => rm(scratch, { recursive: true, force: true }));

it('follows links, also those above what does not exist yet', async () => {
  expect(await realPathOf(join(scratch, 'link'))).toBe(join(scratch, 'a/b'));
  expect(await realPathOf(join(scratch, 'link/new/newer'))).toBe(join(scratch, 'a/b/new/newer'));
});

it('rejects with other errors', async () => {
  await writeFile(join(scratch, 'file'), '');
  await expect(realPathOf(join(scratch, 'file/new'))).rejects.toThrow('ENOTDIR');
});
