import { Inject, Injectable } from '@nestjs/common';
import { BlobService } from '../../blobs/blob.service.js';
import { CANONICAL_ALGORITHM, type Digest, digestAlgorithm } from '../../oci/digest.js';
import { type DriverUpload, STORAGE_DRIVER, type StorageDriver } from '../../storage/storage-driver.js';
import { digestsOf } from '../hash/digests-of.js';
import { HASHER_FACTORY, type HasherFactory } from '../hash/hasher.js';
import type { UploadProgress, UploadSession } from '../session/upload-session.js';
import { UploadReapingStore } from './upload-reaping.store.js';

/**
 * The bytes of a session that has ended. With a digest, a commit was started, so there may be an object, too:
 * of the recorded bytes, or of content that was stored whole and has this digest.
 */
export type EndedUpload = UploadProgress & Pick<UploadSession, 'id' | 'digest'>;

/** Removes the bytes of ended sessions from the storage. */
@Injectable()
export class UploadReclaimService {
  constructor(
    private readonly reaping: UploadReapingStore,
    private readonly blobs: BlobService,
    @Inject(STORAGE_DRIVER) private readonly driver: StorageDriver,
    @Inject(HASHER_FACTORY) private readonly hashers: HasherFactory,
  ) {}

  /**
   * Removes the upload's bytes, and its object unless a blob has it. The session has ended in the database
   * before, so the bytes can't become a blob any more. Idempotent.
   */
  async reclaim(ended: EndedUpload): Promise<void> {
    const upload = { id: ended.id, state: ended.driverState };
    await this.driver.abortUpload(upload);
    if (ended.digest !== null) await this.removeObjects(upload, this.digestsOfObjects(ended, ended.digest));
    await this.reaping.markReclaimed(ended.id);
  }

  private digestsOfObjects({ midstates }: EndedUpload, digest: Digest): ReadonlySet<Digest> {
    const digests = [...digestsOf(midstates, this.hashers), digest];
    return new Set(digests.filter((each) => digestAlgorithm(each) === CANONICAL_ALGORITHM));
  }

  private async removeObjects(upload: DriverUpload, digests: Iterable<Digest>): Promise<void> {
    for (const digest of digests) {
      const objectKey = this.driver.objectKeyOf(upload, digest);
      if (!(await this.blobs.usesObject(objectKey))) await this.driver.delete(objectKey);
    }
  }
}
