import { Inject, Injectable } from '@nestjs/common';
import { Configuration } from '../../config/configuration.js';
import { Replica } from '../../common/replica.js';
import { outlastOutage } from '../../database/outlast-outage.js';
import { BlobUploadInvalidError, BlobUploadUnknownError } from '../../oci/errors.js';
import { type DriverUploadState, STORAGE_DRIVER, type StorageDriver } from '../../storage/storage-driver.js';
import { UploadStateError } from '../../storage/storage.errors.js';
import { ActiveWriters } from './active-writers.js';
import { DATABASE_PATIENCE_MS } from './database-patience.js';
import { HeldSession } from './held-session.js';
import { type Conflict, TakeoverRequests } from './takeover-requests.js';
import { UploadEventLog } from '../../events/upload-event-log.js';
import { UploadBusyError, UploadTakenOverError } from '../upload.errors.js';
import type { Claimant, Lease, UploadOrigin, UploadReference, UploadSession } from './upload-session.js';
import { type Taking, UploadSessionStore } from './upload-session.store.js';

/** How long a request waits for the writer before it to let go. */
const TAKEOVER_PATIENCE_MS = 5_000;

/**
 * One writer per session, whichever process it is in.
 *
 *     free ─────────────────────────────────► taken: version + 1, lease
 *     held ── asked to let go (NOTIFY) ─┬───► … it checkpoints and lets go: taken, and continued in place
 *                                       ├───► … its process has ended, or its lease lapsed: taken over, and fenced
 *                                       └───► … neither, for 5 s: 429
 *
 * The fencing version keeps a writer that lost its session without noticing from recording anything. Where the writer before never let go, the
 * driver gets a state that shares nothing with that one's (`fenceUpload`), so it can't change a byte of its successor's either. The row remembers that
 * this is still to be done, whoever releases the lease meanwhile.
 */
@Injectable()
export class UploadLeaseService {
  constructor(
    private readonly sessions: UploadSessionStore,
    private readonly events: UploadEventLog,
    private readonly writers: ActiveWriters,
    private readonly takeovers: TakeoverRequests,
    private readonly replica: Replica,
    private readonly configuration: Configuration,
    @Inject(STORAGE_DRIVER) private readonly driver: StorageDriver,
  ) {}

  claimant(by: UploadOrigin): Claimant {
    return { by, replica: this.replica.name, leaseSeconds: this.configuration.uploadLeaseSeconds };
  }

  /**
   * Takes a session to change it; `toEnd` when nothing will be written to it any more.
   *
   * @throws BlobUploadUnknownError when it isn't there to be written; UploadBusyError when its writer doesn't let go.
   */
  async take(reference: UploadReference, by: UploadOrigin, { toEnd = false } = {}): Promise<HeldSession> {
    const claimant = this.claimant(by);
    const giveUpAt = performance.now() + TAKEOVER_PATIENCE_MS;
    let conflict: Conflict | undefined;
    for (;;) {
      const gone = conflict?.isGone === true ? conflict.with : undefined;
      const taking = await outlastOutage(DATABASE_PATIENCE_MS, () =>
        this.sessions.acquire(reference, claimant, gone),
      );
      if (taking !== undefined) return this.hold(taking, { toEnd });
      const session = await this.findWritable(reference);
      if (performance.now() >= giveUpAt) throw new UploadBusyError(claimant.leaseSeconds);
      if (conflict === undefined) {
        this.events.note('conflict', { ...session, who: claimant, detail: session.leaseHolder });
      }
      conflict = await this.takeovers.ask(session, conflict);
    }
  }

  /** A session that was taken, by `UploadReapingStore` for instance. */
  async hold({ session, lease, isAbandoned }: Taking, { toEnd = false } = {}): Promise<HeldSession> {
    const release = async () => {
      try {
        await this.sessions.release(lease);
      } catch {
        // While it can be reached again in the lease's time, nobody has to wait for the lease to lapse.
        outlastOutage(lease.leaseSeconds * 1000, () => this.sessions.release(lease)).catch(() => undefined);
      }
    };
    let done: () => void = () => undefined;
    try {
      const registered = this.writers.register(lease);
      done = registered.done;
      const isToBeFenced = isAbandoned && session.state === 'open' && !toEnd;
      const driverState = isToBeFenced ? await this.fence(session, lease) : session.driverState;
      return new HeldSession({ ...session, driverState }, lease, registered.signal, release, done);
    } catch (error) {
      await release();
      done();
      throw error;
    }
  }

  private async fence({ id, driverState: state }: UploadSession, lease: Lease): Promise<DriverUploadState> {
    const fenced = await this.driver.fenceUpload({ id, state }).catch((cause: unknown) => {
      if (!(cause instanceof UploadStateError)) throw cause;
      throw new BlobUploadInvalidError('the upload can not go on; begin it anew', { cause });
    });
    const isRecorded = await outlastOutage(DATABASE_PATIENCE_MS, () =>
      this.sessions.recordFence(lease, fenced),
    );
    if (!isRecorded) throw new UploadTakenOverError();
    return fenced;
  }

  private async findWritable(reference: UploadReference): Promise<UploadSession> {
    const session = await outlastOutage(DATABASE_PATIENCE_MS, () => this.sessions.find(reference));
    const writable = session?.state === 'open' || session?.state === 'committing';
    if (!writable) throw new BlobUploadUnknownError(reference.id);
    return session;
  }
}
