import { randomFillSync } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode, toError } from './error-code.js';
import { freeSpaceOf, reserveBytesOf } from '../common/free-space.js';

const MIB = 1024 * 1024;
const CHUNK_BYTES = MIB;
const KEEP_INTERVAL_MS = 3_000;
const BLOCK_BYTES = 512;

/** Not through a link, and without waiting: what is at the path may be a pipe. */
const OPEN_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * What Postgres needs to start on a full disk, and twice as much. A start after a crash took 42 MiB: two
 * segments of its write-ahead log (16 MiB each), its pid file, and data that grows while the log is replayed.
 * What is left is for deletions.
 */
export const RESERVE_FILE_BYTES = 96 * MIB;

/**
 * A file, `<cluster>.reserve`, that does nothing but occupy space. It is deleted when Postgres can't start
 * otherwise, and made again when the disk has room.
 *
 * Postgres must write to start after a crash. Without this file, a full disk would keep Berth from starting,
 * and with it the one who could delete something through Berth.
 */
export class ReserveFile {
  private readonly directory: string;
  private readonly path: string;
  private readonly stopping = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<unknown> = Promise.resolve();
  /** Whether this process has written the file to its end. */
  private isWritten = false;
  private reported: string | undefined;

  /** @param reserveBytes the setting: see {@link reserveBytesOf}; with 0 there is no file. */
  constructor(
    clusterDir: string,
    private readonly reserveBytes: number | undefined,
    private readonly log: (line: string) => void,
  ) {
    this.directory = dirname(clusterDir);
    this.path = `${clusterDir}.reserve`;
  }

  /**
   * Deletes the file if less than its size is free. To be called before anything is written for a start.
   * Where the free space is unknown, nothing is deleted yet: writing will tell.
   */
  async giveUpIfShort(): Promise<void> {
    const space = await freeSpaceOf(this.directory).catch(() => undefined);
    if (space !== undefined && space.freeBytes < RESERVE_FILE_BYTES) await this.giveUp();
  }

  /** Deletes the file. Returns false if there was none that could be deleted. Never rejects. */
  async giveUp(): Promise<boolean> {
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

  /** Makes the file as soon as there is room for it, now or later, until {@link stop}. Returns at once. */
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

  /** Settles when nothing is written any more. Never rejects. */
  async stop(): Promise<void> {
    this.stopping.abort();
    clearTimeout(this.timer);
    await this.running;
  }

  /**
   * Writes what is missing. Making the file must not leave less than the reserve, or pushes would be refused.
   */
  private async fill(): Promise<void> {
    const start = this.startOf(await this.find());
    const missing = RESERVE_FILE_BYTES - start;
    if (missing <= 0) return;
    const space = await freeSpaceOf(this.directory);
    if (space.freeBytes - missing < reserveBytesOf(this.reserveBytes, space)) return;
    // Random, so that no file system compresses it, and written, so that none leaves holes.
    const chunk = randomFillSync(Buffer.allocUnsafe(CHUNK_BYTES));
    const file = await open(this.path, OPEN_FLAGS, 0o600);
    try {
      this.expectPlain(await file.stat());
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
   * From where on to write. A file with holes occupies less than its size and is written again, once: a file
   * system may count the blocks of a file later, or not at all.
   */
  private startOf(file: Stats | undefined): number {
    if (file === undefined) return 0;
    const hasHoles = file.blocks * BLOCK_BYTES < Math.min(file.size, RESERVE_FILE_BYTES);
    return hasHoles && !this.isWritten ? 0 : file.size;
  }

  /** Undefined where there is none. Rejects for what isn't a file of this class, which is then left alone. */
  private async find(): Promise<Stats | undefined> {
    const found = await lstat(this.path).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    });
    if (found !== undefined) this.expectPlain(found);
    return found;
  }

  /** Who may write to the directory could put another file's name here, and have it written to or deleted. */
  private expectPlain(found: Stats): void {
    if (found.isFile() && found.nlink <= 1) return;
    throw new Error('it is not a plain file with one name, and is left alone; remove it');
  }

  /** Each failure once, however often it is met in a row. */
  private report(error: unknown): void {
    const line = `${this.path} can't be used as space for a start on a full disk: ${toError(error).message}`;
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
