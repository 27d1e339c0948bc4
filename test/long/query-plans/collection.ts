import { describe, expect, it } from '@jest/globals';
import { CollectionStore, type FollowPosition } from '../../../src/collection/collection.store.js';
import type { PlannedRegistry } from '../../support/query-plans/planned-registry.js';

const FIRST = { manifest: '0', relation: 1, key: '', isClean: true };
const EMPTY = { since: '-infinity', repository: '0', blob: '0' };
/** Statements of a batch are about manifests, and about their references. */
const REFERENCES = 10;

/** The last of the tests on a registry: it deletes what others look for. */
export function describeCollection(registry: PlannedRegistry): void {
  describe('a collection', () => {
    const store = () => registry.berth.app.get(CollectionStore);
    const step = (what: string, items: () => number, work: () => Promise<unknown>) =>
      it(what, () => registry.expectCost(items(), work));
    const batch = () => store().batch;
    /** Deletes manifests as requests do. */
    const softDelete = (condition: string) =>
      registry.look(
        `SELECT soft_delete_manifest(r.name, m.digest, NULL)
           FROM manifests AS m JOIN repositories AS r ON r.id = m.repository_id WHERE ${condition}`,
      );
    const lastDeletion = async () =>
      (await registry.look<{ id: string }>('SELECT max(id) AS id FROM deletions'))[0]?.id ?? '';

    it('follows the deletion of an index, and of a subject with many referrers', async () => {
      await softDelete('m.id % 20 = 2 AND m.id < 4000');
      await registry.expectCost(100, () => store().unfollowed('0', 1_000));
      await registry.expectCost(100, async () => store().follow(await lastDeletion(), FIRST));
      await softDelete(`m.id = ${registry.sizes.manifestsOfBig}`);
      const positions: (FollowPosition | undefined)[] = [FIRST];
      for (let from = positions[0]; from !== undefined; from = positions.at(-1)) {
        const position = from;
        await registry.expectCost(batch(), async () => {
          positions.push((await store().follow(await lastDeletion(), position)).position);
        });
      }
    });

    step('looks for untagged manifests by push', batch, () => store().deleteUntaggedByPush('-infinity', '0'));
    step('looks for untagged manifests by event', batch, () => store().deleteUntaggedByEvent('0'));

    it('purges manifests', async () => {
      for (const deletion of await store().unfollowed('0', 10_000)) await store().follow(deletion, FIRST);
      await registry.look(`UPDATE deletions SET followed = true, deleted_at = now() - interval '30 days'`);
      await registry.expectCost(batch(), () => store().expireDeletions());
      await registry.expectCost(batch() + 100 * REFERENCES, () =>
        store().purgeDeletions({ deletion: '0', manifest: null }),
      );
    });

    it('purges a repository', async () => {
      const deleted = await registry.look<{ id: string }>(
        `SELECT delete_repository(name, NULL, NULL) AS id FROM repositories WHERE id IN (1, 2)`,
      );
      await registry.look(`UPDATE deletions SET state = 'purging' WHERE kind = 'repository'`);
      await registry.expectCost(10, () => store().purgingRepositories('0', 1_000));
      for (const { id } of deleted) {
        for (let steps = 0; steps < 20; steps += 1)
          await registry.expectCost(batch() + 100 * REFERENCES, () => store().purgeRepository(id));
      }
    });

    it('forgets deletions', async () => {
      await registry.look(`UPDATE deletions SET ended_at = now() - interval '1 year' WHERE state = 'purged'`);
      await registry.expectCost(batch(), () => store().pruneDeletions());
    });

    it('collects links and blobs', async () => {
      await registry.look(`UPDATE repository_blobs SET candidate_since = now() - interval '30 days'`);
      const { looked } = await store().collectLinks(EMPTY);
      expect(looked).toBe(batch());
      await registry.expectCost(batch(), () => store().collectLinks(EMPTY));
      await registry.look(`UPDATE blobs SET candidate_since = now() - interval '30 days'`);
      await registry.expectCost(batch(), () => store().collectBlobs({ since: '-infinity', blob: '0' }));
    });

    step('checks links', batch, () => store().checkLinks('0', '0', batch()));
    it('corrects dates that are far ahead', async () => {
      await registry.look(`UPDATE repository_blobs SET candidate_since = now() + interval '1 year'`);
      await registry.expectCost(batch(), () => store().correctFutureDates());
    });

    step('checks blobs', batch, () => store().checkBlobs('0', batch()));
  });
}
