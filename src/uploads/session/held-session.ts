import type { Lease, UploadSession } from './upload-session.js';

/** A session that one request alone may change, until `release`. */
export class HeldSession {
  /** How much is durable by now, as far as the request got. */
  durableBytes: number;
  private isReleased = false;

  constructor(
    readonly session: UploadSession,
    readonly lease: Lease,
    /** Aborted when another request wants the session, or when the process stops. */
    readonly signal: AbortSignal,
    private readonly letGo: () => Promise<void>,
    private readonly done: () => void,
  ) {
    this.durableBytes = session.offsetBytes;
  }

  /** Called by whoever let go of the lease in an UPDATE of its own, so that `release` needs none. */
  markReleased(): void {
    this.isReleased = true;
  }

  /** Leaves the lease to lapse, so that whoever takes the session next has it fenced. */
  abandon(): void {
    this.isReleased = true;
  }

  /** Lets go. To be called when nothing writes any more. Never rejects: a lease that can't be released lapses. */
  async release(): Promise<void> {
    try {
      if (!this.isReleased) await this.letGo();
    } finally {
      this.done();
    }
  }
}
