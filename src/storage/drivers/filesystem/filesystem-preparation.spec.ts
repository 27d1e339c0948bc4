import { randomUUID } from 'node:crypto';
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mountSmallDisk, type SmallDisk } from '../../../../test/support/small-disk.js';
import { StorageError, StorageFullError } from '../../storage.errors.js';
import { FilesystemStorageDriver } from './filesystem-storage.driver.js';

describe('preparing the storage directory', () => {
  let base: string;
  beforeEach(async () => {
    base = await realpath(await mkdtemp(join(tmpdir(), 'berth-prepare-')));
  });
  afterEach(() => rm(base, { recursive: true, force: true }));

  const failure = async (root: string): Promise<StorageError> => {
    const error: unknown = await new FilesystemStorageDriver(root).prepare().catch((each: unknown) => each);
    expect(error).toBeInstanceOf(StorageError);
    return error as StorageError;
  };

  it('creates what is missing, is repeatable, and leaves no probe', async () => {
    const driver = new FilesystemStorageDriver(join(base, 'a/b'));
    await driver.prepare();
    await driver.prepare();
    await driver.check();
    expect((await readdir(join(base, 'a/b'))).sort()).toEqual(['blobs', 'uploads']);
    expect(await readdir(join(base, 'a/b/uploads'))).toEqual([]);
  });

  it('removes probes that a killed process left, and no others', async () => {
    const driver = new FilesystemStorageDriver(base);
    await driver.prepare();
    for (const name of ['.probe-old', '.probe-new', '.nfs1'])
      await writeFile(join(base, 'uploads', name), 'x');
    await utimes(join(base, 'uploads/.probe-old'), 0, 0);
    await driver.prepare();
    expect((await readdir(join(base, 'uploads'))).sort()).toEqual(['.nfs1', '.probe-new']);
  });

  it('creates nothing when it only reads', async () => {
    for (const root of [base, join(base, 'missing'), join(base, 'a/b')]) {
      const driver = new FilesystemStorageDriver(root);
      expect(await driver.readIdentity()).toBeUndefined();
      expect(await driver.isEmpty()).toBe(true);
    }
    expect(await readdir(base)).toEqual([]);
  });

  it('durably writes an identity before anything else, and leaves no other file', async () => {
    const synced: string[] = [];
    const root = join(base, 'a');
    const driver = new FilesystemStorageDriver(root, (path) => Promise.resolve(void synced.push(path)));
    const id = randomUUID();
    await driver.writeIdentity(id);
    expect(await readdir(root)).toEqual(['berth-identity']);
    expect(await readFile(join(root, 'berth-identity'), 'utf8')).toBe(`${id}\n`);
    expect(synced).toEqual([base, root]);
    await rm(root, { recursive: true });
    await writeFile(root, '');
    await expect(driver.writeIdentity(id)).rejects.toThrow(/is not a directory/);
  });

  it('reports a root that is a file, or is below one', async () => {
    const file = join(base, 'file');
    await writeFile(file, '');
    expect((await failure(file)).message).toBe(
      `the storage directory ${file} is not a directory, or a parent in its path is not one`,
    );
    expect((await failure(join(file, 'below'))).message).toContain('is not a directory');
  });

  it('names the user that must own the directory', async () => {
    const root = join(base, 'theirs');
    await mkdir(root);
    await chmod(base, 0o755);
    await chmod(root, 0o555);
    await asOtherUser(async () => {
      const { message, cause } = await failure(root);
      expect(message).toMatch(/^the storage directory .*theirs cannot be written by user \d+: make/);
      expect(cause).toMatchObject({ code: 'EACCES' });
    });
  });

  it('reports changes at the readiness check', async () => {
    const driver = new FilesystemStorageDriver(base);
    await driver.prepare();
    await chmod(base, 0o755);
    await chmod(join(base, 'uploads'), 0o555);
    await asOtherUser(() => expect(driver.check()).rejects.toThrow(/cannot be written by user/));
  });

  it('refuses directories that are links', async () => {
    await mkdir(join(base, 'elsewhere'));
    await mkdir(join(base, 'root'));
    await symlink(join(base, 'elsewhere'), join(base, 'root/blobs'));
    expect((await failure(join(base, 'root'))).message).toContain('must be directories on one file system');
  });

  it('starts on a full file system, and refuses a read-only one and two file systems', async () => {
    await onSmallDisk(async (disk) => {
      await writeFile(join(disk.path, 'filler'), Buffer.alloc(1024 * 1024)).catch(() => undefined);
      const driver = new FilesystemStorageDriver(disk.path);
      await driver.prepare();
      const full: unknown = await driver.check().catch((error: unknown) => error);
      expect(full).toBeInstanceOf(StorageFullError);
      expect((full as Error).message).toBe(
        `the storage directory ${disk.path} is on a full file system: free some space`,
      );
      await rm(join(disk.path, 'filler'));
      await driver.check();

      await disk.remount('ro');
      expect((await failure(disk.path)).message).toBe(
        `the storage directory ${disk.path} is on a read-only file system`,
      );
    });
    await onSmallDisk(async (disk) => {
      await mkdir(join(disk.path, 'root'));
      const other = await mountSmallDisk(1024 * 1024, join(disk.path, 'root/blobs'));
      if (typeof other === 'string') throw new Error(other);
      try {
        expect((await failure(join(disk.path, 'root'))).message).toContain('one file system');
      } finally {
        await other.unmount();
      }
    });
  });
});

async function onSmallDisk(work: (disk: SmallDisk) => Promise<void>): Promise<void> {
  const disk = await mountSmallDisk(1024 * 1024);
  if (typeof disk === 'string') {
    process.stderr.write(`skipped: ${disk}\n`);
    return;
  }
  try {
    await work(disk);
  } finally {
    await disk.unmount();
  }
}

/** Runs `work` without root's right to write everywhere. */
async function asOtherUser(work: () => Promise<void>): Promise<void> {
  if (process.getuid?.() !== 0) {
    return work();
  }
  process.seteuid?.(65534);
  try {
    await work();
  } finally {
    process.seteuid?.(0);
  }
}
