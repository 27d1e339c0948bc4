import { execFile } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import {
  link,
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
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { countOpenFilesBelow } from '../../../../test/support/open-files.js';
import { until } from '../../../../test/support/until.js';
import { syncDirectory } from '../../../common/sync-directory.js';
import { type Digest, digestHex, digestOf } from '../../../oci/digest.js';
import { CheckedStorageDriver } from '../../checked-storage.driver.js';
import type { OpeningStorageDriver } from '../../driver-abilities.js';
import { type ObjectKey, parseObjectKey } from '../../object-key.js';
import type { DriverUpload } from '../../storage-driver.js';
import {
  DamagedIdentityError,
  ObjectNotFoundError,
  StorageError,
  StorageUnavailableError,
  UploadStateError,
} from '../../storage.errors.js';
import { FilesystemStorageDriver } from './filesystem-storage.driver.js';
import { OpenFile } from './open-file.js';

const CONTENT = randomBytes(5000);
const DIGEST = digestOf('sha256', CONTENT);

describe('FilesystemStorageDriver', () => {
  let root: string;
  let synced: string[];
  let driver: FilesystemStorageDriver;

  beforeEach(async () => {
    root = await realpath(await mkdtemp(join(tmpdir(), 'berth-filesystem-')));
    synced = [];
    driver = await restarted();
  });
  afterEach(async () => {
    expect(await countOpenFilesBelow(root)).toBe(0);
    await rm(root, { recursive: true, force: true });
  });

  /** A driver as after a restart. `synced` lists the directories that it flushed since, as relative paths. */
  async function restarted(): Promise<FilesystemStorageDriver> {
    const made = new FilesystemStorageDriver(root, async (path) => {
      synced.push(path.slice(root.length + 1));
      await syncDirectory(path);
    });
    await made.prepare();
    synced.length = 0;
    return made;
  }

  async function uploaded(content: Buffer = CONTENT, id: string = randomUUID()): Promise<DriverUpload> {
    const upload = { id, state: await driver.createUpload(id) };
    const sink = await driver.openUpload(upload, 0);
    await sink.write(content);
    const state = await sink.flush();
    await sink.close();
    return { id, state };
  }

  async function keys(prefix: string): Promise<ObjectKey[]> {
    const found: ObjectKey[] = [];
    for await (const { key } of driver.list(prefix)) found.push(key);
    return found;
  }

  const uploadPath = ({ id }: DriverUpload): string => join(root, 'uploads', id);
  const folderOf = (digest: Digest): string =>
    `blobs/sha256/${digestHex(digest).slice(0, 2)}/${digestHex(digest)}`;
  const blobPath = ({ id }: DriverUpload): string => join(root, folderOf(DIGEST), id);

  describe('layout', () => {
    it('keeps unfinished uploads and blobs at documented paths', async () => {
      const upload = await uploaded();
      expect((await readFile(uploadPath(upload))).equals(CONTENT)).toBe(true);
      const key = await driver.finishUpload(upload, DIGEST, 5000);
      expect(key).toBe(`${folderOf(DIGEST)}/${upload.id}`);
      expect((await readFile(join(root, key))).equals(CONTENT)).toBe(true);
      expect(await readdir(join(root, 'uploads'))).toEqual([]);
      expect(driver.location).toBe(root);
    });

    it('creates no file for an upload without bytes', async () => {
      await driver.createUpload(randomUUID());
      expect(await readdir(join(root, 'uploads'))).toEqual([]);
    });

    it("removes a digest's directory with its last object, and no parent", async () => {
      const first = await driver.finishUpload(await uploaded(), DIGEST, 5000);
      const second = await driver.finishUpload(await uploaded(), DIGEST, 5000);
      await driver.delete(first);
      expect(await readdir(join(root, folderOf(DIGEST)))).toHaveLength(1);
      await driver.delete(second);
      expect(await readdir(join(root, dirname(folderOf(DIGEST))))).toEqual([]);
    });

    it('serves, lists and deletes objects at any path that is not reserved', async () => {
      await mkdir(join(root, 'old/docker/registry'), { recursive: true });
      await writeFile(join(root, 'old/docker/registry/data'), CONTENT);
      await writeFile(join(root, 'top'), 'x');
      await writeFile(join(root, 'no key'), 'x');
      await uploaded();
      const key = parseObjectKey('old/docker/registry/data');
      expect((await buffer(await driver.read(key, undefined))).equals(CONTENT)).toBe(true);
      expect((await keys('')).sort()).toEqual([key, 'top']);
      expect(await keys('old/dock')).toEqual([key]);
      await driver.delete(key);
      expect(await keys('')).toEqual(['top']);
    });

    it('finds and deletes no objects in uploads/', async () => {
      const upload = await uploaded();
      const key = parseObjectKey(`uploads/${upload.id}`);
      await expect(driver.stat(key)).rejects.toBeInstanceOf(ObjectNotFoundError);
      await driver.delete(key);
      expect(await keys('uploads/')).toEqual([]);
      expect((await lstat(uploadPath(upload))).size).toBe(5000);
    });
  });

  describe('durability', () => {
    it('flushes the entry of a new file once, at the first flush', async () => {
      const id = randomUUID();
      const sink = await driver.openUpload({ id, state: await driver.createUpload(id) }, 0);
      await sink.write(CONTENT);
      expect(synced).toEqual([]);
      await sink.flush();
      expect(synced).toEqual(['uploads']);
      await sink.write(CONTENT);
      const state = await sink.flush();
      await sink.close();
      const again = await driver.openUpload({ id, state }, 10_000);
      await again.flush();
      await again.close();
      expect(synced).toEqual(['uploads']);
    });

    it('flushes the entry of a file that an earlier sink left unflushed', async () => {
      const upload = { id: randomUUID(), state: await driver.createUpload('x') };
      await (await driver.openUpload(upload, 0)).close();
      const sink = await driver.openUpload(upload, 0);
      await sink.flush();
      await sink.close();
      expect(synced).toEqual(['uploads']);
    });

    it("flushes the object's directory and all its parents before it settles", async () => {
      const upload = await uploaded();
      synced.length = 0;
      await driver.finishUpload(upload, DIGEST, 5000);
      const folder = folderOf(DIGEST);
      expect(synced.sort()).toEqual(['', 'blobs', 'blobs/sha256', dirname(folder), folder]);
    });

    it('flushes each shard once per process', async () => {
      await driver.finishUpload(await uploaded(), DIGEST, 5000);
      synced.length = 0;
      await driver.finishUpload(await uploaded(), DIGEST, 5000);
      expect(synced.sort()).toEqual([dirname(folderOf(DIGEST)), folderOf(DIGEST), 'uploads']);
    });

    it('flushes shards again after they were removed', async () => {
      await driver.finishUpload(await uploaded(), DIGEST, 5000);
      await rm(join(root, 'blobs/sha256'), { recursive: true });
      const upload = await uploaded();
      synced.length = 0;
      await driver.finishUpload(upload, DIGEST, 5000);
      expect(synced.sort()).toEqual(['blobs', 'blobs/sha256', dirname(folderOf(DIGEST)), folderOf(DIGEST)]);
    });

    it("does not finish if a directory can't be flushed, and finishes on a retry", async () => {
      const upload = await uploaded();
      const failing = new FilesystemStorageDriver(root, () => Promise.reject(new Error('EIO')));
      await expect(failing.finishUpload(upload, DIGEST, 5000)).rejects.toBeInstanceOf(StorageError);
      synced.length = 0;
      await driver.finishUpload(upload, DIGEST, 5000);
      expect(synced).toContain(folderOf(DIGEST));
    });

    it('durably creates the root and its parents', async () => {
      const all: string[] = [];
      const deep = new FilesystemStorageDriver(join(root, 'a/b/c'), (path) => {
        all.push(path);
        return syncDirectory(path);
      });
      await deep.prepare();
      expect(all).toEqual(['a/b', 'a', '', 'a/b/c', 'a/b/c/uploads'].map((path) => join(root, path)));
      expect(await readdir(join(root, 'a/b/c/uploads'))).toEqual([]);
    });
  });

  it('cuts off unacknowledged bytes when an upload is opened', async () => {
    const upload = await uploaded();
    await writeFile(uploadPath(upload), randomBytes(70_000), { flag: 'a' });
    await (await driver.openUpload(upload, 5000)).close();
    expect((await readFile(uploadPath(upload))).equals(CONTENT)).toBe(true);
  });

  it('closes a file that opens after the abort', async () => {
    const key = await driver.finishUpload(await uploaded(), DIGEST, 5000);
    const abort = new AbortController();
    const reason = new Error('the client left');
    const open = OpenFile.open.bind(OpenFile);
    // Referenced here, because the garbage collector would close it otherwise.
    const late: unknown[] = [];
    const opening = jest.spyOn(OpenFile, 'open').mockImplementation(async (path) => {
      abort.abort(reason);
      const file = await open(path);
      late.push(file);
      return file;
    });
    const checked = new CheckedStorageDriver(driver) as unknown as OpeningStorageDriver;
    await expect(checked.openObject(key, { signal: abort.signal })).rejects.toBe(reason);
    await until('the file', () => late.length === 1);
    await until('the file to be closed', async () => (await countOpenFilesBelow(root)) === 0);
    opening.mockRestore();
  });

  describe('finishing after a crash', () => {
    const expectFinished = async (upload: DriverUpload): Promise<void> => {
      for (const each of [driver, await restarted()]) {
        const key = await each.finishUpload(upload, DIGEST, 5000);
        expect((await buffer(await each.read(key, undefined))).equals(CONTENT)).toBe(true);
      }
      expect(await readdir(join(root, 'uploads'))).toEqual([]);
    };

    it('between two mkdirs', async () => {
      const upload = await uploaded();
      await mkdir(join(root, 'blobs/sha256'));
      await expectFinished(upload);
    });

    it('between mkdir and rename', async () => {
      const upload = await uploaded();
      await mkdir(join(root, folderOf(DIGEST)), { recursive: true });
      await expectFinished(upload);
    });

    it('between the rename and the flush of the directories, which it flushes', async () => {
      const upload = await uploaded();
      await mkdir(join(root, folderOf(DIGEST)), { recursive: true });
      await rename(uploadPath(upload), blobPath(upload));
      synced.length = 0;
      await driver.finishUpload(upload, DIGEST, 5000);
      expect(synced.sort()).toEqual([
        '',
        'blobs',
        'blobs/sha256',
        dirname(folderOf(DIGEST)),
        folderOf(DIGEST),
      ]);
      await expectFinished(upload);
    });

    it('after half a rename on a file system without a journal', async () => {
      const upload = await uploaded();
      await mkdir(join(root, folderOf(DIGEST)), { recursive: true });
      await link(uploadPath(upload), blobPath(upload));
      await expectFinished(upload);
    });

    it('with unacknowledged bytes in the file', async () => {
      const upload = await uploaded();
      await writeFile(uploadPath(upload), randomBytes(70_000), { flag: 'a' });
      await expectFinished(upload);
    });

    it('keeps the object when a fenced writer created the file again', async () => {
      const upload = await uploaded();
      await driver.finishUpload(upload, DIGEST, 5000);
      await writeFile(uploadPath(upload), randomBytes(5000));
      await expectFinished(upload);
    });

    it('reports acknowledged bytes that are missing', async () => {
      const upload = await uploaded();
      await writeFile(uploadPath(upload), CONTENT.subarray(0, 4999));
      await expect(driver.finishUpload(upload, DIGEST, 5000)).rejects.toBeInstanceOf(UploadStateError);
      await expect(driver.openUpload(upload, 5000)).rejects.toBeInstanceOf(UploadStateError);
      await expect(driver.readUpload(upload, 5000)).rejects.toBeInstanceOf(UploadStateError);
      expect((await lstat(uploadPath(upload))).size).toBe(4999);
    });

    it('reports a missing file', async () => {
      const upload = await uploaded();
      await rm(uploadPath(upload));
      await expect(driver.finishUpload(upload, DIGEST, 5000)).rejects.toBeInstanceOf(UploadStateError);
      await expect(driver.openUpload(upload, 5000)).rejects.toBeInstanceOf(UploadStateError);
      await expect(driver.readUpload(upload, 5000)).rejects.toBeInstanceOf(UploadStateError);
      expect(await readdir(join(root, 'uploads'))).toEqual([]);
    });

    it('reports an object of another size', async () => {
      const upload = await uploaded();
      await driver.finishUpload(upload, DIGEST, 5000);
      await writeFile(blobPath(upload), 'short');
      await expect(driver.finishUpload(upload, DIGEST, 5000)).rejects.toBeInstanceOf(UploadStateError);
    });
  });

  describe('foreign files below the root', () => {
    it('never follows a link anywhere in the path', async () => {
      const outside = await mkdtemp(join(tmpdir(), 'berth-outside-'));
      await writeFile(join(outside, 'secret'), 'secret');
      await symlink(outside, join(root, 'linked'));
      await symlink(join(outside, 'secret'), join(root, 'file'));
      for (const text of ['linked/secret', 'file']) {
        const key = parseObjectKey(text);
        await expect(driver.stat(key)).rejects.toBeInstanceOf(StorageError);
        await expect(driver.read(key, undefined)).rejects.toBeInstanceOf(StorageError);
        await expect(driver.openObject(key)).rejects.toBeInstanceOf(StorageError);
        await driver.delete(key).catch(() => undefined);
      }
      expect(await keys('')).toEqual([]);
      expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('secret');
      await rm(outside, { recursive: true });
    });

    it('treats neither directories nor pipes as objects, and never waits for a pipe', async () => {
      await mkdir(join(root, 'blobs/folder'));
      await promisify(execFile)('mkfifo', [join(root, 'blobs/pipe')]);
      for (const text of ['blobs/folder', 'blobs/pipe']) {
        const key = parseObjectKey(text);
        await expect(driver.stat(key)).rejects.toBeInstanceOf(ObjectNotFoundError);
        await expect(driver.read(key, undefined)).rejects.toBeInstanceOf(ObjectNotFoundError);
        await expect(driver.openObject(key)).rejects.toBeInstanceOf(ObjectNotFoundError);
        expect(await keys('blobs/')).toEqual([]);
      }
    });

    it('never writes through a link', async () => {
      const outside = await mkdtemp(join(tmpdir(), 'berth-outside-'));
      await writeFile(join(outside, 'file'), 'untouched');
      const upload = await uploaded();
      await symlink(outside, join(root, 'blobs/sha256'));
      await expect(driver.finishUpload(upload, DIGEST, 5000)).rejects.toBeInstanceOf(StorageError);
      expect((await lstat(uploadPath(upload))).size).toBe(5000);
      const linked = { id: 'linked', state: await driver.createUpload('linked') };
      await symlink(join(outside, 'file'), uploadPath(linked));
      await expect(driver.openUpload(linked, 0)).rejects.toBeInstanceOf(StorageError);
      expect(await readFile(join(outside, 'file'), 'utf8')).toBe('untouched');
      await rm(outside, { recursive: true });
    });

    it('works with a root that is a link', async () => {
      const alias = `${root}-alias`;
      await symlink(root, alias);
      const aliased = new FilesystemStorageDriver(alias);
      await aliased.prepare();
      const key = await aliased.finishUpload(await uploaded(), DIGEST, 5000);
      expect((await buffer(await aliased.read(key, undefined))).equals(CONTENT)).toBe(true);
      await rm(alias);
    });

    it('reports an unmounted disk, not missing blobs, and writes nothing to its mount point', async () => {
      const key = await driver.finishUpload(await uploaded(), DIGEST, 5000);
      const started = { id: randomUUID(), state: await driver.createUpload('x') };
      await rm(root, { recursive: true });
      await mkdir(root);
      const gone = { message: expect.stringContaining('mounted') as unknown };
      await expect(driver.stat(key)).rejects.toMatchObject(gone);
      await expect(driver.read(key, undefined)).rejects.toMatchObject(gone);
      await expect(driver.openObject(key)).rejects.toMatchObject(gone);
      await expect(driver.delete(key)).rejects.toMatchObject(gone);
      await expect(keys('blobs/')).rejects.toMatchObject(gone);
      await expect(driver.check()).rejects.toMatchObject(gone);
      await expect(driver.openUpload(started, 0)).rejects.toMatchObject(gone);
      await expect(driver.finishUpload(started, DIGEST, 0)).rejects.toMatchObject(gone);
      expect(await readdir(root)).toEqual([]);
    });

    it.each<[string, (mountPoint: string) => Promise<unknown>]>([
      ['nothing', () => Promise.resolve()],
      [
        'folders that an earlier start has made below the mount point',
        (path) => Promise.all(['blobs', 'uploads'].map((name) => mkdir(join(path, name)))),
      ],
      [
        'the storage of another database',
        async (path) => {
          const other = new FilesystemStorageDriver(path);
          await other.writeIdentity(randomUUID());
          await other.prepare();
        },
      ],
    ])('knows its disk by the identity, and changes nothing where it finds %s', async (_, fill) => {
      await driver.writeIdentity(randomUUID());
      await driver.prepare();
      const content = await uploaded();
      const key = await driver.finishUpload(await uploaded(), DIGEST, 5000);
      const started = { id: randomUUID(), state: await driver.createUpload('x') };
      const disk = `${root}-disk`;
      await rename(root, disk);
      await mkdir(root);
      await fill(root);
      const before = (await readdir(root, { recursive: true })).sort();
      const away = StorageUnavailableError;
      await expect(driver.stat(key)).rejects.toBeInstanceOf(away);
      await expect(driver.read(key, undefined)).rejects.toBeInstanceOf(away);
      await expect(driver.openObject(key)).rejects.toBeInstanceOf(away);
      await expect(driver.delete(key)).rejects.toBeInstanceOf(away);
      await expect(driver.openUpload(started, 0)).rejects.toBeInstanceOf(away);
      await expect(driver.openUpload(content, 5000)).rejects.toBeInstanceOf(away);
      await expect(driver.readUpload(content, 5000)).rejects.toBeInstanceOf(away);
      await expect(driver.finishUpload(content, DIGEST, 5000)).rejects.toBeInstanceOf(away);
      await expect(driver.finishUpload(started, DIGEST, 0)).rejects.toBeInstanceOf(away);
      await expect(driver.abortUpload(content)).rejects.toBeInstanceOf(away);
      expect((await readdir(root, { recursive: true })).sort()).toEqual(before);

      await rm(root, { recursive: true });
      await rename(disk, root);
      expect((await buffer(await driver.read(key, undefined))).equals(CONTENT)).toBe(true);
      await driver.finishUpload(content, DIGEST, 5000);
    });

    it('creates no blobs directory if the disk is unmounted during a finish', async () => {
      const upload = await uploaded();
      await rm(join(root, 'blobs'), { recursive: true });
      await expect(driver.finishUpload(upload, DIGEST, 5000)).rejects.toThrow(
        /blobs: check that its disk is mounted/,
      );
      expect(await readdir(root)).toEqual(['uploads']);
    });

    it('refuses an identity that Berth did not write', async () => {
      await writeFile(join(root, 'berth-identity'), 'an operator\n');
      await expect(driver.readIdentity()).rejects.toThrow(/berth-identity in .+ contains no identity/);
      for (const damaged of [`${randomUUID()}\n\n`, randomUUID().slice(1), '']) {
        await writeFile(join(root, 'berth-identity'), damaged);
        await expect(driver.readIdentity()).rejects.toBeInstanceOf(DamagedIdentityError);
      }
    });
  });
});
