import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { CollectingDatabase } from '../../support/collecting-database.js';
import { during, type Statement } from '../../support/held-transaction.js';
import { untilSessionsWait } from '../../support/lock-waits.js';
import { digestOf } from '../../support/registry-client.js';

interface Race {
  readonly name: string;
  readonly untaggedSeconds?: number;
  readonly prepare: (database: CollectingDatabase) => Promise<void>;
  /** A batch of the collector. */
  readonly batch: string;
  /** The statement of a request. */
  readonly request: Statement;
  /** The result of the request when the collector was first. */
  readonly refused: unknown;
  readonly afterCollector: (database: CollectingDatabase) => Promise<void>;
  readonly afterRequest: (database: CollectingDatabase) => Promise<void>;
}

const put = (name: string, blobs: string[], children: string[], tags: string[] = []): Statement => [
  `SELECT put_manifest('r', $1, 'text/plain', NULL, NULL, NULL, $2, $3, $4, false, $5, NULL) AS result`,
  [digestOf(name), Buffer.from(name), blobs.map((b) => digestOf(b)), children.map((c) => digestOf(c)), tags],
];
const restore = (reference: string): Statement => [
  `SELECT restore_deletion(max(id), NULL, 1000, 100, NULL) AS result FROM deletions WHERE reference = $1`,
  [reference],
];
const expectLive =
  (...expected: string[]) =>
  async (database: CollectingDatabase) =>
    expect(await database.live()).toEqual(expected);
const deletedIndex = async (database: CollectingDatabase) => {
  await database.push('r', 'child', { blobs: ['layer'] });
  await database.push('r', 'index', { children: ['child'] });
  await database.delete('r', 'index');
};

const RACES: readonly Race[] = [
  {
    name: 'a manifest is pushed that needs the link',
    prepare: (database) => database.pushBlob('r', 'layer'),
    batch: `SELECT collect_links(0, 100, '-infinity', 0, 0)`,
    request: put('image', ['layer'], []),
    refused: [digestOf('layer')],
    afterCollector: async (database) => expect(await database.links()).toEqual([]),
    afterRequest: async (database) => expect(await database.links()).toEqual(['r layer']),
  },
  {
    name: 'a blob is linked',
    prepare: async (database) => {
      await database.pushBlob('r', 'layer');
      await database.rows('DELETE FROM repository_blobs');
    },
    batch: `SELECT collect_blobs(0, 100, '-infinity', 0)`,
    request: [
      `SELECT link_blob(ensure_repository('r'), b.id) AS result
         FROM (SELECT id FROM blobs FOR KEY SHARE) AS b`,
      [],
    ],
    refused: undefined,
    afterCollector: async (database) => expect(await database.blobs()).toEqual([]),
    afterRequest: async (database) => expect(await database.links()).toEqual(['r layer']),
  },
  {
    name: 'an index is pushed that lists a follower',
    prepare: deletedIndex,
    batch: `SELECT follow_deletion(id, 100, 0, 1, '', true) FROM deletions`,
    request: put('other', [], ['child']),
    refused: [],
    afterCollector: expectLive('child', 'other'),
    afterRequest: expectLive('child', 'other'),
  },
  {
    name: 'an index is pushed that lists a follower which is purged',
    prepare: async (database) => {
      await deletedIndex(database);
      database.set({ gcUndeleteSeconds: 1_000 });
      await database.collect();
      await database.rows(`UPDATE manifests SET deletion_id = NULL WHERE NOT is_follower`);
      await database.rows('DELETE FROM manifests WHERE deletion_id IS NULL');
      await database.rows(`UPDATE deletions SET state = 'purging'`);
    },
    batch: 'SELECT purge_deletions(100, 0, NULL)',
    request: put('other', [], ['child']),
    refused: [digestOf('child')],
    afterCollector: expectLive(),
    // Nor does it revive what is being purged.
    afterRequest: expectLive(),
  },
  {
    name: 'a manifest is pushed again that is purged',
    prepare: async (database) => {
      await database.push('r', 'image', { blobs: ['layer'] });
      await database.delete('r', 'image');
      await database.rows(`UPDATE deletions SET state = 'purging', followed = true`);
    },
    batch: 'SELECT purge_deletions(100, 0, NULL)',
    request: put('image', ['layer'], []),
    refused: [],
    afterCollector: expectLive('image'),
    afterRequest: expectLive('image'),
  },
  {
    name: 'a tag is set on an untagged manifest',
    untaggedSeconds: 1,
    prepare: async (database) => {
      await database.push('r', 'image', { blobs: ['layer'] });
      await database.rows(`UPDATE manifests SET pushed_at = now() - interval '1 h'`);
    },
    batch: `SELECT delete_untagged_by_push(1, 100, '-infinity', 0)`,
    request: put('image', ['layer'], [], ['v1']),
    refused: [],
    afterCollector: expectLive('image'),
    afterRequest: expectLive('image'),
  },
  {
    name: 'a deletion is restored that ends',
    prepare: async (database) => {
      await database.push('r', 'image', { blobs: ['layer'] });
      await database.delete('r', 'image');
      await database.rows('UPDATE deletions SET followed = true');
    },
    batch: 'SELECT expire_deletions(0, 100)',
    request: restore(digestOf('image')),
    refused: { refused: 'state', state: 'purging' },
    afterCollector: expectLive(),
    afterRequest: expectLive('image'),
  },
  {
    name: 'a deletion is restored whose followers are looked for',
    prepare: deletedIndex,
    batch: `SELECT follow_deletion(id, 100, 0, 1, '', true) FROM deletions`,
    request: restore(digestOf('index')),
    refused: {},
    afterCollector: expectLive('child', 'index'),
    afterRequest: expectLive('child', 'index'),
  },
];

describe('a collection while', () => {
  let database: CollectingDatabase;

  beforeAll(async () => {
    database = await CollectingDatabase.create();
  });
  beforeEach(() => database.clear());
  afterAll(() => database.dispose());

  describe.each(RACES)('$name', (race) => {
    beforeEach(async () => {
      await race.prepare(database);
      database.set({ gcGraceSeconds: 1_000, gcUntaggedSeconds: race.untaggedSeconds ?? 0 });
    });

    const send = async () => {
      const [row] = await database.rows<{ result: unknown }>(race.request[0], race.request[1]);
      return row?.result;
    };

    it('comes first', async () => {
      const [result] = await during(database.url, [[race.batch, []]], async () => {
        const sent = send();
        await untilSessionsWait(database.dataSource.manager);
        return [sent] as const;
      });
      expect(await result).toEqual(race.refused);
      await race.afterCollector(database);
    });

    it('comes second, and does not wait', async () => {
      await during(database.url, [race.request], async () => {
        await database.rows(race.batch);
      });
      await race.afterRequest(database);
      await database.collect();
      await race.afterRequest(database);
    });
  });
});
