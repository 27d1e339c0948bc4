import { beforeAll, describe, expect, it } from '@jest/globals';
import { DeletionStore } from '../../../src/deletions/deletion.store.js';
import type { PlannedRegistry } from '../../support/query-plans/planned-registry.js';
import { BIG_REPOSITORY as BIG } from '../../support/query-plans/seed-statements.js';

const PAGE = 100;
const BATCH = 500;
/** Of each state, for the list of a repository. */
const STATES = 5;
/** An event of the audit log, which has several indexes, and a run of a job. */
const EVENTS = 6;

interface Deletion {
  readonly id: string;
  readonly state: string;
}

export function describeDeletions(registry: PlannedRegistry): void {
  const call = (method: string, path: string, status: number) =>
    registry.admin.call<Deletion>(method, path, status);

  describe('deletions', () => {
    beforeAll(() =>
      registry.look(
        `INSERT INTO deletions (repository, kind, reference, state, followed, ended_at)
         SELECT CASE WHEN n % 3 = 0 THEN '${BIG}' ELSE 'team-1/app-' || n % 1000 END, 'tag', 'v' || n,
                (ARRAY['restored', 'purged', 'restorable'])[1 + n % 7 % 3], true, now()
           FROM generate_series(1, 50000) AS n`,
      ),
    );

    it.each(
      ['', '&state=restorable', `&repository=${BIG}`, `&repository=${BIG}&state=purged`].flatMap((query) => [
        ['first', query],
        ['second', query],
      ]),
    )('the %s page of the list%s', async (which, query) => {
      const path = `/deletions?limit=${PAGE}${query}`;
      const { nextCursor } = await registry.admin.get<{ nextCursor: string }>(path);
      const wanted = which === 'first' ? path : `${path}&cursor=${nextCursor}`;
      const items = query === `&repository=${BIG}` ? STATES * PAGE : PAGE;
      await registry.expectCost(items, () => registry.admin.get(wanted));
    });

    it('a tag: it is shown, restored and purged', async () => {
      const name = registry.smallRepository;
      const image = await registry.client.makeImage(name, ['of a small deletion']);
      const ids: string[] = [];
      for (const tag of ['a', 'b']) {
        await registry.client.putManifest(name, tag, image);
        await registry.client.fetch(`/v2/${name}/manifests/${tag}`, { method: 'DELETE' });
        const { items } = await registry.admin.get<{ items: Deletion[] }>(
          `/deletions?repository=${name}&limit=1`,
        );
        ids.push(String(items[0]?.id));
      }
      await registry.expectCost(2, () => registry.admin.get(`/deletions/${ids[0]}`));
      await registry.expectCost(EVENTS, () => call('POST', `/deletions/${ids[0]}/restore`, 200));
      await registry.expectCost(EVENTS, () => call('POST', `/deletions/${ids[1]}/purge`, 202));
    });

    it('a repository: its usage, its deletion and its restore', async () => {
      const name = registry.smallRepository;
      const { blobs } = await registry.admin.get<{ blobs: number }>(`/repositories/${name}`);
      await registry.expectCost(blobs * 3, () => registry.admin.get(`/repositories/${name}/usage`));
      const store = registry.berth.app.get(DeletionStore);
      const origin = { actor: null, clientAddress: null, userAgent: null, requestId: null };
      let id: string | undefined;
      await registry.expectCost(EVENTS, async () => {
        id = await store.deleteRepository(name as Parameters<typeof store.deleteRepository>[0], origin);
      });
      await registry.expectCost(EVENTS, () => store.restore(String(id), undefined, origin));
    });

    it('a batch of a large restore', async () => {
      const [deletion] = await registry.look<{ id: string }>(
        `WITH deletion AS (
           INSERT INTO deletions (repository_id, repository, kind, state, restoration)
           SELECT id, name, 'manifest', 'restoring',
                  '{"actor": null, "total": 0, "manifests": 0, "tags": 0, "afterTag": "",
                    "tagsNotRestored": 0, "notRestored": []}'::jsonb
             FROM repositories WHERE name = $1 RETURNING *),
         gone AS (
           UPDATE manifests m SET deletion_id = d.id FROM deletion d
            WHERE m.id IN (SELECT id FROM manifests WHERE repository_id = d.repository_id
                            ORDER BY id LIMIT 3000))
         SELECT id FROM deletion`,
        [BIG],
      );
      const store = registry.berth.app.get(DeletionStore);
      await registry.expectCost(1, () => store.beingRestored('0'));
      // Each manifest has its references, links and indexes.
      await registry.expectCost(BATCH * 40, () => store.restoreBatch(String(deletion?.id)));
      while (await store.restoreBatch(String(deletion?.id)));
      expect(await store.beingRestored('0')).toBeUndefined();
    });
  });
}
