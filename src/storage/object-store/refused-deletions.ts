import { mapBounded } from '../../common/map-bounded.js';
import { StorageError, StorageUnavailableError } from '../storage.errors.js';
import type { RefusedDeletions } from './object-store.js';

/**
 * Deletes each of `names` by `deleteOne`, at most `limit` at a time, and returns the refusals. Ends with the
 * first error that means that the store is unavailable: the others would fail, too.
 */
export async function deleteEach<Name extends string>(
  names: readonly Name[],
  limit: number,
  deleteOne: (name: Name) => Promise<void>,
): Promise<ReadonlyMap<Name, StorageError>> {
  const refused = new Map<Name, StorageError>();
  await mapBounded(names, limit, async (name) => {
    try {
      await deleteOne(name);
    } catch (error) {
      if (!(error instanceof StorageError) || error instanceof StorageUnavailableError) throw error;
      refused.set(name, error);
    }
  });
  return refused;
}

/** @throws the first refusal. */
export function expectNoneRefused(refused: RefusedDeletions): void {
  for (const error of refused.values()) throw error;
}
