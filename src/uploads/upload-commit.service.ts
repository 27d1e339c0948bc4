import { Inject, Injectable, Logger } from '@nestjs/common';
import { BlobService } from '../blobs/blob.service.js';
import type { BlobRecord } from '../blobs/blob.store.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { CANONICAL_ALGORITHM, type Digest, digestAlgorithm } from '../oci/digest.js';
import { DigestInvalidError } from '../oci/errors.js';
import type { ObjectKey } from '../storage/object-key.js';
import { STORAGE_DRIVER, type StorageDriver } from '../storage/storage-driver.js';
import { ObjectNotFoundError } from '../storage/storage.errors.js';
import { HASHER_FACTORY, type HasherFactory } from './hash/hasher.js';
import { keepLease } from './keep-lease.js';
import { LEASE_SECONDS } from './upload-lease.service.js';
import { UploadTakenOverError } from './upload.errors.js';
import type { UploadProgress, UploadSession } from './upload-session.js';
import { UploadSessionStore } from './upload-session.store.js';
import { digestLike } from './upload-writer.js';

/**
 * The end of an upload: `open → committing → committed`. Costs the same for any size, since the driver already has
 * the bytes where they will stay, and can be repeated after a crash at any point:
 *
 *     row: committing, digest ──► driver: finish (idempotent) ──► one transaction: blob, digests, link, row: committed
 */
@Injectable()
export class UploadCommitService {
  private readonly logger = new Logger(UploadCommitService.name);

  constructor(
    private readonly sessions: UploadSessionStore,
    private readonly blobs: BlobService,
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
    session: UploadSession,
    progress: UploadProgress,
    digests: readonly Digest[],
    wanted: Digest,
    signal: AbortSignal,
  ): Promise<void> {
    await keepLease(this.sessions, session, async () => {
      const verified = await this.verify(session, progress, digests, wanted, signal);
      const { id, version } = session;
      if (!(await this.sessions.markCommitting(id, version, LEASE_SECONDS, progress, wanted))) {
        throw new UploadTakenOverError();
      }
      await this.finish(session, progress, verified);
    });
  }

  private async verify(
    session: UploadSession,
    progress: UploadProgress,
    digests: readonly Digest[],
    wanted: Digest,
    signal: AbortSignal,
  ): Promise<readonly Digest[]> {
    const computed = digestLike(wanted, digests) ?? (await this.hashAgain(session, progress, wanted, signal));
    if (computed !== wanted) {
      throw new DigestInvalidError(undefined, { detail: { expected: wanted, received: computed } });
    }
    return [...new Set([...digests, computed])];
  }

  /**
   * The one case where bytes are read back: the client names an algorithm at the end that it did not announce when it
   * began (see docs/adr). Announced ones run from the first byte.
   */
  private async hashAgain(
    session: UploadSession,
    progress: UploadProgress,
    wanted: Digest,
    signal: AbortSignal,
  ): Promise<Digest> {
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
    session: UploadSession,
    progress: UploadProgress,
    digests: readonly Digest[],
  ): Promise<void> {
    const canonical = canonicalOf(digests);
    const upload = { id: session.id, state: progress.driverState };
    const existing = await this.blobs.find(canonical);
    // Most layers are known already: then nothing needs to be finished, only linked.
    if (existing !== undefined && (await this.isIntact(existing))) {
      if ((await this.record(session, progress, digests, {})) !== undefined) {
        return this.discard(() => this.driver.abortUpload(upload));
      }
    }
    const objectKey = await this.driver.finishUpload(upload, canonical, progress.offsetBytes);
    const blob = await this.record(session, progress, digests, { objectKey, replaces: existing?.objectKey });
    if (blob?.objectKey !== objectKey) await this.discard(() => this.driver.delete(objectKey));
  }

  /** Whether the driver still has a blob's object: good bytes must not be thrown away for the sake of lost ones. */
  private async isIntact({ objectKey, sizeBytes }: BlobRecord): Promise<boolean> {
    try {
      return (await this.driver.stat(objectKey)).sizeBytes === sizeBytes;
    } catch (error) {
      if (error instanceof ObjectNotFoundError) return false;
      throw error;
    }
  }

  private record(
    session: UploadSession,
    progress: UploadProgress,
    digests: readonly Digest[],
    object: { readonly objectKey?: ObjectKey; readonly replaces?: ObjectKey | undefined },
  ): Promise<BlobRecord | undefined> {
    const { repository, id, version } = session;
    const canonical = canonicalOf(digests);
    return this.unitOfWork.run(async (transaction) => {
      const sizeBytes = progress.offsetBytes;
      const blob = await this.blobs.commit(transaction, {
        repository,
        canonical,
        digests,
        sizeBytes,
        ...object,
      });
      if (blob === undefined) return undefined;
      const current = await this.sessions.markCommitted(transaction, id, version, blob.id);
      if (!current) throw new UploadTakenOverError();
      return blob;
    });
  }

  /** The push has succeeded: bytes that can't be removed now are garbage, not the client's concern. */
  private async discard(remove: () => Promise<void>): Promise<void> {
    try {
      await remove();
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
