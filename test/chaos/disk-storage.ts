import { randomUUID } from 'node:crypto';
import { readdir, stat, statfs, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { UploadSegments } from '../../src/storage/drivers/upload-segments.js';
import type { DriverUpload } from '../../src/storage/storage-driver.js';
import { mountSmallDisk, type SmallDisk } from '../support/small-disk.js';
import type { StorageFault } from './fault-kinds.js';
import type { SeededRandom } from './seeded-random.js';
import type { ChaosSettings } from './settings.js';
import type { ChaosStorage, TellsUnrecorded } from './storage.js';

const MIB = 1024 * 1024;
/** Rather more than it is. */
const MEAN_UPLOAD_BYTES = 16 * MIB;
const MOST_SPARE_BYTES = MIB;
const FILL_ATTEMPTS = 20;

/** A directory that all replicas have, on a disk that can be full. `Ground` unmounts it. */
export class DiskStorage implements ChaosStorage, TellsUnrecorded {
  readonly problem: string | undefined;
  private readonly disk: SmallDisk | undefined;

  private constructor(
    private readonly path: string,
    private readonly diskBytes: number,
    disk: SmallDisk | string,
  ) {
    this.disk = typeof disk === 'string' ? undefined : disk;
    this.problem = typeof disk === 'string' ? disk : undefined;
  }

  static async open(settings: ChaosSettings, path: string): Promise<DiskStorage> {
    const diskBytes = diskSizeFor(settings);
    return new DiskStorage(path, diskBytes, await mountSmallDisk(diskBytes, path));
  }

  environment(): Record<string, string> {
    return { STORAGE_FILESYSTEM_ROOT: this.path };
  }

  /** There is one kind. */
  async suffer(_fault: StorageFault, random: SeededRandom, onHarm: () => void): Promise<void> {
    await this.fill(random.int(0, MOST_SPARE_BYTES));
    onHarm();
    await delay(random.int(300, 2_000));
    await this.disk?.remount(`size=${this.diskBytes}`);
  }

  async leaveOrphans(): Promise<void> {
    await writeFile(join(this.path, 'uploads', randomUUID()), 'nobody knows of these');
  }

  async inFlight(): Promise<string[]> {
    // A probe that was cut off by a kill is removed by a start, a minute later at the earliest.
    return (await this.filesBelow('uploads')).filter((path) => !basename(path).startsWith('.probe-'));
  }

  objects(): Promise<string[]> {
    return this.filesBelow('blobs');
  }

  async unrecordedBytes(upload: DriverUpload): Promise<number> {
    const segments = UploadSegments.recorded(upload);
    const { size } = await stat(join(this.path, 'uploads', segments.open.name)).catch(() => ({ size: 0 }));
    return size - segments.sizeBytes;
  }

  rows(): [string, string][] {
    return [];
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /**
   * Leaves the disk no room but a little: its size shrinks to what is used, which costs no memory as a file
   * would.
   */
  private async fill(spareBytes: number): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const { blocks, bfree, bsize } = await statfs(this.path);
      try {
        const spare = spareBytes + (attempt - 1) * MIB;
        await this.disk?.remount(`size=${(blocks - bfree) * bsize + spare}`);
        return;
      } catch (error) {
        // Somebody wrote more than the room left in the meantime: one who writes fast needs more of it.
        if (attempt === FILL_ATTEMPTS) throw error;
      }
    }
  }

  /** Every file below a folder, by its path from the root, sorted. */
  private async filesBelow(folder: string): Promise<string[]> {
    const options = { recursive: true, withFileTypes: true } as const;
    const entries = await readdir(join(this.path, folder), options).catch(() => []);
    const files = entries.filter((entry) => entry.isFile());
    return files.map(({ parentPath, name }) => join(parentPath, name).slice(this.path.length + 1)).sort();
  }
}

/**
 * Room for every upload of a run, and for what is thrown away on the way. It is taken only as it is filled.
 */
function diskSizeFor({ uploads, maxBytes }: ChaosSettings): number {
  return 8 * maxBytes + uploads * MEAN_UPLOAD_BYTES;
}
