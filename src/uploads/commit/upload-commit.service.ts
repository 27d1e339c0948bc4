import { Inject, Injectable, Logger } from '@nestjs/common';
import { BlobPresence } from '../../blobs/blob-presence.js';
import { BlobService, type NewBlob, type ReplacedObject } from '../../blobs/blob.service.js';
import type { BlobRecord } from '../../blobs/blob.store.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { StorageIdentity } from '../../storage-identity/storage-identity.js';
import { CANONICAL_ALGORITHM, type Digest, digestAlgorithm } from '../../oci/digest.js';
import type { UploadId } from '../../oci/upload-id.js';
import { DigestInvalidError } from '../../oci/errors.js';
import type { ObjectKey } from '../../storage/object-key.js';
import { canReadUploads } from '../../storage/driver-abilities.js';
import { STORAGE_DRIVER, type StorageDriver } from '../../storage/storage-driver.js';
import { digestsOf } from '../hash/digests-of.js';
import { HASHER_FACTORY, type HasherFactory } from '../hash/hasher.js';
import type { HeldSession } from '../session/held-session.js';
import { retryDuringOutage } from '../session/upload-row.js';
import { ObjectVerifier, type Verdict } from './object-verifier.js';
import { UploadCommitStore } from './upload-commit.store.js';
import { UploadReapingStore } from '../cleanup/upload-reaping.store.js';
import { UploadReclaimService } from '../cleanup/upload-reclaim.service.js';
import { UploadTakenOverError } from '../upload.errors.js';
import type { Lease, UploadProgress } from '../session/upload-session.js';
import { digestLike } from '../session/upload-writer.js';

/**
 * The end of an upload: `open → committing → committed`. Costs the same for any size, since the driver
 * already has the bytes where they will stay, and can be repeated after a crash at any point:
 *
 *     row: committing, digest ──► driver: finish (idempotent) ──► one statement: blob, digests, link, row: committed
 *                                                                 (or a transaction, where others have to do with it)
 */
@Injectable()
export class UploadCommitService {
  private readonly logger = new Logger(UploadCommitService.name);

  constructor(
    private readonly store: UploadCommitStore,
    private readonly reaping: UploadReapingStore,
    private readonly reclaims: UploadReclaimService,
    private readonly blobs: BlobService,
    private readonly presence: BlobPresence,
    private readonly identity: StorageIdentity,
    private readonly verifier: ObjectVerifier,
    private readonly unitOfWork: UnitOfWork,
    @Inject(STORAGE_DRIVER) private readonly driver: StorageDriver,
    @Inject(HASHER_FACTORY) private readonly hashers: HasherFactory,
  ) {}

  /**
   * Commits a held session as `wanted`.
   *
   * @param digests of the session's bytes, the canonical one among them.
   * @throws DigestInvalidError when the bytes are not what `wanted` says; UploadTakenOverError when fenced.
   */
  async commit(
    held: HeldSession,
    progress: UploadProgress,
    digests: readonly Digest[],
    wanted: Digest,
  ): Promise<void> {
    await held.keepAlive(async () => {
      const verified = await this.verify(held, progress, digests, wanted);
      const canonical = canonicalOf(verified);
      const marked = await this.store.markCommitting(held.lease, progress, wanted, canonical);
      if (marked === undefined) throw new UploadTakenOverError();
      await held.end(async () => {
        await this.finish(held, progress, verified, marked.existing);
        return true;
      });
    });
  }

  /**
   * Goes on with a commit that was interrupted: what was verified before stands in the row; the driver may
   * have finished already.
   */
  async resume(held: HeldSession): Promise<void> {
    const { session } = held;
    if (session.digest === null) throw new Error('no commit has begun');
    const digests = [...digestsOf(session.midstates, this.hashers), session.digest];
    await this.commit(held, session, digests, session.digest);
  }

  private async verify(
    held: HeldSession,
    progress: UploadProgress,
    digests: readonly Digest[],
    wanted: Digest,
  ): Promise<readonly Digest[]> {
    const computed = digestLike(wanted, digests) ?? (await this.hashAgain(held, progress, wanted));
    if (computed !== wanted) {
      throw new DigestInvalidError(undefined, { detail: { expected: wanted, received: computed } });
    }
    return [...new Set([...digests, computed])];
  }

  /**
   * The one case where bytes are read back: the client names an algorithm at the end that it did not announce
   * when it began (see docs/adr). Announced ones run from the first byte.
   */
  private async hashAgain(
    { session, signal }: HeldSession,
    progress: UploadProgress,
    wanted: Digest,
  ): Promise<Digest> {
    if (!canReadUploads(this.driver))
      throw new Error('a session runs without an algorithm that may be asked for');
    const hasher = this.hashers.create(digestAlgorithm(wanted));
    try {
      const upload = { id: session.id, state: progress.driverState };
      const bytes: AsyncIterable<Uint8Array> = await this.driver.readUpload(upload, progress.offsetBytes, {
        signal,
      });
      for await (const chunk of bytes) await hasher.update(chunk);
      return hasher.digest();
    } catch (error) {
      // An aborted stream says no more than that it was aborted; the signal says why.
      signal.throwIfAborted();
      throw error;
    } finally {
      hasher.dispose();
    }
  }

  private async finish(
    held: HeldSession,
    progress: UploadProgress,
    digests: readonly Digest[],
    existing: BlobRecord | undefined,
  ): Promise<void> {
    const { id } = held.session;
    const canonical = canonicalOf(digests);
    const verdict = existing && (await this.verifier.verify(existing, canonical, { signal: held.signal }));
    // Most layers are known already: then nothing needs to be finished, only linked.
    if (verdict === 'intact' || verdict === 'unverified') {
      if ((await this.record(held, progress, digests, {})) !== undefined) {
        if (verdict === 'intact') this.presence.note(digests);
        return this.discard(held, progress, held.session.digest);
      }
    }
    const replaces = existing && (await this.replacedBy(canonical, existing, verdict));
    await this.identity.verifyStorageLately();
    const objectKey = await this.finishUpload(id, progress, canonical);
    const blob = await this.recordFinished(held, progress, digests, { objectKey, replaces });
    if (blob?.objectKey === objectKey) this.presence.note(digests);
    else await this.discard(held, progress, canonical);
  }

  /**
   * Good bytes must not be thrown away for the sake of lost or damaged ones. The row gets the object of this
   * upload; the old one stays known (see `DisplacedObjects`).
   */
  private async replacedBy(
    digest: Digest,
    { objectKey }: BlobRecord,
    verdict: Verdict | undefined,
  ): Promise<ReplacedObject | undefined> {
    if (verdict !== 'missing' && verdict !== 'corrupt') return undefined;
    await this.identity.verify();
    this.logger.error(
      { digest, key: objectKey },
      `the object of a blob is ${verdict}: a push that brought its bytes replaces it`,
    );
    return { objectKey, reason: verdict };
  }

  private async finishUpload(id: UploadId, progress: UploadProgress, canonical: Digest): Promise<ObjectKey> {
    try {
      const upload = { id, state: progress.driverState };
      return await this.driver.finishUpload(upload, canonical, progress.offsetBytes);
    } catch (error) {
      // What was given up may still be done, after others have cleared up where the session is over.
      await this.reaping.markUnreclaimed(id).catch(() => undefined);
      throw error;
    }
  }

  /**
   * Where it turns out to be fenced, others may have cleared up before this object was there: it is to be
   * done again.
   */
  private async recordFinished(
    held: HeldSession,
    progress: UploadProgress,
    digests: readonly Digest[],
    object: { readonly objectKey: ObjectKey; readonly replaces: ReplacedObject | undefined },
  ): Promise<BlobRecord | undefined> {
    try {
      return await this.record(held, progress, digests, object);
    } catch (error) {
      if (error instanceof UploadTakenOverError) await this.reaping.markUnreclaimed(held.session.id);
      throw error;
    }
  }

  private record(
    { session, lease }: HeldSession,
    progress: UploadProgress,
    digests: readonly Digest[],
    object: { readonly objectKey?: ObjectKey; readonly replaces?: ReplacedObject | undefined },
  ): Promise<BlobRecord | undefined> {
    const { repository } = session;
    const { objectKey, replaces } = object;
    const content = { repository, canonical: canonicalOf(digests), digests, sizeBytes: progress.offsetBytes };
    return retryDuringOutage(async () => {
      if (objectKey !== undefined && replaces === undefined) {
        const blob = await this.store.commitNew(lease, { ...content, objectKey });
        if (blob !== undefined) return blob;
      }
      return this.recordInSteps(lease, { ...content, ...object });
    });
  }

  private recordInSteps(lease: Lease, content: NewBlob): Promise<BlobRecord | undefined> {
    return this.unitOfWork.run(async (transaction) => {
      const blob = await this.blobs.commit(transaction, content);
      if (blob === undefined) return undefined;
      const holdsBytes = blob.objectKey !== content.objectKey;
      const isOurs = await this.store.markCommitted(transaction, lease, blob.id, holdsBytes);
      if (!isOurs) throw new UploadTakenOverError();
      return blob;
    }, content.canonical);
  }

  /** The push has succeeded: bytes that can't be removed now are the reaper's, not the client's concern. */
  private async discard(
    { session }: HeldSession,
    progress: UploadProgress,
    digest: Digest | null,
  ): Promise<void> {
    try {
      await this.reclaims.reclaim({ ...progress, id: session.id, digest });
    } catch (error) {
      this.logger.warn({ err: error }, 'the bytes of a duplicate layer could not be removed');
    }
  }
}

function canonicalOf(digests: readonly Digest[]): Digest {
  const canonical = digests.find((digest) => digestAlgorithm(digest) === CANONICAL_ALGORITHM);
  if (canonical === undefined) throw new Error(`a session runs without ${CANONICAL_ALGORITHM}`);
  return canonical;
}
