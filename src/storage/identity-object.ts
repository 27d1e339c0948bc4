import { DamagedIdentityError, StorageError } from './storage.errors.js';

/**
 * Names at the top of a storage that begin so are Berth's own and never the key of a blob. There is one: the
 * identity. Both kinds of storage, a directory and a bucket, have it under the same name and with the same
 * content.
 */
export const OWN_NAMES = 'berth-';
export const IDENTITY_NAME = `${OWN_NAMES}identity`;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The length of what {@link identityBytes} returns, whatever the identity. */
export const IDENTITY_BYTES = 37;

/** A UUID and a newline: a person may look at it with `cat`. */
export function identityBytes(id: string): Buffer {
  if (!UUID.test(id)) throw new StorageError('an identity is a UUID in lower case');
  return Buffer.from(`${id}\n`);
}

/** @throws DamagedIdentityError */
export function parseIdentity(bytes: Buffer, location: string): string {
  const id = bytes.toString('latin1').replace(/\n$/, '');
  if (UUID.test(id)) return id;
  throw damagedIdentity(location);
}

/** @param cause of a read that failed because the object is too short. */
export function damagedIdentity(location: string, cause?: unknown): DamagedIdentityError {
  return new DamagedIdentityError(
    `${IDENTITY_NAME} in ${location} has no identity in it: expected a UUID, as Berth has written it; restore it`,
    { cause },
  );
}
