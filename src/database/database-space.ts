import { Logger, type OnModuleInit } from '@nestjs/common';
import { DatabaseFullError } from './errors/database-full.error.js';
import { type FreeSpace, freeSpaceOf, reserveBytesOf } from '../common/free-space.js';

const MIB = 1024 * 1024;

/** A measurement expires after this time, and after this many received bytes, split among all processes. */
const EXPIRES_AFTER_MS = 1_000;
const EXPIRES_AFTER_BYTES = 8 * MIB;
/** Minimum per process, because measuring takes time. With 64 processes it adds up to 16 MiB. */
const MIN_EXPIRES_AFTER_BYTES = MIB / 4;

/**
 * Deletions free space, so they may use a part of the reserve. They leave room for one segment of Postgres's
 * write-ahead log (16 MiB) and for what a statement adds to tables.
 */
const DELETION_RESERVE_BYTES = 24 * MIB;

/** A file system without free inodes is full, too. */
const RESERVE_FILES = { push: 1_000, delete: 100 };

/** The kind of a request that writes. */
export type WritePurpose = 'push' | 'delete';

/** Whether there is enough space for each kind of request. */
type Room = Readonly<Record<WritePurpose, boolean>>;

const ROOM: Room = { push: true, delete: true };

/**
 * Refuses writes before the disk of the embedded Postgres is full. A Postgres that cannot write its log
 * stops, and then pulls fail, too. With an external Postgres, nothing is refused.
 */
export class DatabaseSpace implements OnModuleInit {
  private readonly logger = new Logger('DatabaseSpace');
  private measured: Room = ROOM;
  private validUntil = 0;
  private bytesSince = 0;
  private measuring: Promise<Room> | undefined;
  private readonly expiresAfterBytes: number;

  /**
   * @param directory of the embedded cluster; undefined for an external Postgres.
   * @param reserveBytes the setting, see {@link reserveBytesOf}; 0 refuses nothing.
   * @param processes the number of processes that write to the database, including this one.
   */
  constructor(
    private readonly directory: string | undefined,
    private readonly reserveBytes: number | undefined,
    processes: number,
  ) {
    this.expiresAfterBytes = Math.max(MIN_EXPIRES_AFTER_BYTES, EXPIRES_AFTER_BYTES / processes);
  }

  /** Logs a full disk at start, before the first push is refused. */
  async onModuleInit(): Promise<void> {
    await this.isFull();
  }

  /**
   * Call it before each write. Cheap: a measurement is valid for up to a second.
   *
   * @param bytes the size of the request, if known. Many bytes make the measurement expire sooner.
   * @throws DatabaseFullError
   */
  async expectRoom(purpose: WritePurpose, bytes = 0): Promise<void> {
    this.bytesSince += bytes;
    const room = this.isValid() ? this.measured : await this.measure();
    if (!room[purpose]) throw new DatabaseFullError();
  }

  /** Whether pushes are refused now. */
  async isFull(): Promise<boolean> {
    const { push } = this.isValid() ? this.measured : await this.measure();
    return !push;
  }

  private isValid(): boolean {
    if (this.directory === undefined || this.reserveBytes === 0) return true;
    return performance.now() < this.validUntil && this.bytesSince < this.expiresAfterBytes;
  }

  /** Concurrent callers share one measurement. */
  private measure(): Promise<Room> {
    this.measuring ??= this.measureNow().finally(() => (this.measuring = undefined));
    return this.measuring;
  }

  private async measureNow(): Promise<Room> {
    this.bytesSince = 0;
    const space = await freeSpaceOf(String(this.directory)).catch((error: unknown) => {
      // Not a full disk. If the disk has failed, Postgres reports it.
      this.logger.debug({ err: error }, 'cannot measure the free space of the database');
      return undefined;
    });
    const room = space === undefined ? ROOM : this.roomIn(space);
    this.validUntil = performance.now() + EXPIRES_AFTER_MS;
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
    if (room.push)
      this.logger.warn(figures, 'the disk of the database has free space again: pushes are accepted');
    else this.logger.error(figures, 'the disk of the database is nearly full: pushes are refused');
  }
}
