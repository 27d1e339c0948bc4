import { describe, expect, it } from '@jest/globals';
import { createMigratedDatabase } from '../support/test-postgres.js';
import { playRace } from '../collection/broken-locks/lock-race.js';
import { LOCK_RACES } from '../collection/broken-locks/races.js';

/** The races would be worth nothing if they passed without the locks. */
describe.each(LOCK_RACES)('$row: $function', (race) => {
  it.each([
    ['is right with its lock', true],
    ['goes wrong without its lock', false],
  ])('%s', async (_, withLock) => {
    const database = await createMigratedDatabase();
    try {
      const { isRight, errors } = await playRace(race, database, withLock);
      if (withLock) expect(errors).toEqual([]);
      // The database itself refuses to delete some of what is needed.
      expect(isRight && errors.length === 0).toBe(withLock);
    } finally {
      await database.drop();
    }
  });
});
