import { OWN_NAMES, type OwnObject } from './own-object.js';
import { DamagedIdentityError, StorageError } from './storage.errors.js';

export const IDENTITY_NAME = `${OWN_NAMES}identity`;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The identity of a storage: a UUID and a newline, so that `cat` shows it well. */
export const IDENTITY: OwnObject<string> = {
  name: IDENTITY_NAME,
  sizeBytes: 37,
  toBytes(id) {
    if (!isUuid(id)) throw new StorageError('expected an identity: a UUID in lower case');
    return Buffer.from(`${id}\n`);
  },
  parse(bytes, location) {
    const id = bytes.toString('latin1').replace(/\n$/, '');
    if (isUuid(id)) return id;
    throw this.damaged(location);
  },
  damaged: (location, cause) =>
    new DamagedIdentityError(
      `${IDENTITY_NAME} in ${location} contains no identity: expected a UUID, as Berth wrote it; restore it`,
      { cause },
    ),
};

export function isUuid(text: string): boolean {
  return UUID.test(text);
}
