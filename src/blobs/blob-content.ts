import type { Readable } from 'node:stream';
import type { OpenObject } from '../storage/driver-abilities.js';
import type { ByteSpan } from '../storage/storage-driver.js';

/** The bytes of a blob, in the cheapest form that the storage driver has. */
export type BlobContent =
  /** The client fetches the bytes from the storage. The URL is short-lived and a credential. */
  | { readonly kind: 'redirect'; readonly url: URL }
  /** All bytes of a small blob. */
  | ({ readonly kind: 'bytes'; readonly bytes: Buffer } & RequestedPart)
  /** The caller reads the span and closes the object. */
  | ({ readonly kind: 'object'; readonly object: OpenObject } & RequestedPart)
  /** The bytes of the span. */
  | ({ readonly kind: 'stream'; readonly stream: Readable } & RequestedPart);

/** The part of a blob that a request wants. */
export interface RequestedPart {
  /** The size of the blob. */
  readonly sizeBytes: number;
  readonly span: ByteSpan;
  /** Whether the client asked for a range, so that the response is a 206. */
  readonly isPartial: boolean;
}
