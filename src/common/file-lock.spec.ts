import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tryFileLock } from './file-lock.js';

describe('tryFileLock', () => {
  let dir = '';
  beforeAll(async () => void (dir = await mkdtemp(join(tmpdir(), 'berth-lock-'))));
  afterAll(() => rm(dir, { recursive: true }));

  it('has one holder at a time', async () => {
    const path = join(dir, 'a.lock');
    const first = await tryFileLock(path);
    expect(await tryFileLock(path)).toBeUndefined();
    first?.release();
    first?.release();
    const second = await tryFileLock(path);
    expect(second).toBeDefined();
    second?.release();
  });

  it('replaces its note', async () => {
    const path = join(dir, 'b.lock');
    const lock = await tryFileLock(path);
    lock?.note('a long note');
    lock?.note('short');
    expect(readFileSync(path, 'utf8')).toBe('short');
    lock?.release();
  });

  it('rejects if the file can not be created', async () => {
    await expect(tryFileLock(join(dir, 'missing', 'c.lock'))).rejects.toThrow('ENOENT');
  });
});
