import { describe, expect, it } from '@jest/globals';
import { ObjectDeletionStore } from '../../../src/collection/objects/object-deletion.store.js';
import type { PlannedRegistry } from '../../support/query-plans/planned-registry.js';

/** As many as a batch has by default. */
const BATCH = 200;

export function describeObjectDeletions(registry: PlannedRegistry): void {
  describe('the deletion of objects', () => {
    const store = () => registry.berth.app.get(ObjectDeletionStore);
    const due = async () => (await store().findDue(BATCH)).map(({ objectKey }) => objectKey);

    it('finds what is due, and whether a blob has it', async () => {
      await registry.look(
        `INSERT INTO object_deletions (object_key, size_bytes, digest, due_at)
         SELECT 'blobs/collected/' || n, 100, 'sha256:' || n, now() + (n - 1000) * interval '1 s'
           FROM generate_series(1, 20000) AS n RETURNING object_key`,
      );
      await registry.look(
        `INSERT INTO object_deletions (object_key, size_bytes, digest, due_at)
         SELECT object_key, 100, 'sha256:blob', '-infinity' FROM (SELECT object_key FROM blobs LIMIT 5) AS b
         RETURNING object_key`,
      );
      await registry.expectCost(BATCH, () => store().findDue(BATCH));
      expect((await store().findDue(BATCH)).filter(({ isUsed }) => isUsed)).toHaveLength(5);
    });

    it('drops the rows of objects that a blob has', async () => {
      const keys = await due();
      await registry.expectCost(BATCH, () => store().dropUsed(keys));
      expect(await due()).toHaveLength(BATCH);
    });

    it('postpones those that could not be deleted', async () => {
      const failures = (await due()).map((objectKey) => ({ objectKey, error: 'not now' }));
      await registry.expectCost(BATCH, () => store().postpone(failures));
    });

    it('forgets those that are gone', async () => {
      const keys = await due();
      await registry.expectCost(BATCH, () => store().forget(keys));
    });
  });
}
