import { isSampled } from '../../events/recording-event.js';
import type { Midstate } from '../hash/hasher.js';
import { UploadTakenOverError } from '../upload.errors.js';
import type { CommitIntent, UploadSessionStore } from './upload-session.store.js';
import { heartbeatMs, type Lease, type UploadProgress, type UploadSession } from './upload-session.js';

/**
 * A session that one request alone may change: the row as it was acquired, and the lease, until `release`.
 */
export class HeldSession {
  private recordedBytes: number;
  private bodyStart: Midstate | undefined;
  /** Whether `release` has nothing to do. */
  private isReleased = false;

  /**
   * @param intent set if the whole content may be stored at once.
   * @param signal aborts when another request wants the session, or when the process stops.
   * @param unregister called when the session is released.
   */
  constructor(
    readonly session: UploadSession,
    readonly lease: Lease,
    readonly intent: CommitIntent | undefined,
    readonly signal: AbortSignal,
    private readonly sessions: UploadSessionStore,
    private readonly unregister: () => void,
  ) {
    this.recordedBytes = session.offsetBytes;
  }

  /** The offset that the row has, as far as this request knows. */
  get durableBytes(): number {
    return this.recordedBytes;
  }

  /** Makes the checkpoints record where the body of this request begins. Byte 0 needs no record. */
  beginBody(start: Midstate): void {
    if (start.lengthBytes > 0) this.bodyStart = start;
  }

  /**
   * Records progress that the driver has made durable, and renews the lease, or releases it in the same
   * statement.
   *
   * @throws UploadTakenOverError if this request was fenced.
   */
  async checkpoint(progress: UploadProgress, { release = false } = {}): Promise<void> {
    const recordEvent = isSampled(this.recordedBytes, progress.offsetBytes);
    const options = { release, recordEvent, bodyStart: this.bodyStart };
    if (!(await this.sessions.checkpoint(this.lease, progress, options))) {
      throw new UploadTakenOverError();
    }
    this.recordedBytes = progress.offsetBytes;
    this.isReleased ||= release;
  }

  /**
   * Records what the next writer must continue from, where a sink was closed with bytes in flight. If that
   * fails, the lease is left to expire: the next writer then fences this one.
   */
  async recordClosed(progress: UploadProgress): Promise<void> {
    try {
      // A fenced writer records nothing, and its successor has a state of its own.
      await this.sessions.tryCheckpoint(this.lease, progress);
    } catch {
      this.isReleased = true;
    }
  }

  /**
   * Runs the statement that ends the session, and the lease with it.
   *
   * @throws UploadTakenOverError if the statement returns undefined: this request was fenced.
   */
  async end<T>(statement: (lease: Lease) => Promise<T | undefined>): Promise<T> {
    const result = await statement(this.lease);
    if (result === undefined) throw new UploadTakenOverError();
    this.isReleased = true;
    return result;
  }

  /**
   * Renews the lease while `work` runs that makes no checkpoints. A renewal that fails is ignored: if this
   * request was fenced, the next statement of `work` finds out.
   */
  async keepAlive<T>(work: () => Promise<T>): Promise<T> {
    const timer = setInterval(() => {
      this.sessions.renew(this.lease).catch(() => undefined);
    }, heartbeatMs(this.lease));
    try {
      return await work();
    } finally {
      clearInterval(timer);
    }
  }

  /** Whether the row still names this request's fencing version. */
  async isOurs(): Promise<boolean> {
    return this.sessions.renew(this.lease);
  }

  /**
   * Releases the lease, unless a statement has done so. Call it when nothing writes any more. Never rejects.
   */
  async release(): Promise<void> {
    try {
      if (!this.isReleased) await this.sessions.release(this.lease);
    } catch {
      // The lease expires.
    } finally {
      this.unregister();
    }
  }
}
