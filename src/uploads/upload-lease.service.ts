import { setTimeout as delay } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import { Configuration } from '../config/configuration.js';
import { Replica } from '../config/replica.js';
import { DatabaseListener } from '../database/database-listener.js';
import { outlastOutage } from '../database/outlast-outage.js';
import { BlobUploadUnknownError } from '../oci/errors.js';
import { parseUploadId } from '../oci/upload-id.js';
import { STORAGE_DRIVER, type StorageDriver } from '../storage/storage-driver.js';
import { ActiveWriters } from './active-writers.js';
import { HeldSession } from './held-session.js';
import { UploadEventLog } from './upload-event-log.js';
import { UploadBusyError, UploadTakenOverError } from './upload.errors.js';
import type { Claimant, UploadOrigin, UploadReference, UploadSession } from './upload-session.js';
import { type Taking, UploadSessionStore } from './upload-session.store.js';

/** How long a request waits for the writer before it to let go. */
const TAKEOVER_PATIENCE_MS = 5_000;
const RETRY_MS = 50;

/** A message can get lost. */
const ASK_AGAIN_MS = 1_000;

/** How long a request of an upload outlasts a database that is restarted or fails over. */
export const DATABASE_PATIENCE_MS = 20_000;

/** `<upload id> <version>`: whoever writes to it with that version, or an older one, is to let go. */
const WANTED = 'berth_upload_wanted';

/**
 * One writer per session, whichever process it is in.
 *
 *     free ─────────────────────────────────► taken: version + 1, lease
 *     held ── asked to let go (NOTIFY) ─┬───► … it checkpoints and lets go: taken, and continued in place
 *                                       ├───► … its process has ended, or its lease lapsed: taken over, and fenced
 *                                       └───► … neither, for 5 s: 429
 *
 * The fencing version keeps a writer that lost its session without noticing from recording anything. Where the writer before never let go, the
 * driver gets a state that shares nothing with that one's (`fenceUpload`), so it can't change a byte of its successor's either.
 */
@Injectable()
export class UploadLeaseService {
  constructor(
    private readonly sessions: UploadSessionStore,
    private readonly events: UploadEventLog,
    private readonly writers: ActiveWriters,
    private readonly listener: DatabaseListener,
    private readonly replica: Replica,
    private readonly configuration: Configuration,
    @Inject(STORAGE_DRIVER) private readonly driver: StorageDriver,
  ) {
    listener.on(WANTED, (payload) => {
      const [id = '', version] = payload.split(' ');
      void this.writers.interrupt(parseUploadId(id), Number(version), 0);
    });
  }

  claimant(by: UploadOrigin): Claimant {
    return { by, replica: this.replica.name, leaseSeconds: this.configuration.uploadLeaseSeconds };
  }

  /**
   * Takes a session to write to it.
   *
   * @throws BlobUploadUnknownError when it isn't there to be written; UploadBusyError when its writer doesn't let go.
   */
  async take(reference: UploadReference, by: UploadOrigin): Promise<HeldSession> {
    const claimant = this.claimant(by);
    const giveUpAt = performance.now() + TAKEOVER_PATIENCE_MS;
    let conflict: Conflict | undefined;
    for (;;) {
      const gone = conflict?.isGone === true ? conflict.with : undefined;
      const taking = await outlastOutage(DATABASE_PATIENCE_MS, () =>
        this.sessions.acquire(reference, claimant, gone),
      );
      if (taking !== undefined) return this.hold(taking);
      const session = await this.findWritable(reference);
      if (performance.now() >= giveUpAt) throw new UploadBusyError(claimant.leaseSeconds);
      if (conflict === undefined) {
        this.events.note('conflict', { ...session, who: claimant, detail: session.leaseHolder });
      }
      conflict = await this.askToLetGo(session, conflict);
      await delay(conflict.isGone ? 0 : RETRY_MS);
    }
  }

  /** A session that was taken otherwise, see `UploadReapingStore`. */
  async hold({ session, lease, isTakeover }: Taking): Promise<HeldSession> {
    // Released without having been fenced, it would look as if its last writer had let go.
    const isUnfenced = isTakeover && session.state === 'open';
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
      const driverState = isUnfenced ? await this.fence(session, lease) : session.driverState;
      return new HeldSession({ ...session, driverState }, lease, registered.signal, release, done);
    } catch (error) {
      if (!isUnfenced) await release();
      done();
      throw error;
    }
  }

  private async fence({ id, driverState: state }: UploadSession, lease: Taking['lease']) {
    const fenced = await this.driver.fenceUpload({ id, state });
    if (!(await this.sessions.recordFence(lease, fenced))) throw new UploadTakenOverError();
    return fenced;
  }

  private async findWritable(reference: UploadReference): Promise<UploadSession> {
    const session = await this.sessions.find(reference);
    const writable = session?.state === 'open' || session?.state === 'committing';
    if (!writable) throw new BlobUploadUnknownError(reference.id);
    return session;
  }

  private async askToLetGo(session: UploadSession, before: Conflict | undefined): Promise<Conflict> {
    const { id, version, leaseHolder } = session;
    const isKnown = before?.with.version === version;
    const conflict = { with: session, isGone: false, askedAt: isKnown ? before.askedAt : -Infinity };
    if (leaseHolder === null) return conflict;
    // Seen twice: a request of this process may be just about to register.
    const isLost = leaseHolder === this.replica.name && isKnown && !this.writers.has(id, version);
    if (isLost || !(await this.listener.isPresent(leaseHolder))) return { ...conflict, isGone: true };
    void this.writers.interrupt(id, version, 0);
    if (performance.now() - conflict.askedAt < ASK_AGAIN_MS) return conflict;
    await this.listener.notify(WANTED, `${id} ${version}`);
    return { ...conflict, askedAt: performance.now() };
  }
}

/** The writer that is in the way, as it was seen last. */
interface Conflict {
  readonly with: UploadSession;
  /** Whether its process has ended, as far as anybody can tell. */
  readonly isGone: boolean;
  readonly askedAt: number;
}
