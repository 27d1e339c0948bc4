import { Inject, Injectable } from '@nestjs/common';
import { BlobService } from '../../blobs/blob.service.js';
import { CANONICAL_ALGORITHM, digestAlgorithm } from '../../oci/digest.js';
import { type DriverUpload, STORAGE_DRIVER, type StorageDriver } from '../../storage/storage-driver.js';
import { digestsOf } from '../hash/digests-of.js';
import { HASHER_FACTORY, type HasherFactory } from '../hash/hasher.js';
import type { UploadProgress, UploadSession } from '../session/upload-session.js';
import { UploadReapingStore } from './upload-reaping.store.js';

/**
 * The bytes of a session that has ended. With a digest, a commit was started, so there may be an object, too.
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
    if (ended.digest !== null) await this.removeObject(ended, upload);
    await this.reaping.markReclaimed(ended.id);
  }

  private async removeObject(ended: EndedUpload, upload: DriverUpload): Promise<void> {
    const canonical = digestsOf(ended.midstates, this.hashers).find(
      (digest) => digestAlgorithm(digest) === CANONICAL_ALGORITHM,
    );
    if (canonical === undefined) return;
    const objectKey = this.driver.objectKeyOf(upload, canonical);
    if (!(await this.blobs.usesObject(objectKey))) await this.driver.delete(objectKey);
  }
}
