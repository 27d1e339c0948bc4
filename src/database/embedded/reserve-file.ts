import { randomFillSync } from 'node:crypto';
import { open, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { freeSpaceOf, reserveBytesOf } from './free-space.js';

const MIB = 1024 * 1024;
const CHUNK_BYTES = MIB;
const KEEP_INTERVAL_MS = 3_000;

/**
 * What Postgres needs to start on a full disk, and twice as much. A start after a crash took 42 MiB: two segments of its
 * write-ahead log (16 MiB each), its pid file, and data that grows while the log is replayed. What is left is for
 * deletions.
 */
export const RESERVE_FILE_BYTES = 96 * MIB;

/**
 * A file, `<cluster>.reserve`, that does nothing but occupy space. It is deleted when Postgres can't start otherwise,
 * and made again when the disk has room.
 *
 * Postgres must write to start after a crash. Without this file, a full disk would keep Berth from starting, and with
 * it the one who could delete something through Berth.
 */
export class ReserveFile {
  private readonly directory: string;
  private readonly path: string;
  private readonly stopping = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();

  /** @param reserveBytes the setting: see {@link reserveBytesOf}; with 0 there is no file. */
  constructor(
    clusterDir: string,
    private readonly reserveBytes: number | undefined,
    private readonly log: (line: string) => void,
  ) {
    this.directory = dirname(clusterDir);
    this.path = `${clusterDir}.reserve`;
  }

  /** Deletes the file if less than its size is free. To be called before Postgres starts. */
  async giveUpIfShort(): Promise<void> {
    const space = await freeSpaceOf(this.directory);
    if (space.freeBytes < RESERVE_FILE_BYTES) await this.giveUp();
  }

  /** Deletes the file. Returns false if there was none. */
  async giveUp(): Promise<boolean> {
    if ((await this.size()) === 0) return false;
    await rm(this.path, { force: true });
    this.log(`The disk is full: ${this.path} was deleted so that PostgreSQL can start`);
    return true;
  }

  /** Makes the file as soon as there is room for it, now or later, until {@link stop}. Returns at once. */
  keep(): void {
    if (this.reserveBytes === 0 || this.stopping.signal.aborted) return;
    this.running = this.fill().catch((error: unknown) => {
      this.log(`${this.path} can't be made: ${String(error)}`);
    });
    void this.running.then(() => {
      if (this.stopping.signal.aborted) return;
      this.timer = setTimeout(() => this.keep(), KEEP_INTERVAL_MS).unref();
    });
  }

  /** Settles when nothing is written any more. Never rejects. */
  async stop(): Promise<void> {
    this.stopping.abort();
    clearTimeout(this.timer);
    await this.running;
  }

  /** Appends what is missing. Making the file must not leave less than the reserve, or pushes would be refused. */
  private async fill(): Promise<void> {
    const missing = RESERVE_FILE_BYTES - (await this.size());
    if (missing <= 0) return;
    const space = await freeSpaceOf(this.directory);
    if (space.freeBytes - missing < reserveBytesOf(this.reserveBytes, space)) return;
    // Random, so that no file system compresses it, and written, so that none leaves holes.
    const chunk = randomFillSync(Buffer.allocUnsafe(CHUNK_BYTES));
    const file = await open(this.path, 'a', 0o600);
    try {
      for (let left = missing; left > 0 && !this.stopping.signal.aborted; left -= CHUNK_BYTES) {
        await file.writeFile(chunk.subarray(0, left));
      }
    } finally {
      await file.close();
    }
  }

  private async size(): Promise<number> {
    return stat(this.path).then(
      ({ size }) => size,
      () => 0,
    );
  }
}
