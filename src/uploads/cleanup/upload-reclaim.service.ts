import { Inject, Injectable } from '@nestjs/common';
import { BlobService } from '../../blobs/blob.service.js';
import { CANONICAL_ALGORITHM, digestAlgorithm } from '../../oci/digest.js';
import type { UploadId } from '../../oci/upload-id.js';
import { type DriverUpload, STORAGE_DRIVER, type StorageDriver } from '../../storage/storage-driver.js';
import { UploadStateError } from '../../storage/storage.errors.js';
import { digestsOf } from '../hash/digests-of.js';
import { HASHER_FACTORY, type HasherFactory } from '../hash/hasher.js';
import { UploadReapingStore } from './upload-reaping.store.js';
import type { UploadProgress, UploadSession } from '../session/upload-session.js';

/** What is to be removed, and how much of it there may be. */
export interface Remains extends UploadProgress {
  readonly id: UploadId;
  /** Whether a commit had begun, in this request or in another: then there may be an object, too. */
  readonly mayBeFinished: boolean;
}

export function remainsOf(session: UploadSession): Remains {
  return { ...session, mayBeFinished: session.digest !== null };
}

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
  async reclaim(remains: Remains): Promise<void> {
    const upload = { id: remains.id, state: remains.driverState };
    await this.driver.abortUpload(upload);
    if (remains.mayBeFinished) await this.removeObject(remains, upload);
    await this.reaping.markReclaimed(remains.id);
  }

  /**
   * The object's key is what finishing answers: again, where it had been finished; and not at all where it hadn't, since the bytes are gone by now. So a
   * commit that is cut off by this can't leave an object later. (But one of no bytes, which it makes of nothing: it says so itself, see
   * `UploadCommitService`.)
   */
  private async removeObject(remains: Remains, upload: DriverUpload): Promise<void> {
    const canonical = digestsOf(remains.midstates, this.hashers).find(
      (digest) => digestAlgorithm(digest) === CANONICAL_ALGORITHM,
    );
    if (canonical === undefined) return;
    try {
      const objectKey = await this.driver.finishUpload(upload, canonical, remains.offsetBytes);
      if (!(await this.blobs.usesObject(objectKey))) await this.driver.delete(objectKey);
    } catch (error) {
      if (!(error instanceof UploadStateError)) throw error;
    }
  }
}
