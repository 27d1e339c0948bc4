import { randomBytes, randomUUID } from 'node:crypto';
import { renameSync, rmSync } from 'node:fs';
import {
  copyFile,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { countOpenFilesBelow } from '../../../../test/support/open-files.js';
import { syncDirectory } from '../../../common/sync-directory.js';
import { digestOf } from '../../../oci/digest.js';
import { CheckedStorageDriver } from '../../checked-storage.driver.js';
import { blobObjectKey, type ObjectKey } from '../../object-key.js';
import type { DriverUpload, StoredUpload } from '../../storage-driver.js';
import { StorageError, UploadStateError } from '../../storage.errors.js';
import { segmentNames, UploadSegments } from '../upload-segments.js';
import { DurableDirectories } from './durable-directories.js';
import { FilesystemLayout } from './filesystem-layout.js';
import { FilesystemStorageDriver } from './filesystem-storage.driver.js';
import { cloneFile, type FileClone } from './upload-files.js';
import { finishFile } from './finish-file.js';

const FIRST = randomBytes(1_300_000);
const SECOND = randomBytes(70_000);
const CONTENT = Buffer.concat([FIRST, SECOND]);
const DIGEST = digestOf('sha256', CONTENT);

describe('a fenced upload on the file system', () => {
  let root: string;
  let synced: string[];
  let driver: FilesystemStorageDriver;

  beforeEach(async () => {
    root = await realpath(await mkdtemp(join(tmpdir(), 'berth-fenced-')));
    driver = await made();
  });
  afterEach(async () => {
    expect(await countOpenFilesBelow(root)).toBe(0);
    await rm(root, { recursive: true, force: true });
  });

  async function made(clone: FileClone = cloneFile): Promise<FilesystemStorageDriver> {
    const sync = async (path: string): Promise<void> => {
      synced.push(path.slice(root.length + 1));
      await syncDirectory(path);
    };
    synced = [];
    const one = new FilesystemStorageDriver(root, sync, clone);
    await one.prepare();
    synced.length = 0;
    return one;
  }

  async function append(upload: DriverUpload, offset: number, content: Buffer): Promise<DriverUpload> {
    const sink = await driver.openUpload(upload, offset);
    await sink.write(content);
    const state = await sink.flush();
    await sink.close();
    return { ...upload, state };
  }

  async function uploaded(content: Buffer = FIRST): Promise<DriverUpload> {
    const id = randomUUID();
    return append({ id, state: await driver.createUpload(id) }, 0, content);
  }

  async function fenced(upload: DriverUpload): Promise<DriverUpload> {
    return { ...upload, state: await driver.fenceUpload(upload) };
  }

  /** `FIRST` from a fenced writer, `SECOND` from its successor. */
  async function taken(): Promise<DriverUpload> {
    return append(await fenced(await uploaded()), FIRST.length, SECOND);
  }

  const finish = (upload: DriverUpload): Promise<ObjectKey> =>
    driver.finishUpload(upload, DIGEST, CONTENT.length);
  const targetOf = ({ id }: DriverUpload): string => join(root, blobObjectKey(DIGEST, id));
  const pathsOf = (upload: DriverUpload): string[] =>
    segmentNames(upload).map((name) => join(root, 'uploads', name));
  const lastPath = (upload: DriverUpload): string => pathsOf(upload).at(-1) ?? '';
  const inUploads = (): Promise<string[]> => readdir(join(root, 'uploads'));

  async function expectFinished(upload: DriverUpload): Promise<void> {
    for (let time = 0; time < 2; time += 1) {
      const key = await finish(upload);
      expect((await buffer(await driver.read(key, undefined))).equals(CONTENT)).toBe(true);
      expect(await inUploads()).toEqual([]);
    }
  }

  describe('files', () => {
    it('keeps the bytes of each writer in a separate file, at their offset', async () => {
      const upload = await taken();
      const [first = '', second = '', ...more] = pathsOf(upload);
      expect(more).toEqual([]);
      expect(first).toBe(join(root, 'uploads', upload.id));
      expect((await readFile(first)).equals(FIRST)).toBe(true);
      expect((await lstat(second)).size).toBe(CONTENT.length);
      expect((await readFile(second)).subarray(FIRST.length).equals(SECOND)).toBe(true);
    });

    it('commits an unfenced upload by renaming its file', async () => {
      const upload = await append(await uploaded(), FIRST.length, SECOND);
      const { ino } = await lstat(lastPath(upload));
      await finish(upload);
      expect(await lstat(targetOf(upload))).toMatchObject({ ino, nlink: 1 });
    });

    it('commits the file that only the last writer opened', async () => {
      const upload = await taken();
      const [first, second] = await Promise.all(pathsOf(upload).map((path) => lstat(path)));
      await expectFinished(upload);
      const { ino, nlink } = await lstat(targetOf(upload));
      expect(ino).toBe(second?.ino);
      expect(ino).not.toBe(first?.ino);
      expect(nlink).toBe(1);
    });

    it('creates no file for a fence', async () => {
      const upload = await fenced(await uploaded());
      expect(await inUploads()).toEqual([upload.id]);
    });

    it('flushes the entry of the new file once, at the first flush', async () => {
      const upload = await fenced(await uploaded());
      synced.length = 0;
      const again = await append(upload, FIRST.length, SECOND);
      expect(synced).toEqual(['uploads']);
      await append(again, CONTENT.length, SECOND);
      expect(synced).toEqual(['uploads']);
    });

    it('never writes or reads through a link', async () => {
      const outside = join(root, 'outside');
      await writeFile(outside, CONTENT);
      const upload = await fenced(await uploaded());
      await symlink(outside, lastPath(upload));
      await expect(driver.openUpload(upload, FIRST.length)).rejects.toBeInstanceOf(StorageError);
      const other = await taken();
      await rm(join(root, 'uploads', other.id));
      await symlink(outside, join(root, 'uploads', other.id));
      await expect(driver.readUpload(other, 1)).rejects.toBeInstanceOf(UploadStateError);
      await expect(finish(other)).rejects.toBeInstanceOf(UploadStateError);
      expect((await readFile(outside)).equals(CONTENT)).toBe(true);
    });
  });

  describe('finishing after a crash', () => {
    it.each<[string, (upload: DriverUpload) => Promise<void>]>([
      ['before anything was copied', () => Promise.resolve()],
      ['in the middle of the copy', (upload) => overwrite(lastPath(upload), FIRST.subarray(0, 600_000))],
      [
        'in the middle of a copy whose pages never reached the disk',
        (upload) => overwrite(lastPath(upload), Buffer.alloc(600_000)),
      ],
      ['after the copy', (upload) => overwrite(lastPath(upload), FIRST)],
      [
        'with unacknowledged bytes behind the end',
        (upload) => writeFile(lastPath(upload), SECOND, { flag: 'a' }),
      ],
      [
        'with a sealed file that its writer still writes to',
        ({ id }) => writeFile(join(root, 'uploads', id), SECOND, { flag: 'a' }),
      ],
    ])('%s', async (_, crash) => {
      const upload = await taken();
      await crash(upload);
      await expectFinished(upload);
    });

    it('between the rename and the removal of the sealed file', async () => {
      const upload = await taken();
      await overwrite(lastPath(upload), FIRST);
      await mkdir(dirname(targetOf(upload)), { recursive: true });
      await rename(lastPath(upload), targetOf(upload));
      await expectFinished(upload);
    });

    it('after the file for a copy of everything was created', async () => {
      const upload = await fenced(await append(await uploaded(), FIRST.length, SECOND));
      await writeFile(lastPath(upload), '');
      await expectFinished(upload);
    });
  });

  it.each<[string, (sealed: string) => Promise<void>]>([
    ['missing', (sealed) => rm(sealed)],
    ['short', (sealed) => truncate(sealed, FIRST.length - 1)],
  ])('says so, and makes nothing, when a sealed file is %s', async (_, damage) => {
    const upload = await fenced(await uploaded());
    const more = await append(upload, FIRST.length, SECOND);
    await damage(join(root, 'uploads', upload.id));
    const before = await inUploads();
    await expect(finish(more)).rejects.toBeInstanceOf(UploadStateError);
    await expect(driver.openUpload(more, CONTENT.length)).rejects.toBeInstanceOf(UploadStateError);
    await expect(driver.readUpload(more, CONTENT.length)).rejects.toBeInstanceOf(UploadStateError);
    const unopened = await fenced(upload);
    await expect(driver.openUpload(unopened, FIRST.length)).rejects.toBeInstanceOf(UploadStateError);
    await expect(
      driver.finishUpload(unopened, digestOf('sha256', FIRST), FIRST.length),
    ).rejects.toBeInstanceOf(UploadStateError);
    expect(await inUploads()).toEqual(before);
    expect(await readdir(join(root, 'blobs'))).toEqual([]);
  });

  it('reports a last file that is missing or too short', async () => {
    const upload = await taken();
    await truncate(lastPath(upload), CONTENT.length - 1);
    await expect(finish(upload)).rejects.toBeInstanceOf(UploadStateError);
    await rm(lastPath(upload));
    await expect(finish(upload)).rejects.toBeInstanceOf(UploadStateError);
    expect((await lstat(join(root, 'uploads', upload.id))).size).toBe(FIRST.length);
  });

  it('stops copying on an abort, and can be called again', async () => {
    const upload = await taken();
    const abort = new AbortController();
    const reason = new Error('the client left');
    // Calls: the source, the sealed file's size, then its bytes.
    const finishing = finishMeeting(upload, abort.signal, (calls) => {
      if (calls === 3) abort.abort(reason);
    });
    await expect(finishing).rejects.toBe(reason);
    expect(await inUploads()).toHaveLength(2);
    await expectFinished(upload);
  });

  it('finishes when a concurrent call finished between its checks', async () => {
    const upload = await taken();
    await overwrite(lastPath(upload), FIRST);
    await mkdir(dirname(targetOf(upload)), { recursive: true });
    await finishMeeting(upload, undefined, (calls) => {
      if (calls !== 2) return;
      renameSync(lastPath(upload), targetOf(upload));
      rmSync(join(root, 'uploads', upload.id));
    });
    await expectFinished(upload);
  });

  /** Finishes, and runs a callback whenever it gets the path of a file. */
  async function finishMeeting(
    upload: DriverUpload,
    signal: AbortSignal | undefined,
    meet: (calls: number) => void,
  ): Promise<void> {
    let calls = 0;
    class WatchedLayout extends FilesystemLayout {
      override segmentPath(name: string): string {
        calls += 1;
        meet(calls);
        return super.segmentPath(name);
      }
    }
    const layout = new WatchedLayout(root);
    const directories = new DurableDirectories(root, syncDirectory);
    const finish = { segments: UploadSegments.recorded(upload), target: targetOf(upload) };
    await finishFile(finish, { layout, directories, signal });
  }

  describe('on a file system that clones files', () => {
    const reallyCopying: FileClone = (from, to) => copyFile(from, to);

    it('copies nothing when it is finished', async () => {
      driver = await made(reallyCopying);
      const upload = await uploaded();
      await writeFile(lastPath(upload), randomBytes(5000), { flag: 'a' });
      let mine = await append(await fenced(upload), FIRST.length, SECOND.subarray(0, 1000));
      // The same after another fence.
      mine = await append(await fenced(mine), FIRST.length + 1000, SECOND.subarray(1000));
      expect(pathsOf(mine)).toHaveLength(3);
      expect((await readFile(lastPath(mine))).equals(CONTENT)).toBe(true);
      for (const path of pathsOf(mine).slice(0, -1)) await writeFile(path, 'no longer read');
      await expectFinished(mine);
    });

    it('copies at the finish if an opening that recorded nothing made the clone', async () => {
      driver = await made(async (from, to) => {
        await lstat(to).then(
          () => Promise.reject(new Error('EEXIST')),
          () => reallyCopying(from, to),
        );
      });
      const upload = await fenced(await uploaded());
      await (await driver.openUpload(upload, FIRST.length)).close();
      await overwrite(lastPath(upload), Buffer.alloc(1000));
      await expectFinished(await append(upload, FIRST.length, SECOND));
    });

    it('only clones a file with every byte before the new one', async () => {
      const upload = await fenced(await taken());
      const cloned: string[] = [];
      driver = await made((from) => Promise.resolve(void cloned.push(from)));
      await (await driver.openUpload(upload, CONTENT.length)).close();
      const empty = { id: 'empty', state: await driver.createUpload('empty') };
      await (await driver.openUpload(await fenced(empty), 0)).close();
      await (await driver.openUpload(await uploaded(), FIRST.length)).close();
      expect(cloned).toEqual([]);
    });
  });

  it('settles an aborted opening only when it can have no more effect', async () => {
    let resume = (): void => undefined;
    let started = (): void => undefined;
    const hasStarted = new Promise<void>((resolve) => (started = resolve));
    const upload = await fenced(await uploaded());
    driver = await made(async () => {
      started();
      await new Promise<void>((resolve) => (resume = resolve));
      throw new Error('ENOTSUP');
    });
    const abort = new AbortController();
    const reason = new Error('the client left');
    let settled = false;
    const checked = new CheckedStorageDriver(driver);
    const opening = checked.openUpload(upload, FIRST.length, { signal: abort.signal });
    const outcome = expect(opening.finally(() => (settled = true))).rejects.toBe(reason);
    await hasStarted;
    abort.abort(reason);
    await setImmediate();
    expect(settled).toBe(false);
    resume();
    await outcome;
    expect(await countOpenFilesBelow(root)).toBe(0);
  });

  describe('listing', () => {
    const listed = async (): Promise<StoredUpload[]> => {
      const found: StoredUpload[] = [];
      for await (const upload of driver.listUploads()) found.push(upload);
      return found;
    };

    it('lists each file of an upload, and no other files', async () => {
      const upload = await taken();
      const at = (name: string): string => join(root, 'uploads', name);
      await writeFile(at(`.probe-${randomUUID()}`), 'x');
      await writeFile(at('.nfs000000000123'), 'x');
      await writeFile(at('lost+found'), 'x');
      await writeFile(at('no upload'), 'x');
      await writeFile(at(`${upload.id}~`), 'x');
      await mkdir(at('folder'));
      await symlink(at(upload.id), at('link'));
      const found = await listed();
      expect(found.flatMap((each) => segmentNames(each.upload)).sort()).toEqual(segmentNames(upload).sort());
      expect(found.map((each) => each.upload.id)).toEqual([upload.id, upload.id]);
      for (const each of found) {
        expect(each.modifiedAt).toEqual((await lstat(lastPath(each.upload))).mtime);
        await driver.abortUpload(each.upload);
      }
      expect(await inUploads()).toHaveLength(7);
    });

    it('reports an unmounted disk instead of no uploads', async () => {
      await rm(join(root, 'uploads'), { recursive: true });
      await expect(listed()).rejects.toMatchObject({
        name: 'StorageIdentityError',
        message: expect.stringContaining('mounted') as unknown,
      });
    });
  });

  async function overwrite(path: string, bytes: Buffer): Promise<void> {
    const file = await open(path, 'r+');
    await file.write(bytes, 0, bytes.length, 0);
    await file.close();
  }
});
