import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, realpath, stat, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ChaosSettings } from './settings.js';
import { mountSmallDisk, type SmallDisk } from '../support/small-disk.js';

const MIB = 1024 * 1024;
/** Rather more than it is. */
const MEAN_UPLOAD_BYTES = 16 * MIB;
const FILL_ATTEMPTS = 20;

/**
 * Waits until its standard input ends, which it does when the run is over, however it ended (Ctrl-C and kill -9
 * included), and takes away whatever the run left: replicas, frozen ones too, Postgres, the mount, the files.
 */
const SWEEPER = `
cat > /dev/null
for file in "$1"/replicas/*; do
  [ -e "$file" ] || continue
  pid=$(basename "$file")
  tr '\\0' ' ' < "/proc/$pid/cmdline" 2> /dev/null | grep -q main.js && kill -KILL "-$pid" 2> /dev/null
done
pid=$(head -n 1 "$1/postgres/postmaster.pid" 2> /dev/null)
[ -n "$pid" ] && kill -QUIT "$pid" 2> /dev/null
tries=0
while [ -n "$pid" ] && kill -0 "$pid" 2> /dev/null && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
tries=0
while grep -q " $1/storage " /proc/mounts 2> /dev/null && [ $tries -lt 50 ]; do
  umount "$1/storage" 2> /dev/null || sleep 0.1
  tries=$((tries + 1))
done
rm -rf --one-file-system "$1"
`;

/** Where a run takes place: a directory with everything in it, and the disk that can be full. */
export class Ground {
  /** Why no disk can be full here, where that is so. */
  readonly diskProblem: string | undefined;
  private readonly disk: SmallDisk | undefined;

  private constructor(
    readonly root: string,
    private readonly diskBytes: number,
    disk: SmallDisk | string,
    private readonly sweeper: ChildProcess,
  ) {
    this.disk = typeof disk === 'string' ? undefined : disk;
    this.diskProblem = typeof disk === 'string' ? disk : undefined;
  }

  static async prepare(diskBytes: number): Promise<Ground> {
    const root = await realpath(await mkdtemp(join(tmpdir(), 'berth-chaos-')));
    await chmod(root, 0o755);
    await mkdir(join(root, 'replicas'));
    const sweeper = spawn('/bin/sh', ['-c', SWEEPER, 'berth-chaos-sweeper', root], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    sweeper.unref();
    return new Ground(root, diskBytes, await mountSmallDisk(diskBytes, join(root, 'storage')), sweeper);
  }

  get storage(): string {
    return join(this.root, 'storage');
  }

  /** Leaves the disk no room but a little: its size shrinks to what is used, which costs no memory as a file would. */
  async fillDisk(spareBytes: number): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const { blocks, bfree, bsize } = await statfs(this.storage);
      try {
        await this.disk?.remount(`size=${(blocks - bfree) * bsize + spareBytes}`);
        return;
      } catch (error) {
        // Somebody wrote more than the room left in the meantime.
        if (attempt === FILL_ATTEMPTS) throw error;
      }
    }
  }

  async freeDisk(): Promise<void> {
    await this.disk?.remount(`size=${this.diskBytes}`);
  }

  /** Notes a process group, for the sweeper. */
  async register(pid: number): Promise<void> {
    await writeFile(join(this.root, 'replicas', String(pid)), '');
  }

  /** Bytes in flight that no session knows of, as a start leaves them whose row was never committed. */
  async leaveOrphan(): Promise<void> {
    await writeFile(join(this.storage, 'uploads', randomUUID()), 'nobody knows of these');
  }

  /** How long a file of the storage is; 0 where there is none. */
  async fileSize(path: string): Promise<number> {
    return stat(join(this.storage, path)).then(
      ({ size }) => size,
      () => 0,
    );
  }

  /** Every file below a folder of the storage, by its path from the root, sorted. */
  async filesBelow(folder: string): Promise<string[]> {
    const entries = await readdir(join(this.storage, folder), { recursive: true, withFileTypes: true }).catch(
      () => [],
    );
    const files = entries.filter((entry) => entry.isFile());
    return files.map(({ parentPath, name }) => join(parentPath, name).slice(this.storage.length + 1)).sort();
  }

  /** Takes everything away. */
  async clear(): Promise<void> {
    this.sweeper.ref();
    const gone = once(this.sweeper, 'exit');
    this.sweeper.stdin?.end();
    await gone;
  }
}

/** Room for every upload of a run, and for what is thrown away on the way. It is taken only as it is filled. */
export function diskSizeFor({ uploads, maxBytes }: ChaosSettings): number {
  return 8 * maxBytes + uploads * MEAN_UPLOAD_BYTES;
}
