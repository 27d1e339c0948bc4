import { settleAll } from '../../common/settle-all.js';
import { checkpointDurations, hashMetrics } from '../../observability/metrics/upload.metrics.js';
import { type Digest, digestAlgorithm } from '../../oci/digest.js';
import type { FlushOptions, StorageDriver, UploadSink } from '../../storage/storage-driver.js';
import type { Hasher, HasherFactory } from '../hash/hasher.js';
import type { TarsumState } from '../hash/tarsum-state.js';
import type { HeldSession } from './held-session.js';
import { heartbeatMs, MAX_LAG_MS, type UploadProgress } from './upload-session.js';

export interface UploadWriterOptions {
  readonly driver: StorageDriver;
  readonly hashers: HasherFactory;
  /** Maximum bytes between two checkpoints. */
  readonly checkpointBytes: number;
  /** Called with the offset after each checkpoint that keeps the lease: see `UploadBody`. */
  readonly onDurable?: ((offsetBytes: number) => void) | undefined;
}

/**
 * Appends bytes to a held session. Every byte goes to the driver and to the hashers at the same time. A
 * checkpoint first makes the bytes durable, then records offset, midstates and driver state in one fenced
 * UPDATE. So the offset that a client is told is always durable, and bytes after it in the storage belong to
 * no upload.
 */
export class UploadWriter {
  private offsetBytes: number;
  private recorded: UploadProgress;
  private tarsums: readonly TarsumState[];
  private recordedAt = performance.now();
  /** When the first byte arrived that no checkpoint has recorded. */
  private waitingSince = Infinity;
  /** The offset of the next checkpoint. */
  private dueBytes: number;
  /** Whether bytes and hashes may differ since the last checkpoint: then nothing may be recorded any more. */
  private broken = false;
  /** How long this writer waited for each hash. */
  private readonly hashMs: number[];

  private constructor(
    private readonly held: HeldSession,
    private readonly sink: UploadSink,
    private readonly running: readonly Hasher[],
    private readonly options: Pick<UploadWriterOptions, 'checkpointBytes' | 'onDurable'>,
  ) {
    this.offsetBytes = held.session.offsetBytes;
    this.recorded = held.session;
    this.hashMs = running.map(() => 0);
    this.tarsums = held.session.tarsums ?? [];
    this.dueBytes = this.nextCheckpoint();
  }

  /**
   * Opens a sink at the end of the upload and resumes the hashes from their midstates. Reads no byte back.
   */
  static async open(held: HeldSession, options: UploadWriterOptions): Promise<UploadWriter> {
    const { driver, hashers } = options;
    const { id, driverState: state, offsetBytes, midstates } = held.session;
    // Without a signal: an aborted call could still truncate what the next writer has written.
    const sink = await driver.openUpload({ id, state }, offsetBytes);
    try {
      const running = midstates.map((midstate) => hashers.resume(midstate));
      return new UploadWriter(held, sink, running, options);
    } catch (error) {
      await sink.close();
      throw error;
    }
  }

  get offset(): number {
    return this.offsetBytes;
  }

  /**
   * Writes bytes. They are durable after the next checkpoint; at most `checkpointBytes` are not durable yet.
   */
  async write(chunk: Uint8Array): Promise<void> {
    let rest = chunk;
    while (rest.length > 0) {
      const room = Math.max(this.dueBytes - this.offsetBytes, 0);
      if (room > 0) await this.writeAndHash(rest.subarray(0, room));
      rest = rest.subarray(room);
      if (rest.length > 0) await this.checkpoint();
    }
    if (this.isCheckpointDue()) await this.checkpoint();
  }

  private async writeAndHash(chunk: Uint8Array): Promise<void> {
    const startedAt = performance.now();
    this.waitingSince = Math.min(this.waitingSince, startedAt);
    const hashed = this.running.map((_, index) => this.hash(index, chunk, startedAt));
    // Waits for all, even if one fails: the caller reuses the buffer.
    await this.breakOnFailure(() => settleAll([this.sink.write(chunk), ...hashed]));
    this.offsetBytes += chunk.length;
  }

  private async hash(index: number, chunk: Uint8Array, startedAt: number): Promise<void> {
    await this.running[index]?.update(chunk);
    this.hashMs[index] = (this.hashMs[index] ?? 0) + performance.now() - startedAt;
  }

  /**
   * Makes all bytes so far durable, records them, and renews or releases the lease.
   *
   * @throws UploadTakenOverError if this writer was fenced.
   */
  async checkpoint({ release = false } = {}): Promise<void> {
    const progress = await this.flush({ isLast: release });
    const recordingAt = performance.now();
    await this.breakOnFailure(() => this.held.checkpoint(progress, { release }));
    this.recorded = progress;
    this.recordedAt = performance.now();
    checkpointDurations.database.observe((this.recordedAt - recordingAt) / 1000);
    this.waitingSince = Infinity;
    this.dueBytes = this.nextCheckpoint();
    this.sink.recorded?.();
    // The response says it otherwise.
    if (!release) this.options.onDurable?.(progress.offsetBytes);
  }

  /** Makes the next flush return these tarsums, if they are of all bytes so far. */
  setTarsums(tarsums: readonly TarsumState[]): void {
    if (tarsums.every(({ lengthBytes }) => lengthBytes === this.offsetBytes)) this.tarsums = tarsums;
  }

  private nextCheckpoint(): number {
    const limit = this.recorded.offsetBytes + this.options.checkpointBytes;
    return this.sink.flushOffset?.(limit) ?? limit;
  }

  /**
   * By bytes, so that a crash costs little; and by time, so that the writer of a slow client keeps its lease.
   */
  private isCheckpointDue(): boolean {
    if (this.offsetBytes >= this.dueBytes) return true;
    const now = performance.now();
    return now - this.recordedAt >= heartbeatMs(this.held.lease) || now >= this.dueAt;
  }

  /** When a checkpoint is due even if no more bytes arrive, on the clock of `performance.now()`. */
  get dueAt(): number {
    return this.options.onDurable === undefined ? Infinity : this.waitingSince + MAX_LAG_MS;
  }

  /** Makes all bytes so far durable, and returns the progress for the caller to record. */
  async flush(options?: FlushOptions): Promise<UploadProgress> {
    const { tarsums } = this;
    if (this.offsetBytes === this.recorded.offsetBytes) return { ...this.recorded, tarsums };
    return this.breakOnFailure(async () => {
      const startedAt = performance.now();
      const driverState = await this.sink.flush(options);
      checkpointDurations.storage.observe((performance.now() - startedAt) / 1000);
      const midstates = this.running.map((hasher) => hasher.midstate());
      return { offsetBytes: this.offsetBytes, midstates, driverState, tarsums };
    });
  }

  private async breakOnFailure<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.broken = true;
      throw error;
    }
  }

  /** After a failure: keeps what arrived, unless bytes and hashes may differ. Never rejects. */
  async salvage(): Promise<void> {
    if (!this.broken) await this.checkpoint().catch(() => undefined);
  }

  /** The digests of the bytes so far, one per running algorithm. */
  digests(): Digest[] {
    return this.running.map((hasher) => hasher.digest());
  }

  /** Frees handles and hash states. Never rejects. */
  async close(): Promise<void> {
    this.countHashes();
    for (const hasher of this.running) hasher.dispose();
    const driverState = await this.sink.close();
    // Bytes of this writer may still arrive in the storage: the next writer needs the state that avoids them.
    if (driverState !== undefined) await this.held.recordClosed({ ...this.recorded, driverState });
  }

  private countHashes(): void {
    const bytesHashed = this.offsetBytes - this.held.session.offsetBytes;
    for (const [index, { algorithm }] of this.running.entries()) {
      const { bytes, seconds } = hashMetrics(algorithm);
      bytes.inc(bytesHashed);
      seconds.inc((this.hashMs[index] ?? 0) / 1000);
    }
  }
}

/** The one among `digests` with the algorithm of `wanted`. */
export function digestLike(wanted: Digest, digests: readonly Digest[]): Digest | undefined {
  return digests.find((digest) => digestAlgorithm(digest) === digestAlgorithm(wanted));
}
