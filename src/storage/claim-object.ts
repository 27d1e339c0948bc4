import { isUuid } from './identity-object.js';
import { OWN_NAMES, type OwnObject } from './own-object.js';
import { DamagedClaimError, StorageError } from './storage.errors.js';

/** Which database may delete objects in a storage. */
export interface Claim {
  /** The identity of storage and database. */
  readonly identity: string;
  /** Rises with each renewal. A copy of the database has a lower one than the original, or diverges. */
  readonly number: number;
  /** Random, new with each renewal: only the database that renewed the claim knows it. A UUID. */
  readonly token: string;
}

export const CLAIM_NAME = `${OWN_NAMES}claim`;

const DIGITS = 16;
const LINES = new RegExp(`^(.{36})\n(\\d{${DIGITS}})\n(.{36})\n$`);

/** Three lines of fixed length: identity, number, token. */
export const CLAIM: OwnObject<Claim> = {
  name: CLAIM_NAME,
  sizeBytes: 37 + DIGITS + 1 + 37,
  toBytes({ identity, number, token }) {
    if (!isUuid(identity) || !isUuid(token) || !Number.isSafeInteger(number) || number < 0) {
      throw new StorageError('expected a claim: two UUIDs in lower case, and a number');
    }
    return Buffer.from(`${identity}\n${String(number).padStart(DIGITS, '0')}\n${token}\n`);
  },
  parse(bytes, location) {
    const [, identity = '', number, token = ''] = LINES.exec(bytes.toString('latin1')) ?? [];
    if (isUuid(identity) && isUuid(token)) return { identity, number: Number(number), token };
    throw this.damaged(location);
  },
  damaged: (location, cause) =>
    new DamagedClaimError(
      `${CLAIM_NAME} in ${location} contains no claim: expected three lines, as Berth wrote them`,
      { cause },
    ),
};
