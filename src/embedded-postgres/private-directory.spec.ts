import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { chmod, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isOurDirectory, isSafeParent } from './private-directory.js';

describe('a directory to run programs from', () => {
  let dir = '';
  beforeAll(async () => void (dir = await mkdtemp(join(tmpdir(), 'berth-private-'))));
  afterAll(() => rm(dir, { recursive: true }));

  it.each([
    [0o755, true, true],
    [0o777, false, false],
    [0o775, false, false],
    [0o1777, false, true],
  ])('mode %o', async (mode, ours, parent) => {
    const path = join(dir, mode.toString(8));
    await mkdir(path);
    await chmod(path, mode);
    expect(await isOurDirectory(path)).toBe(ours);
    expect(await isSafeParent(path)).toBe(parent);
  });

  it('must be neither a link nor missing', async () => {
    await symlink(dir, join(dir, 'link'));
    expect(await isOurDirectory(join(dir, 'link'))).toBe(false);
    expect(await isOurDirectory(join(dir, 'missing'))).toBe(false);
  });
});
