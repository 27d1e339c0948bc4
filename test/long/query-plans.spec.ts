import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { PlannedRegistry } from '../support/query-plans/planned-registry.js';
import { SqlMethods } from '../support/query-plans/sql-methods.js';
import { describeAccess } from './query-plans/access.js';
import { describeAdminLists } from './query-plans/admin-lists.js';
import { describeBlobPushes } from './query-plans/blob-pushes.js';
import { describeCollection } from './query-plans/collection.js';
import { describeDeletions } from './query-plans/deletions.js';
import { describeIdempotentRequests } from './query-plans/idempotent-requests.js';
import { describeJobs } from './query-plans/jobs.js';
import { describeLists } from './query-plans/lists.js';
import { describeManifestPushes } from './query-plans/manifest-pushes.js';
import { describePulls } from './query-plans/pulls.js';
import { describeLogins } from './query-plans/logins.js';
import { describeObjectDeletions } from './query-plans/object-deletions.js';
import { describeReaping } from './query-plans/reaping.js';

/** 1: 40,000 manifests and 390,000 links. 25: a million and ten million, which takes minutes. */
const SCALE = Number(process.env['PLAN_SCALE'] ?? 1);
jest.setTimeout(120_000 * Math.max(1, SCALE));

/** Not on any client's path. */
const NOT_HERE = [
  // The overview counts whole tables, once at a time, and says so.
  'OverviewService.',
  // It reads all garbage, once at a time, and says so.
  'ForecastQuery.',
  // It reads all garbage and all open sessions, seldom, in one process of a host, and says so.
  'RegistryGauges.',
  // An operator's command, which reads all blobs by pages of their primary key.
  'PairCheck.',
  // Counts open sessions by index, at most as many as the limit, and at most once a second.
  'UploadSessionStore.insertWithin',
  // Once, before anybody is served.
  'UploadSessionStore.releaseAll',
  // Once, of an installation older than identities; by primary keys.
  'StorageIdentityStore.countSessions',
  'AdminStore.',
  'TlsAuthorityStore.',
  // Of tables with one row, or with a few.
  'RightsStore.epoch',
  'StorageClaimStore.',
  'SigningKeyStore.',
  // It sends nothing itself.
  'AccessChanges.onChange',
];

describe('on a large database', () => {
  const registry = new PlannedRegistry(SCALE);
  let methods: SqlMethods;

  beforeAll(async () => {
    methods = await SqlMethods.watch();
    await registry.start();
  });
  afterAll(() => registry.dispose());
  afterAll(() => {
    if (process.env['PLAN_FIGURES'] !== undefined) console.table(registry.figures);
  });

  describePulls(registry);
  describeLists(registry);
  describeAdminLists(registry);
  describeBlobPushes(registry);
  describeManifestPushes(registry);
  describeIdempotentRequests(registry);
  describeReaping(registry);
  describeObjectDeletions(registry);
  describeJobs(registry);
  describeDeletions(registry);
  describeAccess(registry);
  describeCollection(registry);
  // Last: it starts the registry again, with access control.
  describeLogins(registry);

  it('every method that sends SQL was called', () => {
    const unused = methods.unused.filter((name) => !NOT_HERE.some((each) => name.startsWith(each)));
    expect(unused).toEqual([]);
  });

  describe('a bad plan is reported', () => {
    /** Six blobs, whose links become candidates for collection, and the manifest. */
    const ROWS_OF_A_MANIFEST = 7;
    const faultsOf = async (statements: string[], items = 1) => {
      const { dataSource } = registry.berth.database;
      const executed = await registry.statementsOf(async () => {
        const runner = dataSource.createQueryRunner();
        await runner.startTransaction();
        for (const statement of statements) await runner.query(statement);
        await runner.rollbackTransaction();
        await runner.release();
      });
      return registry.faults(items, executed).join('\n');
    };

    it('that reads a whole table', async () => {
      const sql = `SELECT id FROM manifests WHERE media_type = 'text/plain'`;
      const faults = await faultsOf([sql]);
      expect(faults).toMatch(/^reads a whole table: Seq Scan on manifests, \d{5,} rows$/m);
      expect(faults).toContain(sql);
    });

    it('that sorts more rows than requested', async () => {
      const sql = 'SELECT digest FROM manifests WHERE repository_id = 1 ORDER BY media_type LIMIT 10';
      expect(await faultsOf([sql])).toMatch(/^sorts too many rows, \d{5,}, more than 12: Sort/m);
    });

    it('whose index scan reads more rows than requested', async () => {
      const faults = await faultsOf([
        'SELECT count(*) FROM tag_events WHERE repository_id = 1 AND tag < $$c$$',
      ]);
      expect(faults).toMatch(
        /^touches too many rows, \d{5,}, more than 42: most of them in .*Scan on tag_events/m,
      );
    });

    it('because a foreign key has no index', async () => {
      const deletion = 'DELETE FROM manifests WHERE id = 20000';
      expect(await faultsOf([deletion], ROWS_OF_A_MANIFEST)).toBe('');
      const faults = await faultsOf(['DROP INDEX tags_manifest_id_name_idx', deletion], ROWS_OF_A_MANIFEST);
      expect(faults).toMatch(/^reads a whole table: Seq Scan on tags/m);
    });
  });
});
