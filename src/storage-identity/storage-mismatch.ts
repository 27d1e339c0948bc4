import { IDENTITY_NAME } from '../storage/identity-object.js';
import type { DatabaseIdentity } from './storage-identity.store.js';

/** Stands for an identity that is not a UUID. It equals no database's identity. */
export const DAMAGED = 'damaged';

/** What a start found in a storage and a database with different identities. */
export interface Mismatch {
  readonly database: DatabaseIdentity & { readonly description: string };
  readonly storage: {
    readonly location: string;
    /** Undefined if there is none; or {@link DAMAGED}. */
    readonly identity: string | undefined;
    readonly isEmpty: boolean;
  };
  /** How many blobs of the database were checked, and how many of them the storage has. */
  readonly blobs: { readonly checked: number; readonly found: number };
}

/** Describes what was found, and what to do, on one line. */
export function describeMismatch(mismatch: Mismatch): string {
  const { database, storage } = mismatch;
  return (
    `The storage (${storage.location}) doesn't belong to the database (${database.description}): ` +
    `the storage ${storageFound(mismatch)}; the database ${databaseFound(mismatch)}. Nothing was changed. ` +
    adviceOn(mismatch) +
    adoptionOf(mismatch)
  );
}

/** A storage without any of the database's blobs is the wrong one: adopting it would lose every image. */
function adoptionOf({ database: { id }, blobs: { checked, found } }: Mismatch): string {
  if (checked > 0 && found === 0) return '';
  return (
    ' If they do belong together, after one of them was restored or moved, ' +
    `stop all other Berths that use them, and start once with STORAGE_ADOPT=${id}.`
  );
}

function storageFound({ storage: { identity, isEmpty } }: Mismatch): string {
  const content = isEmpty ? 'is empty' : 'holds blobs or uploads';
  if (identity === undefined) return `has no identity and ${content}`;
  if (identity === DAMAGED) return `has a damaged identity (${IDENTITY_NAME} is not a UUID) and ${content}`;
  return `has the identity ${identity} and ${content}`;
}

function databaseFound({ database: { id, isBound }, blobs: { checked, found } }: Mismatch): string {
  const bound = isBound
    ? `belongs to a storage with the identity ${id}`
    : 'has never had a storage with an identity';
  const content =
    checked === 0 ? 'has no blobs' : `has blobs (${found} of ${checked} checked ones are in this storage)`;
  return `${bound} and ${content}`;
}

function adviceOn({ database: { isBound }, storage: { identity }, blobs: { checked } }: Mismatch): string {
  const another = 'Correct the STORAGE_… settings, DATABASE_URL or DATA_DIR, so that they belong together';
  if (identity === DAMAGED) return `Restore ${IDENTITY_NAME} of the storage.`;
  if (identity !== undefined)
    return isBound || checked > 0 ? `${another}.` : `${another}, or restore the lost database.`;
  if (isBound || checked > 0) {
    return 'Mount the storage, correct the STORAGE_… settings, or restore the storage.';
  }
  return `${another}, restore the lost database, or give a new registry an empty storage.`;
}
