import { BlobUploadInvalidError } from './errors.js';

/**
 * Parses the `Upload-Offset` of a request (draft-ietf-httpbis-resumable-upload): the number of bytes before
 * the body. A safe integer.
 *
 * @throws BlobUploadInvalidError for anything else.
 */
export function parseUploadOffset(text: string): number {
  const offset = /^[0-9]+$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(offset)) {
    throw new BlobUploadInvalidError('invalid Upload-Offset: expected a number of bytes');
  }
  return offset;
}
