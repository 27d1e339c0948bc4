import { type Digest, digestAlgorithm } from '../../oci/digest.js';
import type { FlushOptions, StorageDriver, UploadSink } from '../../storage/storage-driver.js';
import type { Hasher, HasherFactory } from '../hash/hasher.js';
import { outlastOutage } from '../../database/outlast-outage.js';
import { UploadTakenOverError } from '../upload.errors.js';
import { isSampled } from '../../events/upload-events.js';
import { heartbeatMs, type Lease, type UploadProgress, type UploadSession } from './upload-session.js';
import type { UploadSessionStore } from './upload-session.store.js';

export interface UploadWriterServices {
  readonly driver: StorageDriver;
  readonly hashers: HasherFactory;
  readonly sessions: UploadSessionStore;
  /** Most bytes between two checkpoints. */
  readonly checkpointBytes: number;
  /** How long a checkpoint outlasts a database that can't be reached. */
  readonly databasePatienceMs: number;
}

/**
 * The end of a held session while bytes come in. Every byte goes to the driver and to the hashers at the same time;
 * a checkpoint first makes the bytes durable, then records offset, midstates and driver state in one fenced UPDATE.
 * The offset that a client can be told is therefore always durable, and what follows it in storage is nobody's.
 */
export class UploadWriter {
  private offsetBytes: number;
  private recorded: UploadProgress;
  private recordedAt = performance.now();
  /** Where the next checkpoint is due. */
  private dueBytes: number;
  /** Bytes and hashes no longer go together: nothing after the last checkpoint may be recorded. */
  private broken = false;

  private constructor(
    session: UploadSession,
    private readonly lease: Lease,
    private readonly sink: UploadSink,
    private readonly running: readonly Hasher[],
    private readonly services: UploadWriterServices,
  ) {
    this.offsetBytes = session.offsetBytes;
    this.recorded = session;
    this.dueBytes = this.nextCheckpoint();
  }

  /** Opens the driver's end and resumes the hashes from their midstates: no byte is read back. */
  static async open(
    session: UploadSession,
    lease: Lease,
    services: UploadWriterServices,
  ): Promise<UploadWriter> {
    const upload = { id: session.id, state: session.driverState };
    // Without a signal: a call given up half-way could still cut off what the next writer has written.
    const sink = await services.driver.openUpload(upload, session.offsetBytes);
    try {
      const running = session.midstates.map((midstate) => services.hashers.resume(midstate));
      return new UploadWriter(session, lease, sink, running, services);
    } catch (error) {
      await sink.close();
      throw error;
    }
  }

  get offset(): number {
    return this.offsetBytes;
  }

  /** What has been recorded. */
  get durableBytes(): number {
    return this.recorded.offsetBytes;
  }

  /** Takes bytes; they are durable after the next checkpoint. Never more than `checkpointBytes` are not. */
  async write(chunk: Uint8Array): Promise<void> {
    let rest = chunk;
    while (rest.length > 0) {
      const room = Math.max(this.dueBytes - this.offsetBytes, 0);
      if (room > 0) await this.take(rest.subarray(0, room));
      rest = rest.subarray(room);
      if (rest.length > 0) await this.checkpoint();
    }
    if (this.isCheckpointDue()) await this.checkpoint();
  }

  private async take(chunk: Uint8Array): Promise<void> {
    // Both have to be done with the buffer before it is given back, whatever became of either.
    const outcomes = await Promise.allSettled([
      this.sink.write(chunk),
      ...this.running.map((hasher) => hasher.update(chunk)),
    ]);
    const failure = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failure !== undefined) {
      this.broken = true;
      throw failure.reason;
    }
    this.offsetBytes += chunk.length;
  }

  /**
   * Makes everything written so far durable and records it, prolonging the lease (with nothing new, that alone) or
   * letting go of it.
   *
   * @throws UploadTakenOverError when fenced.
   */
  async checkpoint({ letGo = false } = {}): Promise<void> {
    const progress = await this.flush({ isLast: letGo });
    if (!(await this.record(progress, letGo))) {
      this.broken = true;
      throw new UploadTakenOverError();
    }
    this.recorded = progress;
    this.recordedAt = performance.now();
    this.dueBytes = this.nextCheckpoint();
    this.sink.recorded?.();
  }

  private async record(progress: UploadProgress, letGo: boolean): Promise<boolean> {
    const { sessions, databasePatienceMs } = this.services;
    const leaveEvent = isSampled(this.recorded.offsetBytes, progress.offsetBytes);
    try {
      return await outlastOutage(databasePatienceMs, () =>
        sessions.checkpoint(this.lease, progress, { letGo, leaveEvent }),
      );
    } catch (error) {
      // It has been tried for long enough.
      this.broken = true;
      throw error;
    }
  }

  private nextCheckpoint(): number {
    const limit = this.recorded.offsetBytes + this.services.checkpointBytes;
    return this.sink.flushOffset?.(limit) ?? limit;
  }

  /** By bytes, so that a crash costs little; and by time, so that a slow client's writer keeps its lease. */
  private isCheckpointDue(): boolean {
    return (
      this.offsetBytes >= this.dueBytes || performance.now() - this.recordedAt >= heartbeatMs(this.lease)
    );
  }

  /** Makes everything written so far durable and answers what is to be recorded, for a caller that records it itself. */
  async flush(options?: FlushOptions): Promise<UploadProgress> {
    if (this.offsetBytes === this.recorded.offsetBytes) return this.recorded;
    try {
      const driverState = await this.sink.flush(options);
      const midstates = this.running.map((hasher) => hasher.midstate());
      return { offsetBytes: this.offsetBytes, midstates, driverState };
    } catch (error) {
      this.broken = true;
      throw error;
    }
  }

  /** After a failure: keeps what arrived, where bytes and hashes still go together. Never rejects. */
  async salvage(): Promise<void> {
    if (!this.broken) await this.checkpoint().catch(() => undefined);
  }

  /** The digests of the bytes so far, one per running algorithm. */
  digests(): Digest[] {
    return this.running.map((hasher) => hasher.digest());
  }

  /**
   * Lets go of handles and hash states. Never rejects. Answers whether the next writer can go on by what is recorded: not
   * where something of this one may still arrive in storage, and the row could not be told.
   */
  async close(): Promise<boolean> {
    for (const hasher of this.running) hasher.dispose();
    const driverState = await this.sink.close();
    if (driverState === undefined) return true;
    try {
      // Refused, it is somebody else's concern by now, or nobody's.
      await this.services.sessions.checkpoint(this.lease, { ...this.recorded, driverState });
      return true;
    } catch {
      return false;
    }
  }
}

/** The one among `digests` that has the algorithm of `wanted`. */
export function digestLike(wanted: Digest, digests: readonly Digest[]): Digest | undefined {
  return digests.find((digest) => digestAlgorithm(digest) === digestAlgorithm(wanted));
}
