import { randomUUID } from 'node:crypto';
import { utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { DisplacedObjects } from '../../../src/blobs/displaced-objects.service.js';
import { newUploadId, type UploadId } from '../../../src/oci/upload-id.js';
import { StorageError } from '../../../src/storage/storage.errors.js';
import { UploadEventLog } from '../../../src/events/upload-event-log.js';
import { UploadClock } from '../../../src/maintenance/upload-clock.js';
import { UploadReapingStore } from '../../../src/uploads/cleanup/upload-reaping.store.js';
import type { PlannedRegistry } from '../../support/query-plans/planned-registry.js';
import { reap } from '../../support/run-job.js';
import { claimantOf } from '../../support/upload-claims.js';

const DAY_SECONDS = 24 * 60 * 60;
const WEEK_SECONDS = 7 * DAY_SECONDS;
const REAPER = claimantOf('the reaper');
/** As many as the reaper asks for: sessions, and rows that are deleted. */
const SESSIONS = 100;
const ROWS = 1_000;

export function describeReaping(registry: PlannedRegistry): void {
  describe('the reaper', () => {
    const step = (what: string, items: number, work: (store: UploadReapingStore) => Promise<unknown>) =>
      it(what, () => registry.expectCost(items, () => work(registry.berth.app.get(UploadReapingStore))));
    const someIds = (count: number) => Array.from({ length: count }, newUploadId);

    step('ends idle sessions', SESSIONS, (store) => store.expire(WEEK_SECONDS, SESSIONS, REAPER));
    step('takes an interrupted commit', 1, (store) => store.acquireInterruptedCommit(15, [], REAPER));
    it('takes another one, beside those that it has tried', async () => {
      const sql = `SELECT id FROM uploads WHERE state = 'committing' ORDER BY id LIMIT $1`;
      const tried = (await registry.look<{ id: UploadId }>(sql, [SESSIONS])).map(({ id }) => id);
      const store = registry.berth.app.get(UploadReapingStore);
      await registry.expectCost(SESSIONS, () => store.acquireInterruptedCommit(15, tried, REAPER));
    });
    step('finds what ended sessions have left', SESSIONS, (store) => store.findUnreclaimed(15, SESSIONS));
    step('asks whose bytes those are', SESSIONS, (store) => store.whichHoldBytes(someIds(SESSIONS)));
    step('says that something is left', 1, (store) => store.markUnreclaimed(newUploadId()));
    step('forgets sessions', ROWS, (store) => store.prune(WEEK_SECONDS, ROWS));
    step('forgets events', ROWS, () => registry.berth.app.get(UploadEventLog).prune(30 * DAY_SECONDS, ROWS));

    it('corrects times that are still to come', async () => {
      await registry.look(
        `UPDATE uploads SET updated_at = now() + interval '1 day', lease_expires_at = now() + interval '1 day'
          WHERE id = ANY (ARRAY(SELECT id FROM uploads WHERE state = 'open' LIMIT $1)) RETURNING id`,
        [SESSIONS],
      );
      const store = registry.berth.app.get(UploadReapingStore);
      await registry.expectCost(ROWS, () => store.correctFutureTimes(15, ROWS));
    });

    step('observes the clock', 1, () => registry.berth.app.get(UploadClock).observe(1));
    it('observes that the clock went back', async () => {
      await registry.look(
        `UPDATE upload_clock SET seen_at = now() + interval '1 hour'
          WHERE id = (SELECT max(id) FROM upload_clock) RETURNING id`,
        [],
      );
      await registry.expectCost(1, () => registry.berth.app.get(UploadClock).observe(1));
    });

    it('looks at displaced objects', async () => {
      const due = 2 * SESSIONS;
      await registry.look(
        `UPDATE displaced_objects SET look_at = now() - n * interval '1 hour'
           FROM generate_series(1, $1::int) AS n WHERE object_key = 'blobs/displaced-' || n`,
        [due],
      );
      // Of those that are looked at first some are there.
      const sql = 'SELECT object_key, blob_id FROM displaced_objects ORDER BY look_at LIMIT 5';
      for (const row of await registry.look<{ object_key: string; blob_id: string }>(sql)) {
        await writeFile(join(registry.berth.driver.location, row.object_key), row.blob_id);
      }
      const { signal } = new AbortController();
      const displaced = registry.berth.app.get(DisplacedObjects);
      await registry.expectCost(SESSIONS, () => displaced.reap(100, signal));
      const left = await registry.look<{ object_key: string }>(
        `SELECT object_key FROM displaced_objects WHERE object_key = 'blobs/displaced-${due}'`,
      );
      expect(left).toEqual([]);
    });

    it('does a whole run', async () => {
      // A few sessions need all statements of a run.
      await registry.look(
        `UPDATE uploads SET lease_holder = 'busy', lease_expires_at = now() + interval '5 minutes'
          WHERE state = 'committing'
            AND id <> ALL (ARRAY(SELECT id FROM uploads WHERE state = 'committing' LIMIT $1))
          RETURNING id`,
        [20],
      );
      const orphan = join(registry.berth.dataDir, 'storage/uploads', randomUUID());
      await writeFile(orphan, 'bytes');
      await utimes(orphan, 0, 0);
      const driver = registry.berth.driver as { abortUpload?: unknown };
      const abort = registry.berth.driver.abortUpload.bind(driver);
      let calls = 0;
      // One session can't be cleared up.
      driver.abortUpload = (...call: Parameters<typeof abort>) =>
        (calls += 1) === 1 ? Promise.reject(new StorageError('not now')) : abort(...call);
      await registry.expectCost(ROWS, () => reap(registry.berth)).finally(() => delete driver.abortUpload);
      expect(calls).toBeGreaterThan(SESSIONS);
    });
  });
}
