import { Inject, Injectable } from '@nestjs/common';
import { BlobService } from '../blobs/blob.service.js';
import { CANONICAL_ALGORITHM, digestAlgorithm } from '../oci/digest.js';
import { type DriverUpload, STORAGE_DRIVER, type StorageDriver } from '../storage/storage-driver.js';
import { UploadStateError } from '../storage/storage.errors.js';
import { digestsOf } from './hash/digests-of.js';
import { HASHER_FACTORY, type HasherFactory } from './hash/hasher.js';
import { UploadReapingStore } from './upload-reaping.store.js';
import type { UploadSession } from './upload-session.js';

/** Removes what sessions that are over have left with the driver. */
@Injectable()
export class UploadReclaimService {
  constructor(
    private readonly reaping: UploadReapingStore,
    private readonly blobs: BlobService,
    @Inject(STORAGE_DRIVER) private readonly driver: StorageDriver,
    @Inject(HASHER_FACTORY) private readonly hashers: HasherFactory,
  ) {}

  /**
   * Removes the bytes of a session that is over, its object too unless a blob's row has it. The row is over before its bytes are touched, so nobody
   * can make a blob of them any more. Can be repeated.
   */
  async reclaim(session: UploadSession): Promise<void> {
    const upload = { id: session.id, state: session.driverState };
    await this.driver.abortUpload(upload);
    if (session.digest !== null) await this.removeObject(session, upload);
    await this.reaping.markReclaimed(session.id);
  }

  /**
   * A commit had begun, so the driver may have finished the object, whose key only finishing answers: again, where it had; and not at all where
   * it hadn't, since the bytes are gone.
   */
  private async removeObject(session: UploadSession, upload: DriverUpload): Promise<void> {
    const canonical = digestsOf(session.midstates, this.hashers).find(
      (digest) => digestAlgorithm(digest) === CANONICAL_ALGORITHM,
    );
    if (canonical === undefined) return;
    try {
      const objectKey = await this.driver.finishUpload(upload, canonical, session.offsetBytes);
      if (!(await this.blobs.usesObject(objectKey))) await this.driver.delete(objectKey);
    } catch (error) {
      if (!(error instanceof UploadStateError)) throw error;
    }
  }
}
