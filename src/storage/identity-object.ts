import { DamagedIdentityError, StorageError } from './storage.errors.js';

/**
 * Top-level names with this prefix are reserved and never the key of a blob. The only one is the identity.
 * Directories and buckets have it under the same name and with the same content.
 */
export const OWN_NAMES = 'berth-';
export const IDENTITY_NAME = `${OWN_NAMES}identity`;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Length of every identity's bytes. */
export const IDENTITY_BYTES = 37;

/** A UUID and a newline, so that `cat` shows it well. */
export function identityBytes(id: string): Buffer {
  if (!UUID.test(id)) throw new StorageError('expected an identity: a UUID in lower case');
  return Buffer.from(`${id}\n`);
}

/** @throws DamagedIdentityError */
export function parseIdentity(bytes: Buffer, location: string): string {
  const id = bytes.toString('latin1').replace(/\n$/, '');
  if (UUID.test(id)) return id;
  throw damagedIdentity(location);
}

/** @param cause the error of a read that failed because the object is too short. */
export function damagedIdentity(location: string, cause?: unknown): DamagedIdentityError {
  return new DamagedIdentityError(
    `${IDENTITY_NAME} in ${location} contains no identity: expected a UUID, as Berth wrote it; restore it`,
    { cause },
  );
}
