import { InvalidObjectKeyError } from './storage.errors.js';

declare const brand: unique symbol;

/**
 * A driver's name for an object: segments of `[A-Za-z0-9._-]` joined by `/`, at most 1024 bytes, none of them empty,
 * `.` or `..`. Made by {@link parseObjectKey} alone, so that no driver has to think about path traversal.
 */
export type ObjectKey = string & { readonly [brand]: 'ObjectKey' };

/** S3 allows 1024 bytes of UTF-8; so does the contract. */
export const MAX_OBJECT_KEY_LENGTH = 1024;

const SEGMENT = /^[A-Za-z0-9._-]+$/;

/**
 * The one place where keys are made.
 *
 * @throws InvalidObjectKeyError when `text` is not a key.
 */
export function parseObjectKey(text: string): ObjectKey {
  if (text.length > MAX_OBJECT_KEY_LENGTH || !text.split('/').every(isSegment)) {
    throw new InvalidObjectKeyError();
  }
  return text as ObjectKey;
}

function isSegment(segment: string): boolean {
  return SEGMENT.test(segment) && segment !== '.' && segment !== '..';
}
