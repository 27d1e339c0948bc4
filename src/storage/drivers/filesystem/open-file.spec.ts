import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, realpath, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { countOpenFilesBelow } from '../../../../test/support/open-files.js';
import { StorageError } from '../../storage.errors.js';
import { OpenFile } from './open-file.js';

const CONTENT = randomBytes(200_000);

describe('OpenFile', () => {
  let root: string;
  let path: string;
  beforeEach(async () => {
    root = await realpath(await mkdtemp(join(tmpdir(), 'berth-open-file-')));
    path = join(root, 'file');
    await writeFile(path, CONTENT);
  });
  afterEach(async () => {
    expect(await countOpenFilesBelow(root)).toBe(0);
    await rm(root, { recursive: true });
  });

  async function opened(): Promise<OpenFile> {
    const file = await OpenFile.open(path);
    if (file === undefined) throw new Error('it is no file');
    return file;
  }

  it('continues after a short read', async () => {
    const file = await opened();
    const handle = (file as unknown as { file: { read(...call: unknown[]): Promise<unknown> } }).file;
    const read = handle.read.bind(handle);
    handle.read = (into, offset, length, position) =>
      read(into, offset, Math.min(Number(length), 999), position);
    const into = Buffer.alloc(10_000);
    await file.read(into, 50);
    expect(into.equals(CONTENT.subarray(50, 10_050))).toBe(true);
    await file.close();
  });

  it('fails when the file became shorter, and reads the rest of it', async () => {
    const file = await opened();
    await truncate(path, 1000);
    await expect(file.read(Buffer.alloc(1001), 0)).rejects.toBeInstanceOf(StorageError);
    await expect(file.read(Buffer.alloc(1), 150_000)).rejects.toBeInstanceOf(StorageError);
    const into = Buffer.alloc(1000);
    await file.read(into, 0);
    expect(into.equals(CONTENT.subarray(0, 1000))).toBe(true);
    await file.close();
  });

  it('reads the file that it opened after the path was replaced', async () => {
    const file = await opened();
    await rm(path);
    await writeFile(path, 'other');
    const into = Buffer.alloc(CONTENT.length);
    await file.read(into, 0);
    expect(into.equals(CONTENT)).toBe(true);
    await file.close();
  });

  it('opens neither directories nor pipes', async () => {
    await mkdir(join(root, 'folder'));
    await promisify(execFile)('mkfifo', [join(root, 'pipe')]);
    expect(await OpenFile.open(join(root, 'folder'))).toBeUndefined();
    expect(await OpenFile.open(join(root, 'pipe'))).toBeUndefined();
  });

  it("follows no link, and rejects with the system's error for a missing file", async () => {
    await symlink(path, join(root, 'link'));
    await expect(OpenFile.open(join(root, 'link'))).rejects.toMatchObject({ code: 'ELOOP' });
    await expect(OpenFile.open(join(root, 'nothing'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
