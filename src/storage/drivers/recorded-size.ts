import type { DriverUpload, DriverUploadState } from '../storage-driver.js';
import { UploadStateError } from '../storage.errors.js';

/**
 * The state of the drivers whose medium finds an upload by its id alone: how many bytes were durable when it was
 * recorded.
 */
export function recordSize(sizeBytes: number): DriverUploadState {
  return { sizeBytes };
}

/** @throws UploadStateError when the state is not one that {@link recordSize} made. */
export function recordedSize({ id, state }: DriverUpload): number {
  const size = state['sizeBytes'];
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw new UploadStateError(`the state of upload ${id} is not one of this driver`);
  }
  return size;
}

/**
 * The offset and the state are recorded together; a caller that mixes two records is refused before it can drop bytes
 * that were acknowledged.
 *
 * @throws UploadStateError when the state was recorded at another offset.
 */
export function expectRecordedSize(upload: DriverUpload, sizeBytes: number): void {
  const recorded = recordedSize(upload);
  if (recorded !== sizeBytes) {
    throw new UploadStateError(
      `upload ${upload.id} was recorded with ${recorded} bytes, but ${sizeBytes} are asked for`,
    );
  }
}

/** @throws UploadStateError when more bytes are asked for than were durable when the state was recorded. */
export function expectRecordedAtLeast(upload: DriverUpload, sizeBytes: number): void {
  const recorded = recordedSize(upload);
  if (recorded < sizeBytes) {
    throw new UploadStateError(`upload ${upload.id} has ${recorded} bytes, but ${sizeBytes} are asked for`);
  }
}
