import { mapBounded } from '../../common/map-bounded.js';
import { StorageError, StorageUnavailableError } from '../storage.errors.js';
import type { RefusedDeletions } from './object-store.js';

/**
 * Deletes each of `names` by `deleteOne`, at most `limit` at a time, and returns the refusals. Ends with the
 * first error that means that the store is unavailable: the others would fail, too.
 */
export async function deleteEach(
  names: readonly string[],
  limit: number,
  deleteOne: (name: string) => Promise<void>,
): Promise<RefusedDeletions> {
  const refused = new Map<string, StorageError>();
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
