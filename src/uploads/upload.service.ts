import { Inject, Injectable, Logger } from '@nestjs/common';
import { BlobService } from '../blobs/blob.service.js';
import { Configuration } from '../config/configuration.js';
import { DatabaseSpace } from '../database/database-space.js';
import { outlastOutage } from '../database/outlast-outage.js';
import {
  CANONICAL_ALGORITHM,
  DIGEST_ALGORITHMS,
  type Digest,
  type DigestAlgorithm,
  digestAlgorithm,
} from '../oci/digest.js';
import { BlobUploadInvalidError, BlobUploadUnknownError, SizeInvalidError } from '../oci/errors.js';
import type { RepositoryName } from '../oci/repository-name.js';
import { newUploadId } from '../oci/upload-id.js';
import { canReadUploads } from '../storage/driver-abilities.js';
import { STORAGE_DRIVER, type StorageDriver } from '../storage/storage-driver.js';
import { UploadStateError } from '../storage/storage.errors.js';
import { digestsOf } from './hash/digests-of.js';
import { HASHER_FACTORY, type HasherFactory } from './hash/hasher.js';
import { initialMidstate } from './hash/midstate.js';
import type { HeldSession } from './session/held-session.js';
import { HEARTBEAT, readBody, type UploadBody } from '../transfer/read-body.js';
import { UploadCommitService } from './commit/upload-commit.service.js';
import { UploadEventLog } from '../events/upload-event-log.js';
import { DATABASE_PATIENCE_MS } from './session/database-patience.js';
import { UploadLeaseService } from './session/upload-lease.service.js';
import { remainsOf, UploadReclaimService } from './cleanup/upload-reclaim.service.js';
import { failureKind, UploadOffsetError, UploadTakenOverError } from './upload.errors.js';
import {
  heartbeatMs,
  type UploadOrigin,
  type UploadReference,
  type UploadSession,
} from './session/upload-session.js';
import { UploadSessionStore } from './session/upload-session.store.js';
import { UploadWriter, type UploadWriterServices } from './session/upload-writer.js';

/**
 * The upload protocol. A session's whole state is its row: any process can serve any request of it.
 *
 *     start ──► append* ──► commit        each: take the lease, raising the fencing version
 *        └────────┴──► cancel             bytes → driver and hashes → checkpoint (fenced UPDATE)
 *                                         let go, also when the client is gone: what arrived is kept
 */
@Injectable()
export class UploadService {
  private readonly logger = new Logger(UploadService.name);
  private readonly writing: UploadWriterServices;

  constructor(
    private readonly sessions: UploadSessionStore,
    private readonly leases: UploadLeaseService,
    private readonly commits: UploadCommitService,
    private readonly reclaims: UploadReclaimService,
    private readonly events: UploadEventLog,
    private readonly blobs: BlobService,
    @Inject(STORAGE_DRIVER) private readonly driver: StorageDriver,
    @Inject(HASHER_FACTORY) private readonly hashers: HasherFactory,
    private readonly configuration: Configuration,
    private readonly space: DatabaseSpace,
  ) {
    const checkpointBytes = configuration.uploadCheckpointBytes;
    this.writing = { driver, hashers, sessions, checkpointBytes, databasePatienceMs: DATABASE_PATIENCE_MS };
  }

  /**
   * Begins a session. sha256 is always computed; `announced` names a further algorithm that the client will ask for,
   * which saves reading the bytes back at the end.
   */
  async start(
    repository: RepositoryName,
    announced: DigestAlgorithm | undefined,
    origin: UploadOrigin,
  ): Promise<UploadReference & { offsetBytes: number }> {
    const id = newUploadId();
    const driverState = await this.driver.createUpload(id);
    const midstates = this.algorithms(announced).map(initialMidstate);
    const progress = { offsetBytes: 0, midstates, driverState };
    await outlastOutage(DATABASE_PATIENCE_MS, () =>
      this.sessions.insert({ repository, id }, progress, this.leases.claimant(origin)),
    );
    return { repository, id, offsetBytes: 0 };
  }

  /** Those that may be asked for at the end, where it would be too late to begin with one. */
  private algorithms(announced: DigestAlgorithm | undefined): readonly DigestAlgorithm[] {
    if (!canReadUploads(this.driver)) return DIGEST_ALGORITHMS;
    return [...new Set<DigestAlgorithm>([CANONICAL_ALGORITHM, announced ?? CANONICAL_ALGORITHM])];
  }

  /**
   * How far a session has come. A committed one still answers, so that a client whose answer was lost can tell.
   *
   * @throws BlobUploadUnknownError
   */
  async status(reference: UploadReference): Promise<UploadSession> {
    const session = await outlastOutage(DATABASE_PATIENCE_MS, () => this.sessions.find(reference));
    if (session === undefined || session.state === 'cancelled' || session.state === 'expired') {
      throw new BlobUploadUnknownError(reference.id);
    }
    return session;
  }

  /**
   * Appends a body to a session and answers the new durable offset.
   *
   * @throws UploadOffsetError when a range starts elsewhere; SizeInvalidError when the body isn't as long as its range
   * says (what arrived within the range is kept).
   */
  async append(
    reference: UploadReference,
    body: UploadBody,
    origin: UploadOrigin,
  ): Promise<{ offsetBytes: number }> {
    return this.hold(reference, origin, async (held) => {
      refuseUnlessOpen(held.session);
      refuseUnfittingRange(held.session, body);
      return this.withWriter(held, async (writer) => {
        await this.receive(writer, held, body);
        await writer.checkpoint({ letGo: true });
        held.markReleased();
        return { offsetBytes: writer.offset };
      });
    });
  }

  /**
   * Appends a last body, where there is one, and makes the session's bytes the blob `digest`. Repeated after its
   * answer was lost, it succeeds again.
   *
   * @throws DigestInvalidError when the bytes are others; the session stays open, with all its bytes.
   */
  async commit(
    reference: UploadReference,
    digest: Digest,
    body: UploadBody | undefined,
    origin: UploadOrigin,
  ): Promise<void> {
    try {
      await this.hold(reference, origin, (held) => this.commitHeld(held, digest, body));
    } catch (error) {
      if (!(error instanceof BlobUploadUnknownError)) throw error;
      await this.confirmCommitted(reference, digest);
    }
  }

  /**
   * Takes a whole blob in one request. The client never learns of the session, so it ends with the request, whatever
   * becomes of it.
   *
   * @throws DigestInvalidError, SizeInvalidError
   */
  async pushWhole(
    repository: RepositoryName,
    digest: Digest,
    body: UploadBody,
    origin: UploadOrigin,
  ): Promise<void> {
    const session = await this.start(repository, digestAlgorithm(digest), origin);
    await this.hold(session, origin, async (held) => {
      try {
        await this.commitHeld(held, digest, body);
      } catch (error) {
        // Under the lease that it has: when the process stops, no other is to be had.
        await this.forget(held).catch(() => undefined);
        throw error;
      }
    });
  }

  /**
   * Ends a session and forgets its bytes; one whose commit was interrupted too. It has succeeded once the row says so: bytes
   * that the driver can't remove now are garbage.
   *
   * @throws BlobUploadUnknownError when it is over already.
   */
  async cancel(reference: UploadReference, origin: UploadOrigin): Promise<void> {
    await this.hold(reference, origin, (held) => this.forget(held), { toEnd: true });
  }

  private async forget(held: HeldSession): Promise<void> {
    const cancelled = await outlastOutage(DATABASE_PATIENCE_MS, () =>
      this.sessions.markCancelled(held.lease),
    );
    if (cancelled === undefined) throw new UploadTakenOverError();
    held.markReleased();
    await this.reclaims.reclaim(remainsOf(cancelled)).catch((error: unknown) => {
      this.logger.warn({ err: error }, 'the bytes of a cancelled upload could not be removed');
    });
  }

  private async hold<T>(
    reference: UploadReference,
    origin: UploadOrigin,
    work: (held: HeldSession) => Promise<T>,
    options?: { readonly toEnd: boolean },
  ): Promise<T> {
    const held = await this.leases.take(reference, origin, options);
    try {
      return await work(held);
    } catch (failure) {
      const error = await this.explained(failure, held);
      const { session, durableBytes: offsetBytes, lease: who } = held;
      this.events.note(failureKind(error), { id: session.id, offsetBytes, who, detail: nameOf(error) });
      throw error;
    } finally {
      await held.release();
    }
  }

  /** Storage that lacks what the row says is what a writer finds which was shut out, and otherwise the end of the upload. */
  private async explained(failure: unknown, { session, lease }: HeldSession): Promise<unknown> {
    if (!(failure instanceof UploadStateError)) return failure;
    const isOurs = await this.sessions.prolong(lease).catch(() => true);
    if (!isOurs) return new UploadTakenOverError();
    this.logger.error(
      { err: failure, upload: session.id },
      'an upload lacks bytes that had been made durable',
    );
    return new BlobUploadInvalidError('the upload can not go on; begin it anew', { cause: failure });
  }

  /** Whatever ends the work, what arrived before is kept. */
  private async withWriter<T>(held: HeldSession, work: (writer: UploadWriter) => Promise<T>): Promise<T> {
    const writer = await UploadWriter.open(held.session, held.lease, this.writing);
    try {
      return await work(writer);
    } catch (error) {
      await writer.salvage();
      throw error;
    } finally {
      held.durableBytes = writer.durableBytes;
      if (!(await writer.close())) held.abandon();
    }
  }

  private async receive(writer: UploadWriter, held: HeldSession, body: UploadBody): Promise<void> {
    const { signal, lease } = held;
    const limit = body.range === undefined ? Infinity : body.range.end + 1;
    const { requestIdleTimeoutSeconds, requestMinBytesPerSecond: minBytesPerSecond } = this.configuration;
    const idleTimeoutMs = requestIdleTimeoutSeconds * 1000;
    const pulse = { heartbeatMs: Math.min(heartbeatMs(lease), idleTimeoutMs / 4), idleTimeoutMs };
    for await (const chunk of readBody(body.source, { ...pulse, minBytesPerSecond, signal })) {
      if (chunk !== HEARTBEAT) await this.space.expectRoom('push', chunk.length);
      if (chunk === HEARTBEAT) await writer.checkpoint();
      else if (writer.offset + chunk.length > limit) {
        await writer.write(chunk.subarray(0, limit - writer.offset));
        throw new SizeInvalidError('the body is longer than its Content-Range says');
      } else await writer.write(chunk);
    }
    if (writer.offset < limit && limit !== Infinity) {
      throw new SizeInvalidError('the body is shorter than its Content-Range says');
    }
  }

  private async commitHeld(held: HeldSession, digest: Digest, body: UploadBody | undefined): Promise<void> {
    const { session } = held;
    if (session.state === 'committing') {
      if (session.digest !== digest)
        throw new BlobUploadInvalidError('the upload is being committed as another digest');
      await this.commits.resume(held);
    } else if (body === undefined) {
      await this.commits.commit(held, session, digestsOf(session.midstates, this.hashers), digest);
    } else {
      refuseUnfittingRange(session, body);
      await this.withWriter(held, async (writer) => {
        await this.receive(writer, held, body);
        await this.commits.commit(held, await writer.flush({ isLast: true }), writer.digests(), digest);
      });
    }
  }

  private async confirmCommitted(reference: UploadReference, digest: Digest): Promise<void> {
    const { blobId } = await this.status(reference);
    const isSame = async () => blobId !== null && (await this.blobs.hasDigest(blobId, digest));
    if (!(await outlastOutage(DATABASE_PATIENCE_MS, isSame))) throw new BlobUploadUnknownError(reference.id);
  }
}

function refuseUnlessOpen(session: UploadSession): void {
  if (session.state !== 'open') throw new BlobUploadInvalidError('the upload is being committed');
}

/** What can be refused before a byte is read. */
function refuseUnfittingRange(session: UploadSession, { range, lengthBytes }: UploadBody): void {
  if (range === undefined) return;
  if (range.start !== session.offsetBytes) throw new UploadOffsetError(session.offsetBytes);
  if (lengthBytes !== undefined && lengthBytes !== range.end - range.start + 1) {
    throw new SizeInvalidError('Content-Length and Content-Range say different lengths');
  }
}

/** What went wrong, without what it went wrong with: a message may have names and paths in it. */
function nameOf(error: unknown): string {
  return error instanceof Error ? error.constructor.name : 'unknown';
}
