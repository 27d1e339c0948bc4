import { IDENTITY_NAME } from '../storage/identity-object.js';
import type { DatabaseIdentity } from './storage-identity.store.js';

/** In place of an identity: what the storage has under its name isn't one. It is equal to no database's. */
export const DAMAGED = 'damaged';

/** What a start has found, of a storage and a database that don't have one identity. */
export interface Mismatch {
  readonly database: DatabaseIdentity & { readonly description: string };
  readonly storage: {
    readonly location: string;
    /** Undefined where it has none; or {@link DAMAGED}. */
    readonly identity: string | undefined;
    readonly isEmpty: boolean;
  };
  /**
   * Of the blobs that the database knows, how many were looked for in the storage, and how many are there.
   */
  readonly blobs: { readonly lookedFor: number; readonly found: number };
}

/** Says what was found where, and what to do, on one line. */
export function describeMismatch(mismatch: Mismatch): string {
  const { database, storage } = mismatch;
  return (
    `The storage (${storage.location}) doesn't belong to the database (${database.description}): ` +
    `the storage ${storageFound(mismatch)}; the database ${databaseFound(mismatch)}. Nothing was changed in either. ` +
    `${adviceOn(mismatch)} To bind the two to each other as they are, after restoring or moving one of them, ` +
    `stop every other Berth of either and start once with STORAGE_ADOPT=${database.id}.`
  );
}

function storageFound({ storage: { identity, isEmpty } }: Mismatch): string {
  const content = isEmpty ? 'is empty' : 'holds blobs or uploads';
  if (identity === undefined) return `has no identity and ${content}`;
  if (identity === DAMAGED) return `has a damaged identity (${IDENTITY_NAME} is not a UUID) and ${content}`;
  return `has the identity ${identity} and ${content}`;
}

function databaseFound({ database: { id, isBound }, blobs: { lookedFor, found } }: Mismatch): string {
  const bound = isBound
    ? `belongs to a storage with the identity ${id}`
    : 'has never had a storage with an identity';
  const content =
    lookedFor === 0
      ? 'has no blobs'
      : `has blobs (${found} of the ${lookedFor} that were looked for are in this storage)`;
  return `${bound} and ${content}`;
}

function adviceOn({ database: { isBound }, storage: { identity }, blobs: { lookedFor } }: Mismatch): string {
  const another =
    'Correct the STORAGE_… settings, DATABASE_URL or DATA_DIR, so that they name two that belong together';
  if (identity === DAMAGED) return `Restore ${IDENTITY_NAME} of the storage.`;
  if (identity !== undefined)
    return isBound || lookedFor > 0 ? `${another}.` : `${another}, or restore the lost database.`;
  if (isBound || lookedFor > 0) {
    return 'Mount the storage, correct the STORAGE_… settings, or restore the storage.';
  }
  return `${another}, restore the lost database, or give a new registry an empty storage.`;
}
