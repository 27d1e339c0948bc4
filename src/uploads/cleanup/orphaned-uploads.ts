import { BlobUploadUnknownError } from '../../oci/errors.js';
import { parseUploadId, type UploadId } from '../../oci/upload-id.js';
import type { StorageDriver, StoredUpload } from '../../storage/storage-driver.js';

/** Uploads of a batch, and stored parts that are looked at before other jobs have their turn. */
const BATCH = { uploads: 100, listed: 1_000 };

/**
 * Bytes of uploads in the storage, last written before `oldest` (milliseconds since the epoch), by upload, in
 * batches. Names that are not upload ids are not Berth's, and left out. A batch can be empty.
 */
export async function* storedUploadsBefore(
  oldest: number,
  driver: StorageDriver,
  signal: AbortSignal,
): AsyncGenerator<ReadonlyMap<UploadId, readonly StoredUpload[]>, void> {
  let batch = new Map<UploadId, StoredUpload[]>();
  let listed = 0;
  for await (const stored of driver.listUploads({ signal })) {
    listed += 1;
    const id = uploadIdOf(stored);
    if (id !== undefined && stored.modifiedAt.getTime() <= oldest) {
      batch.set(id, [...(batch.get(id) ?? []), stored]);
    }
    if (batch.size < BATCH.uploads && listed % BATCH.listed !== 0) continue;
    yield batch;
    batch = new Map();
  }
  yield batch;
}

function uploadIdOf({ upload }: StoredUpload): UploadId | undefined {
  try {
    return parseUploadId(upload.id);
  } catch (error) {
    if (error instanceof BlobUploadUnknownError) return undefined;
    throw error;
  }
}
