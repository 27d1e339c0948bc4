import { randomFillSync } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { freeSpaceOf, reserveBytesOf } from '../common/free-space.js';

const MIB = 1024 * 1024;
const CHUNK_BYTES = MIB;
const KEEP_INTERVAL_MS = 3_000;
const BLOCK_BYTES = 512;

/** Follows no link and doesn't block, because another user may have put a link or a pipe there. */
const OPEN_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Twice what Postgres needs to start on a full disk. A start after a crash took 42 MiB: two segments of the
 * write-ahead log (16 MiB each), the pid file, and data that grows while the log is replayed. The rest is for
 * deletions.
 */
export const RESERVE_FILE_BYTES = 96 * MIB;

/**
 * The file `<cluster>.reserve`, which only occupies space. It is deleted if the disk is too full for a start
 * of Postgres, and created again when the disk has space.
 *
 * After a crash Postgres must write to start. Without this file Berth could not start on a full disk, and so
 * nothing could be deleted through Berth.
 */
export class ReserveFile {
  private readonly directory: string;
  private readonly path: string;
  private readonly stopping = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<unknown> = Promise.resolve();
  /** Whether this process wrote the whole file. */
  private isWritten = false;
  private reported: string | undefined;

  /** @param reserveBytes the setting, see {@link reserveBytesOf}; 0: no file. */
  constructor(
    clusterDir: string,
    private readonly reserveBytes: number | undefined,
    private readonly log: (line: string) => void,
  ) {
    this.directory = dirname(clusterDir);
    this.path = `${clusterDir}.reserve`;
  }

  /** Deletes the file if less than its size is free. Call it before the start writes to the disk. */
  async deleteIfShort(): Promise<void> {
    const space = await freeSpaceOf(this.directory).catch(() => undefined);
    if (space !== undefined && space.freeBytes < RESERVE_FILE_BYTES) await this.delete();
  }

  /** Deletes the file. Returns false if there was none, or it can't be deleted. Never rejects. */
  async delete(): Promise<boolean> {
    try {
      const file = await this.find();
      if (file === undefined || file.size === 0) return false;
      await rm(this.path, { force: true });
    } catch (error) {
      this.report(error);
      return false;
    }
    this.log(`The disk is full: ${this.path} was deleted so that PostgreSQL can start`);
    return true;
  }

  /** Creates the file as soon as the disk has space, now or later, until {@link stop}. Returns at once. */
  keep(): void {
    if (this.reserveBytes === 0 || this.stopping.signal.aborted) return;
    this.running = this.fill().then(
      () => (this.reported = undefined),
      (error: unknown) => this.report(error),
    );
    void this.running.then(() => {
      if (this.stopping.signal.aborted) return;
      this.timer = setTimeout(() => this.keep(), KEEP_INTERVAL_MS).unref();
    });
  }

  /** Resolves when the file is no longer written to. Never rejects. */
  async stop(): Promise<void> {
    this.stopping.abort();
    clearTimeout(this.timer);
    await this.running;
  }

  /** Writes what is missing, unless that would use the space that pushes must leave free. */
  private async fill(): Promise<void> {
    const start = this.startOf(await this.find());
    const missing = RESERVE_FILE_BYTES - start;
    if (missing <= 0) return;
    const space = await freeSpaceOf(this.directory);
    if (space.freeBytes - missing < reserveBytesOf(this.reserveBytes, space)) return;
    // Random, so that no file system compresses it; written, so that the file has no holes.
    const chunk = randomFillSync(Buffer.allocUnsafe(CHUNK_BYTES));
    const file = await open(this.path, OPEN_FLAGS, 0o600);
    try {
      this.checkIsPlain(await file.stat());
      for (let position = start; position < RESERVE_FILE_BYTES; position += CHUNK_BYTES) {
        if (this.stopping.signal.aborted) return;
        const length = Math.min(CHUNK_BYTES, RESERVE_FILE_BYTES - position);
        await writeFully(file, chunk.subarray(0, length), position);
      }
      this.isWritten = true;
    } finally {
      await file.close();
    }
  }

  /**
   * Where to start writing. A file with holes occupies less than its size and is written again, but only
   * once: a file system may count blocks late or never.
   */
  private startOf(file: Stats | undefined): number {
    if (file === undefined) return 0;
    const hasHoles = file.blocks * BLOCK_BYTES < Math.min(file.size, RESERVE_FILE_BYTES);
    return hasHoles && !this.isWritten ? 0 : file.size;
  }

  /** The file, if it exists. Rejects if another kind of file is there, which is left as it is. */
  private async find(): Promise<Stats | undefined> {
    const found = await lstat(this.path).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    });
    if (found !== undefined) this.checkIsPlain(found);
    return found;
  }

  /** Another user of the directory could put a link here, so that its target is overwritten. */
  private checkIsPlain(found: Stats): void {
    if (found.isFile() && found.nlink <= 1) return;
    throw new Error('it is not a plain file with one name; remove it');
  }

  /** Logs a failure once, not at each retry. */
  private report(error: unknown): void {
    const reason = String(error).replace(/^Error: /, '');
    const line = `${this.path} can't reserve space for a start on a full disk: ${reason}`;
    if (line !== this.reported) this.log(line);
    this.reported = line;
  }
}

async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, written, bytes.length - written, position + written);
    written += bytesWritten;
  }
}
