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
import type { ChaosStorage, MeasuresUnrecorded } from './storage.js';

const MIB = 1024 * 1024;
/** An upper estimate. */
const MEAN_UPLOAD_BYTES = 16 * MIB;
const MAX_SPARE_BYTES = MIB;
const FILL_ATTEMPTS = 20;

type DiskSize = Pick<ChaosSettings, 'uploads' | 'maxBytes'>;

/** A directory shared by all replicas, on a disk that can be full. `Workspace` unmounts it. */
export class DiskStorage implements ChaosStorage, MeasuresUnrecorded {
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

  static async open(settings: DiskSize, path: string): Promise<DiskStorage> {
    const diskBytes = diskSizeFor(settings);
    return new DiskStorage(path, diskBytes, await mountSmallDisk(diskBytes, path));
  }

  environment(): Record<string, string> {
    return { STORAGE_FILESYSTEM_ROOT: this.path };
  }

  /** The only kind is a full disk. */
  async inject(_fault: StorageFault, random: SeededRandom, onInjected: () => void): Promise<void> {
    await this.fill(random.int(0, MAX_SPARE_BYTES));
    onInjected();
    await delay(random.int(300, 2_000));
    await this.disk?.remount(`size=${this.diskBytes}`);
  }

  async writeOrphans(): Promise<void> {
    await writeFile(join(this.path, 'uploads', randomUUID()), 'orphaned bytes');
  }

  async inFlight(): Promise<string[]> {
    // Berth removes the probe of a killed process when it starts, if the probe is older than a minute.
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

  /** Shrinks the disk to little more than its used size. A large file would use memory (tmpfs). */
  private async fill(spareBytes: number): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const { blocks, bfree, bsize } = await statfs(this.path);
      try {
        const spare = spareBytes + (attempt - 1) * MIB;
        await this.disk?.remount(`size=${(blocks - bfree) * bsize + spare}`);
        return;
      } catch (error) {
        // A replica wrote more than that meanwhile. Leave more space in the next attempt.
        if (attempt === FILL_ATTEMPTS) throw error;
      }
    }
  }

  /** The paths of all files below a folder, relative to the root, sorted. */
  private async filesBelow(folder: string): Promise<string[]> {
    const options = { recursive: true, withFileTypes: true } as const;
    const entries = await readdir(join(this.path, folder), options).catch(() => []);
    const files = entries.filter((entry) => entry.isFile());
    return files.map(({ parentPath, name }) => join(parentPath, name).slice(this.path.length + 1)).sort();
  }
}

/** Enough for all uploads of a run and for discarded bytes. A tmpfs uses memory only for its content. */
function diskSizeFor({ uploads, maxBytes }: DiskSize): number {
  return 8 * maxBytes + uploads * MEAN_UPLOAD_BYTES;
}
