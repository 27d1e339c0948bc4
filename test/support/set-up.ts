import { afterAll, afterEach, beforeAll } from '@jest/globals';
import { ProcessBench } from './process-bench.js';
import { OtherServers } from './refused-start.js';
import { createMigratedDatabase, createTestDatabase, type TestDatabase } from './test-postgres.js';

/**
 * A bench for the tests of a file or a `describe`: its processes end after each test, or after the last one
 * with `keepProcesses`.
 */
export function useProcessBench({ keepProcesses = false } = {}): ProcessBench {
  const bench = new ProcessBench();
  beforeAll(() => bench.open());
  if (!keepProcesses) afterEach(() => bench.clear());
  afterAll(() => bench.dispose());
  return bench;
}

/**
 * A database for the tests of a file or a `describe`. Read its fields in hooks and tests only.
 *
 * @param migrated whether it has Berth's schema, or is empty.
 */
export function useTestDatabase({ migrated = false } = {}): TestDatabase {
  let created: TestDatabase | undefined;
  const database = (): TestDatabase => {
    if (created === undefined) throw new Error('the database is created before the first test');
    return created;
  };
  beforeAll(async () => void (created = await (migrated ? createMigratedDatabase() : createTestDatabase())));
  afterAll(() => created?.drop());
  return {
    get url() {
      return database().url;
    },
    get connection() {
      return database().connection;
    },
    drop: () => database().drop(),
  };
}

/** Servers of the tests, closed after each of them. */
export function useOtherServers(): OtherServers {
  const servers = new OtherServers();
  afterEach(() => servers.close());
  return servers;
}
