import { type Digest, digestAlgorithm, digestHex } from '../oci/digest.js';
import { InvalidObjectKeyError } from './storage.errors.js';

declare const brand: unique symbol;

/**
 * A driver's name for an object: segments of `[A-Za-z0-9._-]` joined by `/`, at most 1024 bytes. No segment
 * is empty, `.` or `..`. Only {@link parseObjectKey} makes keys, so that drivers are safe from path
 * traversal.
 */
export type ObjectKey = string & { readonly [brand]: 'ObjectKey' };

/** S3 allows 1024 bytes of UTF-8; so does the contract. */
export const MAX_OBJECT_KEY_LENGTH = 1024;

/** Much longer than a UUID, and with a driver's suffix still within the 255 bytes of a file name. */
export const MAX_KEY_SEGMENT_LENGTH = 128;

const SEGMENT = /^[A-Za-z0-9._-]+$/;

/**
 * The only place where keys are made. `CheckedStorageDriver` also calls it for every key that it gets, so
 * that no cast leads out of a driver's root.
 *
 * @throws InvalidObjectKeyError if `text` is not a key.
 */
export function parseObjectKey(text: string): ObjectKey {
  if (text.length > MAX_OBJECT_KEY_LENGTH || !text.split('/').every(isSegment)) {
    throw new InvalidObjectKeyError();
  }
  return text as ObjectKey;
}

/**
 * Parses the prefix of `list`: a key, optionally followed by `/`, or the empty string.
 *
 * @throws InvalidObjectKeyError if no key can start with `text`.
 */
export function parseKeyPrefix(text: string): string {
  return text === ''
    ? text
    : text.endsWith('/')
      ? `${parseObjectKey(text.slice(0, -1))}/`
      : parseObjectKey(text);
}

/**
 * Parses one segment of a key: the id of an upload.
 *
 * @throws InvalidObjectKeyError if `text` can't be a segment.
 */
export function parseKeySegment(text: string): string {
  if (text.length > MAX_KEY_SEGMENT_LENGTH || !isSegment(text)) {
    throw new InvalidObjectKeyError();
  }
  return text;
}

/**
 * Returns `blobs/sha256/ab/<hex>/<upload id>`. People find the blob by its digest; the id makes the key
 * unique.
 *
 * @throws InvalidObjectKeyError if the id or the digest can't be part of a key.
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
