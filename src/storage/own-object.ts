import type { StorageError } from './storage.errors.js';

/**
 * Top-level names with this prefix are reserved and never the key of a blob: the identity and the claim.
 * Directories and buckets have them under the same names and with the same content.
 */
export const OWN_NAMES = 'berth-';

/** A small object of Berth's own. It belongs to no blob, and `list` does not show it. */
export interface OwnObject<T> {
  readonly name: string;
  /** Length of the bytes of every value. */
  readonly sizeBytes: number;
  /** @throws StorageError if the value is not valid. */
  toBytes(value: T): Buffer;
  /** @throws the error that `damaged` makes. */
  parse(bytes: Buffer, location: string): T;
  /** @param cause the error of a read that failed because the object is too short. */
  damaged(location: string, cause?: unknown): StorageError;
}
