import { randomBytes, randomUUID } from 'node:crypto';
import {
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { countOpenFilesBelow } from '../../../../test/support/open-files.js';
import { mountSmallDisk, skipped } from '../../../../test/support/small-disk.js';
import { syncDirectory } from '../../../common/sync-directory.js';
import { digestOf } from '../../../oci/digest.js';
import { blobObjectKey, type ObjectKey } from '../../object-key.js';
import type { DriverUpload } from '../../storage-driver.js';
import { StorageError, StorageFullError, StorageIdentityError } from '../../storage.errors.js';
import { FilesystemStorageDriver } from './filesystem-storage.driver.js';

const CONTENT = randomBytes(5000);
const DIGEST = digestOf('sha256', CONTENT);

describe('storeUpload on the file system', () => {
  let root: string;
  let synced: string[] = [];
  let failing: string | undefined;
  let driver: FilesystemStorageDriver;

  beforeEach(async () => {
    root = await realpath(await mkdtemp(join(tmpdir(), 'berth-storing-')));
    failing = undefined;
    driver = new FilesystemStorageDriver(root, async (path) => {
      const below = path.slice(root.length + 1);
      if (below === failing) throw Object.assign(new Error('broken'), { code: 'EIO' });
      synced.push(below);
      await syncDirectory(path);
    });
    await driver.writeIdentity(randomUUID());
    await driver.prepare();
    synced = [];
  });
  afterEach(async () => {
    expect(await countOpenFilesBelow(root)).toBe(0);
    await rm(root, { recursive: true, force: true });
  });

  const begin = async (): Promise<DriverUpload> => {
    const id = randomUUID();
    return { id, state: await driver.createUpload(id) };
  };
  const store = (upload: DriverUpload): Promise<ObjectKey> => driver.storeUpload(upload, DIGEST, CONTENT);
  const targetOf = ({ id }: DriverUpload): string => join(root, blobObjectKey(DIGEST, id));
  const folder = dirname(blobObjectKey(DIGEST, 'x'));
  const inUploads = (): Promise<string[]> => readdir(join(root, 'uploads'));

  async function expectStored(upload: DriverUpload): Promise<void> {
    await store(upload);
    expect((await readFile(targetOf(upload))).equals(CONTENT)).toBe(true);
    expect((await lstat(targetOf(upload))).nlink).toBe(1);
  }

  it('flushes the directories of the object and, once per process and shard, those above', async () => {
    await store(await begin());
    expect(synced.sort()).toEqual(['', 'blobs', 'blobs/sha256', dirname(folder), folder]);
    synced = [];
    await store(await begin());
    expect(synced.sort()).toEqual([dirname(folder), folder]);
  });

  it('flushes them again when it is repeated', async () => {
    const upload = await begin();
    await store(upload);
    synced = [];
    await store(upload);
    expect(synced.sort()).toEqual([dirname(folder), folder]);
  });

  it.each(['', 'blobs', 'blobs/sha256', dirname(folder), folder])(
    "does not settle if a directory can't be flushed, and settles on a retry: %j",
    async (broken) => {
      const upload = await begin();
      failing = broken;
      await expect(store(upload)).rejects.toThrow('storing an upload: EIO');
      expect(await inUploads()).toEqual([]);
      failing = undefined;
      synced = [];
      await expectStored(upload);
      expect(synced).toContain(broken);
    },
  );

  describe('repeated after a crash', () => {
    it.each<[string, (upload: DriverUpload) => Promise<unknown>]>([
      ['while it wrote', ({ id }) => writeFile(leftover(id), CONTENT.subarray(0, 1000))],
      ['before the rename', ({ id }) => writeFile(leftover(id), CONTENT)],
      ['between two mkdirs', () => mkdir(join(root, 'blobs/sha256'))],
      ['between mkdir and rename', () => mkdir(join(root, folder), { recursive: true })],
      ['after the rename', (upload) => store(upload)],
      ['after a rename whose bytes never reached the disk', (upload) => written(upload, Buffer.alloc(5000))],
      ['with a short object', (upload) => written(upload, CONTENT.subarray(0, 10))],
    ])('%s', async (_, crash) => {
      const upload = await begin();
      await crash(upload);
      const before = await inUploads();
      await expectStored(upload);
      expect(await inUploads()).toEqual(before);
      // What the crash left is found by its upload's id, and removing it keeps the object.
      for await (const { upload: left } of driver.listUploads()) {
        expect(left.id).toBe(upload.id);
        await driver.abortUpload(left);
      }
      expect(await inUploads()).toEqual([]);
      expect((await readFile(targetOf(upload))).equals(CONTENT)).toBe(true);
    });

    const leftover = (id: string): string => join(root, 'uploads', `${id}~0123456789abcdef`);
    const written = async (upload: DriverUpload, content: Buffer): Promise<void> => {
      await mkdir(dirname(targetOf(upload)), { recursive: true });
      await writeFile(targetOf(upload), content);
    };
  });

  describe('refused, with nothing left behind', () => {
    let outside: string;
    beforeEach(async () => {
      outside = await mkdtemp(join(tmpdir(), 'berth-outside-'));
    });
    afterEach(() => rm(outside, { recursive: true }));

    it.each(['blobs', 'blobs/sha256', dirname(folder), folder])('a link at %s', async (link) => {
      await rm(join(root, 'blobs'), { recursive: true });
      await mkdir(dirname(join(root, link)), { recursive: true });
      await mkdir(join(outside, folder.slice(link.length)), { recursive: true });
      await symlink(outside, join(root, link));
      const upload = await begin();
      await expect(store(upload)).rejects.toThrow('through a symbolic link below the storage root');
      expect(await inUploads()).toEqual([]);
      expect(await readdir(join(outside, folder.slice(link.length)))).toEqual([]);
    });

    it('a directory in place of the object', async () => {
      const upload = await begin();
      await mkdir(targetOf(upload), { recursive: true });
      await expect(store(upload)).rejects.toBeInstanceOf(StorageError);
      expect(await inUploads()).toEqual([]);
    });

    it.each<[string, () => Promise<unknown>]>([
      ['no storage', () => Promise.resolve()],
      [
        'directories of a storage',
        () => Promise.all(['blobs', 'uploads'].map((each) => mkdir(join(root, each)))),
      ],
      [
        'the storage of another database',
        async () => {
          const other = new FilesystemStorageDriver(root);
          await other.writeIdentity(randomUUID());
          await other.prepare();
        },
      ],
    ])('an unmounted disk whose mount point has %s', async (_, fill) => {
      await rename(root, join(outside, 'disk'));
      await mkdir(root);
      await fill();
      const before = (await readdir(root, { recursive: true })).sort();
      await expect(store(await begin())).rejects.toBeInstanceOf(StorageIdentityError);
      expect((await readdir(root, { recursive: true })).sort()).toEqual(before);
    });

    it('a disk that is unmounted while it stores', async () => {
      await rm(join(root, 'blobs'), { recursive: true });
      await expect(store(await begin())).rejects.toThrow(/blobs: check that its disk is mounted/);
      expect((await readdir(root)).sort()).toEqual(['berth-identity', 'uploads']);
      expect(await inUploads()).toEqual([]);
    });
  });

  it('replaces a link in place of the object, and does not follow it', async () => {
    const upload = await begin();
    await mkdir(dirname(targetOf(upload)), { recursive: true });
    await writeFile(join(root, 'untouched'), 'untouched');
    await symlink(join(root, 'untouched'), targetOf(upload));
    await expectStored(upload);
    expect((await lstat(targetOf(upload))).isFile()).toBe(true);
    expect(await readFile(join(root, 'untouched'), 'utf8')).toBe('untouched');
  });

  it('leaves nothing on a full disk, and stores when space is free', async () => {
    const disk = await mountSmallDisk(1024 * 1024);
    if (typeof disk === 'string') {
      skipped(disk);
      return;
    }
    try {
      const full = new FilesystemStorageDriver(disk.path);
      await full.prepare();
      const filler = join(disk.path, 'filler');
      await writeFile(filler, Buffer.alloc(2 * 1024 * 1024)).catch(() => undefined);
      const upload = await begin();
      const content = randomBytes(64 * 1024);
      const digest = digestOf('sha256', content);
      await expect(full.storeUpload(upload, digest, content)).rejects.toBeInstanceOf(StorageFullError);
      expect(await readdir(join(disk.path, 'uploads'))).toEqual([]);
      expect(await readdir(join(disk.path, 'blobs'))).toEqual([]);
      await rm(filler);
      const key = await full.storeUpload(upload, digest, content);
      expect((await readFile(join(disk.path, key))).equals(content)).toBe(true);
      expect(await countOpenFilesBelow(disk.path)).toBe(0);
    } finally {
      await disk.unmount();
    }
  });
});
