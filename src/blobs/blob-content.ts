import type { Readable } from 'node:stream';
import type { OpenObject } from '../storage/driver-abilities.js';
import type { ByteSpan } from '../storage/storage-driver.js';

/** The bytes of a blob, in the cheapest form that the storage driver has. */
export type BlobContent =
  /** The client fetches the bytes from the storage. The URL is short-lived and a credential. */
  | { readonly kind: 'redirect'; readonly url: URL }
  /** All bytes of a small blob. */
  | ({ readonly kind: 'bytes'; readonly bytes: Buffer } & RequestedParts)
  /** The caller reads the spans and closes the object. */
  | ({ readonly kind: 'object'; readonly object: OpenObject } & RequestedParts)
  /** The bytes of the first span. `read` opens the others. */
  | ({
      readonly kind: 'stream';
      readonly stream: Readable;
      readonly read: (span: ByteSpan) => Promise<Readable>;
    } & RequestedParts);

/** The parts of a blob that a request wants. */
export interface RequestedParts {
  /** The size of the blob. */
  readonly sizeBytes: number;
  readonly spans: readonly [ByteSpan, ...ByteSpan[]];
  /** Whether the client asked for ranges, so that the response is a 206. */
  readonly isPartial: boolean;
  /** When the repository got the blob, in seconds since 1970. */
  readonly linkedAtSeconds: number;
}
