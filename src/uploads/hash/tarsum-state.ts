import { formatTarsum, type Tarsum, type TarsumAlgorithm } from '../../oci/tarsum.js';

/**
 * The tarsum of the first `lengthBytes` bytes of a session, or why they have none. As JSON in the session's
 * row. Unlike a midstate it can't be continued: that would need the sum of each entry.
 */
export type TarsumState = {
  readonly algorithm: TarsumAlgorithm;
  readonly lengthBytes: number;
} & ({ readonly tarsum: Tarsum } | { readonly refusal: string });

/** The SHA-256 of nothing. */
const NO_ENTRIES = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** The tarsum of no bytes, which is that of a tar without entries. */
export function initialTarsumState(algorithm: TarsumAlgorithm): TarsumState {
  return { algorithm, lengthBytes: 0, tarsum: formatTarsum(algorithm, NO_ENTRIES) };
}
