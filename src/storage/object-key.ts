import { type Digest, digestAlgorithm, digestHex } from '../oci/digest.js';
import { InvalidObjectKeyError } from './storage.errors.js';

declare const brand: unique symbol;

/**
 * A driver's name for an object: segments of `[A-Za-z0-9._-]` joined by `/`, at most 1024 bytes, none of them empty,
 * `.` or `..`. Made by {@link parseObjectKey} alone, so that no driver has to think about path traversal.
 */
export type ObjectKey = string & { readonly [brand]: 'ObjectKey' };

/** S3 allows 1024 bytes of UTF-8; so does the contract. */
export const MAX_OBJECT_KEY_LENGTH = 1024;

/** Far more than a UUID; with what a driver adds to it, within the 255 bytes of a file's name. */
export const MAX_KEY_SEGMENT_LENGTH = 128;

const SEGMENT = /^[A-Za-z0-9._-]+$/;

/**
 * The one place where keys are made. Drivers call it too, on the keys that they are given: a cast must not be a way
 * out of the root.
 *
 * @throws InvalidObjectKeyError when `text` is not a key.
 */
export function parseObjectKey(text: string): ObjectKey {
  if (text.length > MAX_OBJECT_KEY_LENGTH || !text.split('/').every(isSegment)) {
    throw new InvalidObjectKeyError();
  }
  return text as ObjectKey;
}

/**
 * The beginning of a key, as `list` takes it: a key, perhaps with a `/` behind it, or nothing at all.
 *
 * @throws InvalidObjectKeyError when no key could begin so.
 */
export function parseKeyPrefix(text: string): string {
  return text === ''
    ? text
    : text.endsWith('/')
      ? `${parseObjectKey(text.slice(0, -1))}/`
      : parseObjectKey(text);
}

/**
 * One segment of a key that comes from elsewhere: the id of an upload.
 *
 * @throws InvalidObjectKeyError when `text` can't be one.
 */
export function parseKeySegment(text: string): string {
  if (text.length > MAX_KEY_SEGMENT_LENGTH || !isSegment(text)) {
    throw new InvalidObjectKeyError();
  }
  return text;
}

/**
 * `blobs/sha256/ab/<hex>/<upload id>`: by the digest a person finds the blob, by the id it is never used twice.
 *
 * @throws InvalidObjectKeyError when the id or the digest can't be part of a key.
 */
export function blobObjectKey(digest: Digest, uploadId: string): ObjectKey {
  const hex = parseKeySegment(digestHex(digest));
  return parseObjectKey(
    ['blobs', digestAlgorithm(digest), hex.slice(0, 2), hex, parseKeySegment(uploadId)].join('/'),
  );
}

function isSegment(segment: string): boolean {
  return SEGMENT.test(segment) && segment !== '.' && segment !== '..';
}
