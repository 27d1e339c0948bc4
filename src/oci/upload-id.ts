import { randomUUID } from 'node:crypto';
import { BlobUploadUnknownError } from './errors.js';

declare const brand: unique symbol;

/** An upload session's id: a UUID of version 4, in lower case. */
export type UploadId = string & { readonly [brand]: 'UploadId' };

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Returns a new id of 122 random bits, which other clients cannot guess. */
export function newUploadId(): UploadId {
  return randomUUID() as string as UploadId;
}

/**
 * Parses an id from an upload's URL; upper-case digits are accepted and lowered.
 *
 * @throws BlobUploadUnknownError if the text is not an id of Berth.
 */
export function parseUploadId(text: string): UploadId {
  const id = text.toLowerCase();
  if (!UUID_V4.test(id)) {
    // Shortened: the text can be as long as a request line.
    throw new BlobUploadUnknownError(text.slice(0, 64));
  }
  return id as UploadId;
}
