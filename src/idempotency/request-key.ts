import { createHash } from 'node:crypto';
import type { Digest } from '../oci/digest.js';

/** Identifies a request that has an `Idempotency-Key`: 32 bytes. */
export type RequestKey = Buffer & { readonly [brand]: true };
declare const brand: unique symbol;

/** What makes two requests the same one. */
export interface IdentifiedRequest {
  /** The name of the caller; null if it is anonymous. */
  readonly caller: string | null;
  readonly method: string;
  /** Path and query, as in the request line. */
  readonly target: string;
  /** Of its body; null if it has none. */
  readonly contentType: string | null;
  /** The text of the header. */
  readonly idempotencyKey: string;
}

/**
 * A hash of the request. So a caller never gets the response of another one, and the same header in another
 * request does not name this one.
 */
export function requestKey(request: IdentifiedRequest): RequestKey {
  const { caller, method, target, contentType, idempotencyKey } = request;
  return sha256(JSON.stringify([caller, method, target, contentType, idempotencyKey]));
}

/** The key of a request whose body has this digest. */
export function withContent(key: RequestKey, digest: Digest): RequestKey {
  return sha256(Buffer.concat([key, Buffer.from(digest)]));
}

function sha256(bytes: string | Buffer): RequestKey {
  return createHash('sha256').update(bytes).digest() as RequestKey;
}
