import { Inject, Injectable, Logger } from '@nestjs/common';
import { Configuration } from '../config/configuration.js';
import { DatabaseSpace } from '../database/database-space.js';
import { UploadEventLog } from '../events/upload-event-log.js';
import {
  CANONICAL_ALGORITHM,
  DIGEST_ALGORITHMS,
  type Digest,
  type DigestAlgorithm,
  digestAlgorithm,
} from '../oci/digest.js';
import { uploadFailures, uploadsStarted } from '../observability/metrics/upload.metrics.js';
import { BlobUploadInvalidError, BlobUploadUnknownError, RegistryError } from '../oci/errors.js';
import type { RepositoryName } from '../oci/repository-name.js';
import { type BlobAlgorithm, isTarsumAlgorithm } from '../oci/tarsum.js';
import { newUploadId } from '../oci/upload-id.js';
import { canReadUploads, canStore, MAX_STORED_UPLOAD_BYTES } from '../storage/driver-abilities.js';
import { STORAGE_DRIVER, type StorageDriver } from '../storage/storage-driver.js';
import { UploadStateError } from '../storage/storage.errors.js';
import type { UploadBody } from '../transfer/read-body.js';
import { UploadReclaimService } from './cleanup/upload-reclaim.service.js';
import { UploadCommitService } from './commit/upload-commit.service.js';
import { digestsOf } from './hash/digests-of.js';
import { HASHER_FACTORY, type HasherFactory } from './hash/hasher.js';
import { initialMidstate } from './hash/midstate.js';
import { initialTarsumState } from './hash/tarsum-state.js';
import type { HeldSession } from './session/held-session.js';
import { ReceivedBody } from './session/received-body.js';
import { type AcquisitionOptions, UploadLeaseService } from './session/upload-lease.service.js';
import type {
  LeaseRequest,
  UploadOrigin,
  UploadProgress,
  UploadReference,
  UploadSession,
} from './session/upload-session.js';
import { SessionLimits } from './session/session-limits.js';
import { UploadSessionStore } from './session/upload-session.store.js';
import { failureKind, failureReason, UploadTakenOverError } from './upload.errors.js';
import type { WantedDigests } from './wanted-digests.js';

type TakeoverOption = Pick<AcquisitionOptions, 'takesOver'>;

/**
 * The upload protocol. The whole state of a session is its row, so any process can serve any request of it.
 *
 *     start ──► append* ──► commit        each: acquire the session, raising its fencing version
 *        └────────┴──► cancel             bytes → driver and hashes → checkpoint (fenced UPDATE)
 *                                         release, also when the client disconnects: what arrived is kept
 *
 * Content that arrives in one small body takes fewer steps: acquiring the session records its digest, the
 * driver stores it in one call, and the commit records the rest.
 */
@Injectable()
export class UploadService {
  private readonly logger = new Logger(UploadService.name);

  constructor(
    private readonly sessions: UploadSessionStore,
    private readonly leases: UploadLeaseService,
    private readonly commits: UploadCommitService,
    private readonly reclaims: UploadReclaimService,
    private readonly events: UploadEventLog,
    @Inject(STORAGE_DRIVER) private readonly driver: StorageDriver,
    @Inject(HASHER_FACTORY) private readonly hashers: HasherFactory,
    private readonly configuration: Configuration,
    private readonly space: DatabaseSpace,
    private readonly limits: SessionLimits,
  ) {}

  /**
   * Creates a session.
   *
   * @param announced the algorithm of the digest that the client will send. sha256 is always computed. If the
   *   digest has an algorithm that was not announced, commit must read the bytes back. A tarsum is computed
   *   by the request that brings byte 0.
   */
  async start(
    repository: RepositoryName,
    announced: BlobAlgorithm | undefined,
    origin: UploadOrigin,
  ): Promise<UploadReference & { offsetBytes: number }> {
    const id = newUploadId();
    const driverState = await this.driver.createUpload(id);
    const midstates = this.algorithms(announced).map(initialMidstate);
    const tarsums = [announced ?? CANONICAL_ALGORITHM].filter(isTarsumAlgorithm).map(initialTarsumState);
    const progress = { offsetBytes: 0, midstates, driverState, tarsums };
    await this.insert({ repository, id }, progress, this.leases.leaseRequest(origin));
    uploadsStarted.inc();
    return { repository, id, offsetBytes: 0 };
  }

  /** @throws TooManySessionsError */
  private async insert(
    reference: UploadReference,
    progress: UploadProgress,
    request: LeaseRequest,
  ): Promise<void> {
    const { repository } = reference;
    const due = this.limits.due(repository);
    if (due === undefined) return this.sessions.insert(reference, progress, request);
    const open = await this.sessions.insertWithin(due, reference, progress, request);
    if (open !== undefined) throw this.limits.refused(repository, due, open);
    this.limits.inserted(repository, due);
  }

  /** All of them if the driver can't read an upload back: commit could not compute another one. */
  private algorithms(announced: BlobAlgorithm = CANONICAL_ALGORITHM): readonly DigestAlgorithm[] {
    if (!canReadUploads(this.driver)) return DIGEST_ALGORITHMS;
    return DIGEST_ALGORITHMS.filter((known) => known === CANONICAL_ALGORITHM || known === announced);
  }

  /**
   * Returns the progress of a session, also of a committed one: a client may have missed the response.
   *
   * @throws BlobUploadUnknownError
   */
  async status(reference: UploadReference): Promise<UploadSession> {
    const session = await this.sessions.find(reference);
    if (session === undefined || session.state === 'cancelled' || session.state === 'expired') {
      throw new BlobUploadUnknownError(reference.id);
    }
    return session;
  }

  /**
   * Appends a body to a session and returns the new durable offset. Of a repeated body, appends only what the
   * session lacks.
   *
   * @throws UploadOffsetError if the body starts at another offset and is no repetition; SizeInvalidError if
   *   the body's length differs from its range (bytes within the range are kept).
   */
  async append(
    reference: UploadReference,
    body: UploadBody,
    origin: UploadOrigin,
    { takesOver }: TakeoverOption = {},
  ): Promise<{ offsetBytes: number }> {
    const append = async (held: HeldSession) => {
      expectOpen(held.session);
      return this.withBody(held, body, (received) =>
        received.append([], async (writer) => {
          await writer.checkpoint({ release: true });
          return { offsetBytes: writer.offset };
        }),
      );
    };
    const { statedOffset } = body;
    return this.withSession(reference, origin, append, { takesOver, statedOffset });
  }

  /**
   * Appends a last body, if there is one, as `append` does, and makes the session's bytes a blob with the
   * wanted digests. Returns its sha256 digest. Idempotent.
   *
   * @throws DigestInvalidError if the bytes have another digest; the session stays open, with all its bytes.
   *   BlobUploadUnknownError if the session has ended, also if its blob was deleted since.
   */
  async commit(
    reference: UploadReference,
    wanted: WantedDigests,
    body: UploadBody | undefined,
    origin: UploadOrigin,
    { takesOver }: TakeoverOption = {},
  ): Promise<Digest> {
    const commit = (held: HeldSession) => this.commitHeld(held, wanted, body);
    const intent = this.intentOf(wanted, body);
    const options = { intent, takesOver, statedOffset: body?.statedOffset };
    try {
      return await this.withSession(reference, origin, commit, options);
    } catch (error) {
      if (!(error instanceof BlobUploadUnknownError)) throw error;
      // A repeated request, whose first response was lost, succeeds again.
      const canonical = await this.sessions.renewCommitted(reference, wanted);
      if (canonical === undefined) throw error;
      return canonical;
    }
  }

  /**
   * Pushes a blob in one request, and returns its sha256 digest. The client never learns of the session, so
   * the session always ends here.
   *
   * @throws DigestInvalidError, SizeInvalidError
   */
  async pushWhole(
    repository: RepositoryName,
    wanted: WantedDigests,
    body: UploadBody,
    origin: UploadOrigin,
  ): Promise<Digest> {
    const { additional } = wanted;
    const announced = additional && digestAlgorithm(additional);
    const session = await this.start(repository, announced, origin);
    const commit = async (held: HeldSession) => {
      try {
        return await this.commitHeld(held, wanted, body);
      } catch (error) {
        // With the same lease: a process that is stopping can't acquire another one.
        await this.cancelHeld(held).catch(() => undefined);
        throw error;
      }
    };
    return this.withSession(session, origin, commit, { intent: this.intentOf(wanted, body) });
  }

  /**
   * Ends a session and removes its bytes, also if its commit was interrupted. Succeeds as soon as the row
   * says so: the reaper removes bytes that can't be removed now.
   *
   * @throws BlobUploadUnknownError if the session has ended.
   */
  async cancel(
    reference: UploadReference,
    origin: UploadOrigin,
    { takesOver }: TakeoverOption = {},
  ): Promise<void> {
    await this.withSession(reference, origin, (held) => this.cancelHeld(held), { toEnd: true, takesOver });
  }

  /** Acquires the session for `work`, records a failure as an event, and always releases the session. */
  private async withSession<T>(
    reference: UploadReference,
    origin: UploadOrigin,
    work: (held: HeldSession) => Promise<T>,
    options?: AcquisitionOptions,
  ): Promise<T> {
    const held = await this.leases.acquire(reference, origin, options);
    try {
      return await work(held);
    } catch (failure) {
      const error = await this.explain(failure, held);
      const { session, lease, durableBytes: offsetBytes } = held;
      if (error instanceof RegistryError) error.durableOffset = offsetBytes;
      uploadFailures.inc([failureReason(error)]);
      this.events.record(failureKind(error), {
        id: session.id,
        offsetBytes,
        origin: lease,
        detail: classNameOf(error),
      });
      throw error;
    } finally {
      await held.release();
    }
  }

  private async withBody<T>(
    held: HeldSession,
    body: UploadBody,
    work: (received: ReceivedBody) => Promise<T>,
  ): Promise<T> {
    const { driver, hashers, configuration, space } = this;
    const received = new ReceivedBody(held, body, { driver, hashers, configuration, space });
    body.onDurable?.(held.durableBytes);
    try {
      return await work(received);
    } finally {
      await received.close();
    }
  }

  /** The digest to record when the session is acquired, if the body may be stored at once. */
  private intentOf({ only, additional }: WantedDigests, body: UploadBody | undefined): Digest | undefined {
    const { lengthBytes = Infinity } = body ?? {};
    const isSmall = lengthBytes > 0 && lengthBytes <= MAX_STORED_UPLOAD_BYTES;
    const isStorable = isSmall && canStore(this.driver) && additional === undefined;
    return isStorable ? only : undefined;
  }

  private async commitHeld(
    held: HeldSession,
    wanted: WantedDigests,
    body: UploadBody | undefined,
  ): Promise<Digest> {
    const { session } = held;
    if (session.state === 'committing') return this.commits.resume(held, wanted);
    if (body === undefined) {
      return this.commits.commit(held, session, digestsOf(session.midstates, this.hashers), wanted);
    }
    return this.withBody(held, body, async (received) => {
      const content = wanted.only && (await received.whole(wanted.only));
      if (content !== undefined) return this.commits.store(held, content);
      return received.append(wanted.tarsumAlgorithms, async (writer) =>
        this.commits.commit(held, await writer.flush({ isLast: true }), writer.digests(), wanted),
      );
    });
  }

  private async cancelHeld(held: HeldSession): Promise<void> {
    const cancelled = await held.end((lease) => this.sessions.markCancelled(lease));
    await this.reclaims.reclaim(cancelled).catch((error: unknown) => {
      this.logger.warn({ err: error }, 'could not remove the bytes of a cancelled upload');
    });
  }

  /** Tells why the storage lacks bytes that the row has: this writer was fenced, or the upload is damaged. */
  private async explain(failure: unknown, held: HeldSession): Promise<unknown> {
    if (!(failure instanceof UploadStateError)) return failure;
    if (!(await held.isOurs().catch(() => true))) return new UploadTakenOverError();
    this.logger.error(
      { err: failure, uploadId: held.session.id },
      'the storage lacks durable bytes of an upload',
    );
    return new BlobUploadInvalidError('this upload cannot continue; start a new one', { cause: failure });
  }
}

function expectOpen(session: UploadSession): void {
  if (session.state !== 'open') throw new BlobUploadInvalidError('the upload is being committed');
}

/** The kind of an error without its message, which may contain names and paths. */
function classNameOf(error: unknown): string {
  return error instanceof Error ? error.constructor.name : 'unknown';
}
