import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { BlobUploadUnknownError } from '../oci/errors.js';
import { ActiveWriters } from './active-writers.js';
import { UploadBusyError } from './upload.errors.js';
import type { UploadReference, UploadSession } from './upload-session.js';
import { UploadSessionStore } from './upload-session.store.js';

/** How long a writer may be silent before another one may take its session. Prolonged by every checkpoint. */
export const LEASE_SECONDS = 30;

/** A writer prolongs its lease this often, however fast or slowly bytes come. */
export const LEASE_HEARTBEAT_MS = (LEASE_SECONDS * 1000) / 4;

/** How long a request waits for the writer before it to let go. */
const TAKEOVER_PATIENCE_MS = 5_000;
const RETRY_MS = 100;

/** A session that this request alone may change, until `release`. */
export interface HeldSession {
  readonly session: UploadSession;
  /** Aborted when another request wants the session, or when the process stops. */
  readonly signal: AbortSignal;
  /** Called by whoever let go of the lease in an UPDATE of its own, so that `release` needs none. */
  markReleased(): void;
  /** Lets go. Never rejects: a lease that can't be released lapses. */
  release(): Promise<void>;
}

/**
 * One writer per session. The lease in the row says who it is; the fencing version, raised by every taking, keeps a
 * writer that lost its lease without noticing from recording anything. A writer of this process is always waited for: it
 * has closed its end of the driver before the session is given to the next one.
 */
@Injectable()
export class UploadLeaseService {
  /** Unique to this process, so that a lease of the one before it is never mistaken for our own. */
  private readonly holder = `${hostname()}/${process.pid}/${randomUUID()}`;

  constructor(
    private readonly sessions: UploadSessionStore,
    private readonly writers: ActiveWriters,
  ) {}

  /**
   * Takes a session to write to it.
   *
   * @throws BlobUploadUnknownError when it isn't there to be written; UploadBusyError when its writer doesn't let go.
   */
  async take(reference: UploadReference): Promise<HeldSession> {
    const giveUpAt = performance.now() + TAKEOVER_PATIENCE_MS;
    for (;;) {
      const session = await this.sessions.acquire(reference, this.holder, LEASE_SECONDS);
      if (session !== undefined) return this.hold(session, giveUpAt - performance.now());
      await this.refuseUnlessWritable(reference);
      if (performance.now() >= giveUpAt) throw new UploadBusyError(LEASE_SECONDS);
      await this.writers.interrupt(reference.id, giveUpAt - performance.now());
      await delay(RETRY_MS);
    }
  }

  private async hold(session: UploadSession, patienceMs: number): Promise<HeldSession> {
    const release = () => this.sessions.release(session.id, session.version).catch(() => undefined);
    try {
      // Whose lease lapsed under it, storage being slow: fenced by now, but its end of the driver is still open.
      await this.writers.interrupt(session.id, patienceMs);
      const { signal, done } = this.writers.register(session.id);
      let released = false;
      return {
        session,
        signal,
        markReleased: () => (released = true),
        release: () => (released ? Promise.resolve() : release()).finally(done),
      };
    } catch (error) {
      await release();
      throw error;
    }
  }

  private async refuseUnlessWritable(reference: UploadReference): Promise<void> {
    const session = await this.sessions.find(reference);
    const writable = session?.state === 'open' || session?.state === 'committing';
    if (!writable) throw new BlobUploadUnknownError(reference.id);
  }
}
