import { Logger, type OnModuleInit } from '@nestjs/common';
import { DatabaseFullError } from './errors/database-full.error.js';
import { type FreeSpace, freeSpaceOf, reserveBytesOf } from '../common/free-space.js';

const MIB = 1024 * 1024;

/**
 * Space is measured again after this time, and after this many bytes that all processes of this host were
 * sent.
 */
const REMEMBERED_MS = 1_000;
const REMEMBERED_BYTES = 8 * MIB;
/**
 * What one of many processes may be sent at least: measuring takes time, too. With 64 processes it adds up to
 * 16 MiB.
 */
const LEAST_REMEMBERED_BYTES = MIB / 4;

/**
 * Deletions are what frees space, so they may use a part of the reserve: down to one segment of Postgres'
 * write-ahead log (16 MiB), and what a statement adds to tables.
 */
const DELETION_RESERVE_BYTES = 24 * MIB;

/** Files are counted, too: a file system without free inodes is full, whatever its free bytes are. */
const RESERVE_FILES = { push: 1_000, delete: 100 };

/** What a request wants to do. */
export type WritePurpose = 'push' | 'delete';

interface Room {
  readonly push: boolean;
  readonly delete: boolean;
}

const ROOM: Room = { push: true, delete: true };

/**
 * Keeps space free on the disk of the embedded Postgres, by refusing requests that write. A Postgres that
 * can't write its log stops at once, and with it the pulls. An external Postgres has its disk elsewhere:
 * nothing is refused then.
 */
export class DatabaseSpace implements OnModuleInit {
  private readonly logger = new Logger('DatabaseSpace');
  private measured: Room = ROOM;
  private validUntil = 0;
  private bytesSince = 0;
  private measuring: Promise<Room> | undefined;
  private readonly rememberedBytes: number;

  /**
   * @param directory of the embedded cluster; undefined for an external Postgres.
   * @param reserveBytes the setting, see {@link reserveBytesOf}; 0: nothing is refused.
   * @param processes that write to the same database, this one included.
   */
  constructor(
    private readonly directory: string | undefined,
    private readonly reserveBytes: number | undefined,
    processes: number,
  ) {
    this.rememberedBytes = Math.max(LEAST_REMEMBERED_BYTES, REMEMBERED_BYTES / processes);
  }

  /** An operator is told before the first push is refused. */
  async onModuleInit(): Promise<void> {
    await this.isFull();
  }

  /**
   * To be called before something is written. Cheap: the free space is remembered for a second.
   *
   * @param bytes that the client sends, as far as known: the more arrives, the sooner space is measured
   * again.
   * @throws DatabaseFullError
   */
  async expectRoom(purpose: WritePurpose, bytes = 0): Promise<void> {
    this.bytesSince += bytes;
    const room = this.isRemembered() ? this.measured : await this.measure();
    if (!room[purpose]) throw new DatabaseFullError();
  }

  /** Whether pushes are refused now. */
  async isFull(): Promise<boolean> {
    const { push } = this.isRemembered() ? this.measured : await this.measure();
    return !push;
  }

  private isRemembered(): boolean {
    if (this.directory === undefined || this.reserveBytes === 0) return true;
    return performance.now() < this.validUntil && this.bytesSince < this.rememberedBytes;
  }

  /** Callers that come while it runs share it. */
  private measure(): Promise<Room> {
    this.measuring ??= this.measureNow().finally(() => (this.measuring = undefined));
    return this.measuring;
  }

  private async measureNow(): Promise<Room> {
    this.bytesSince = 0;
    const space = await freeSpaceOf(String(this.directory)).catch((error: unknown) => {
      // Whatever that means, it isn't a full disk. Postgres will say what it is.
      this.logger.debug({ err: error }, 'the free space of the database is unknown');
      return undefined;
    });
    const room = space === undefined ? ROOM : this.roomIn(space);
    this.validUntil = performance.now() + REMEMBERED_MS;
    if (space !== undefined) this.logTransition(room, space);
    this.measured = room;
    return room;
  }

  private roomIn(space: FreeSpace): Room {
    const push = reserveBytesOf(this.reserveBytes, space);
    const reserve = { push, delete: Math.min(push, DELETION_RESERVE_BYTES) };
    const has = (purpose: WritePurpose) =>
      space.freeBytes >= reserve[purpose] && space.freeFiles >= RESERVE_FILES[purpose];
    return { push: has('push'), delete: has('delete') };
  }

  private logTransition(room: Room, space: FreeSpace): void {
    if (room.push === this.measured.push) return;
    const reserveBytes = reserveBytesOf(this.reserveBytes, space);
    const figures = { directory: this.directory, ...space, reserveBytes };
    if (room.push) this.logger.warn(figures, 'the disk of the database has room again: pushes are accepted');
    else this.logger.error(figures, 'the disk of the database is nearly full: pushes are refused');
  }
}
