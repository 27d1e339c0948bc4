import { Inject, Injectable } from '@nestjs/common';
import { Replica } from '../../common/replica.js';
import { Configuration } from '../../config/configuration.js';
import { UploadEventLog } from '../../events/upload-event-log.js';
import { BlobUploadInvalidError, BlobUploadUnknownError } from '../../oci/errors.js';
import { type DriverUploadState, STORAGE_DRIVER, type StorageDriver } from '../../storage/storage-driver.js';
import { UploadStateError } from '../../storage/storage.errors.js';
import { UploadBusyError, UploadOffsetError, UploadTakenOverError } from '../upload.errors.js';
import { ActiveWriters } from './active-writers.js';
import { HeldSession } from './held-session.js';
import { type Conflict, TakeoverRequests } from './takeover-requests.js';
import type { Lease, LeaseRequest, UploadOrigin, UploadReference, UploadSession } from './upload-session.js';
import { type AcquiredSession, type AcquireOptions, UploadSessionStore } from './upload-session.store.js';

export interface AcquisitionOptions extends Pick<AcquireOptions, 'intent'> {
  /** Whether the caller writes no more bytes to the session. */
  readonly toEnd?: boolean;
  /**
   * Whether the client has lost the request that holds the session: its writer then counts as gone if it does
   * not release the session within a second.
   */
  readonly takesOver?: boolean | undefined;
  /** Where the client states that its body begins: see `UploadBody`. */
  readonly statedOffset?: number | undefined;
}

/** How long a request waits for the current writer to release the session. */
const TAKEOVER_TIMEOUT_MS = 5_000;
const SHORT_TIMEOUT_MS = 1_000;

/**
 * One writer per session, across all processes.
 *
 *     free ─────────────────────────────────► acquired: version + 1, lease
 *     held ── asked to release (NOTIFY) ─┬──► it checkpoints and releases: acquired, continued in place
 *                                        ├──► its process has ended, or its lease expired: acquired, fenced
 *                                        ├──► none of it within 1 s, and `takesOver`: acquired, fenced
 *                                        └──► none of it within 5 s: 429
 *
 * The fencing version keeps a writer that lost its session without noticing from recording anything. If the
 * earlier writer never released the session, the driver also gets a new state that shares nothing with the
 * old one (`fenceUpload`), so that writer can't change a byte of its successor's. The row remembers that this
 * is still to be done, even if the lease is released meanwhile.
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

  leaseRequest(origin: UploadOrigin): LeaseRequest {
    return { ...origin, replica: this.replica.name, leaseSeconds: this.configuration.uploadLeaseSeconds };
  }

  /**
   * Acquires a session.
   *
   * @throws BlobUploadUnknownError if the session does not exist or has ended; UploadBusyError if its writer
   *   doesn't release it within 5 s; UploadOffsetError if another request writes to it and it has more bytes
   *   than the client states. That writer is not interrupted.
   */
  async acquire(
    reference: UploadReference,
    origin: UploadOrigin,
    { toEnd = false, intent, takesOver = false, statedOffset = Infinity }: AcquisitionOptions = {},
  ): Promise<HeldSession> {
    const request = this.leaseRequest(origin);
    const deadline = performance.now() + TAKEOVER_TIMEOUT_MS;
    let conflict: Conflict | undefined;
    for (;;) {
      const gone = conflict && isGone(conflict, takesOver) ? conflict.with : undefined;
      const acquired = await this.sessions.acquire(reference, request, { gone, intent });
      if (acquired !== undefined) return this.hold(acquired, { toEnd });
      const session = await this.findUnended(reference);
      // A request that was delayed, whose client has sent its bytes again.
      if (session.state === 'open' && statedOffset < session.offsetBytes) {
        throw UploadOffsetError.stated(session, statedOffset);
      }
      if (performance.now() >= deadline) throw new UploadBusyError(request.leaseSeconds);
      if (conflict === undefined) {
        this.events.record('conflict', { ...session, origin: request, detail: session.leaseHolder });
      }
      conflict = await this.takeovers.ask(session, conflict);
    }
  }

  /** Holds a session whose row was acquired. If that fails, the lease is released. */
  async hold(
    { session, lease, needsFence, intent }: AcquiredSession,
    { toEnd = false } = {},
  ): Promise<HeldSession> {
    let unregister: () => void = () => undefined;
    try {
      const { signal, done } = this.writers.register(lease);
      unregister = done;
      const fence = needsFence && session.state === 'open' && !toEnd;
      const driverState = fence ? await this.fence(session, lease) : session.driverState;
      const current = { ...session, driverState };
      return new HeldSession(current, lease, intent, signal, this.sessions, unregister);
    } catch (error) {
      await this.sessions.release(lease).catch(() => undefined);
      unregister();
      throw error;
    }
  }

  private async fence({ id, driverState: state }: UploadSession, lease: Lease): Promise<DriverUploadState> {
    const fenced = await this.driver.fenceUpload({ id, state }).catch((cause: unknown) => {
      if (!(cause instanceof UploadStateError)) throw cause;
      throw new BlobUploadInvalidError('this upload cannot continue; start a new one', { cause });
    });
    if (!(await this.sessions.recordFence(lease, fenced))) throw new UploadTakenOverError();
    return fenced;
  }

  private async findUnended(reference: UploadReference): Promise<UploadSession> {
    const session = await this.sessions.find(reference);
    const isUnended = session?.state === 'open' || session?.state === 'committing';
    if (!isUnended) throw new BlobUploadUnknownError(reference.id);
    return session;
  }
}

function isGone({ isGone: hasEnded, since }: Conflict, takesOver: boolean): boolean {
  return hasEnded || (takesOver && performance.now() - since >= SHORT_TIMEOUT_MS);
}
