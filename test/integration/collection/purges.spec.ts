import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { CollectingDatabase } from '../../support/collecting-database.js';
import { digestOf } from '../../support/registry-client.js';

const KEEP = { gcUndeleteSeconds: 1_000 };

describe('the end of a deletion', () => {
  let database: CollectingDatabase;

  beforeAll(async () => {
    database = await CollectingDatabase.create();
  });
  beforeEach(() => database.clear());
  afterAll(() => database.dispose());

  const deletions = () =>
    database.rows<{ kind: string; state: string }>('SELECT kind, state FROM deletions ORDER BY id');
  const requestPurge = async (reference: string) => {
    const sql = `SELECT request_purge(id, 1000, NULL) AS result FROM deletions
                  WHERE $1 IN (reference, repository)`;
    return (await database.rows<{ result: { refused?: string } }>(sql, [reference]))[0]?.result;
  };
  const objects = () =>
    database.rows<{ name: string; size: string; waits: boolean }>(
      `SELECT regexp_replace(object_key, '^blobs/(.*) sha256:.*$', '\\1') AS name, size_bytes AS size,
              due_at > now() AS waits
         FROM object_deletions ORDER BY 1`,
    );

  for (const gcBatchRows of [1, 3, 500]) {
    it(`frees exactly what it alone needed, in batches of ${gcBatchRows}`, async () => {
      database.set({ ...KEEP, gcBatchRows });
      await database.push('r', 'a', { blobs: ['base', 'layer a'] });
      await database.push('r', 'b', { blobs: ['base', 'layer b'], tags: ['v1'] });
      await database.push('s', 'c', { blobs: ['layer c', 'layer in both'], tags: ['v1'] });
      await database.push('r', 'gone', { blobs: ['layer in both', 'own'], children: ['a', 'b'] });
      await database.delete('r', 'gone');
      expect(await database.collect()).toMatchObject({ followers: 1 });
      // While it can be restored, nothing of it is freed.
      expect(await database.collect()).toEqual({});
      expect(await database.deleted()).toEqual(['a', 'gone']);

      database.set({ gcBatchRows });
      expect(await database.collect()).toMatchObject({
        ...{ expired: 1, manifests: 2, deletions: 1, links: 3, blobs: 2 },
        blobBytes: 'layer a'.length + 'own'.length,
      });
      expect(await database.live()).toEqual(['b', 'c']);
      expect(await database.links()).toEqual(['r base', 'r layer b', 's layer c', 's layer in both']);
      expect(await database.blobs()).toEqual(['base', 'layer b', 'layer c', 'layer in both']);
      expect(await objects()).toEqual([
        { name: 'layer a', size: '7', waits: false },
        { name: 'own', size: '3', waits: false },
      ]);
      expect(await deletions()).toEqual([{ kind: 'manifest', state: 'purged' }]);
      expect(await database.collect()).toEqual({});
    });

    it(`deletes a manifest with more references than ${gcBatchRows} in steps`, async () => {
      database.set({ gcBatchRows });
      const names = Array.from({ length: 20 }, (_, n) => `n${n}`);
      for (const name of names) await database.push('r', name, {});
      await database.push('r', 'image', { blobs: names.map((name) => `layer ${name}`) });
      await database.push('r', 'index', { children: ['image', ...names, 'missing', 'missing too'] });
      await database.push('r', 'small', { children: ['n1'], tags: ['v1'] });
      await database.delete('r', 'index');
      expect(await database.collect()).toMatchObject({ followers: 20, manifests: 21, links: 20, blobs: 20 });
      expect(await database.live()).toEqual(['n1', 'small']);
      expect(await database.deleted()).toEqual([]);
    });
  }

  it('begins the grace of its links and the window of objects', async () => {
    await database.push('r', 'gone', { blobs: ['layer'] });
    await database.delete('r', 'gone');
    database.set({ gcGraceSeconds: 1_000, gcReadWindowSeconds: 1_000 });
    expect(await database.collect()).toMatchObject({ manifests: 1, deletions: 1 });
    expect(await database.links()).toEqual(['r layer']);
    await database.rows(`UPDATE repository_blobs SET candidate_since = candidate_since - interval '999 s'`);
    expect(await database.collect()).toEqual({});
    await database.rows(`UPDATE repository_blobs SET candidate_since = candidate_since - interval '1 s'`);
    expect(await database.collect()).toEqual({ links: 1, blobs: 1, blobBytes: 5 });
    expect(await objects()).toEqual([{ name: 'layer', size: '5', waits: true }]);
  });

  it('waits for nothing if an operator purges it, except what others need', async () => {
    database.set({ ...KEEP, gcGraceSeconds: 1_000, gcReadWindowSeconds: 1_000 });
    await database.push('r', 'gone', { blobs: ['secret', 'base', 'shared'] });
    await database.push('r', 'kept', { blobs: ['base'], tags: ['v1'] });
    await database.push('s', 'kept too', { blobs: ['shared'], tags: ['v1'] });
    await database.push('r', 'other', { blobs: ['other'] });
    for (const manifest of ['gone', 'other']) await database.delete('r', manifest);
    await database.collect();
    expect(await requestPurge(digestOf('gone'))).toEqual({});
    expect(await database.restore(digestOf('gone'))).toBe('state');
    await database.collect();
    expect(await database.deleted()).toEqual(['other']);
    expect(await database.links()).toEqual(['r base', 'r other', 's shared']);
    expect(await objects()).toEqual([{ name: 'secret', size: '6', waits: false }]);
  });

  it('purges whole repositories, their other deletions too, whatever they contain', async () => {
    for (const gcBatchRows of [1, 500]) {
      await database.clear();
      database.set({ ...KEEP, gcBatchRows, gcGraceSeconds: 1_000, gcReadWindowSeconds: 1_000 });
      await database.push('r', 'a', { blobs: ['base', 'layer a'], tags: ['v1', 'v2'] });
      await database.push('r', 'index', { children: ['a', 'missing'], tags: ['v3'] });
      await database.push('r', 'before', { blobs: ['before'] });
      await database.pushBlob('r', 'pushed alone');
      await database.push('s', 'other', { blobs: ['base'], tags: ['v1'] });
      await database.delete('r', 'before');
      await database.deleteTag('r', 'v2');
      await database.deleteRepository('r');
      await database.collect();
      expect(await database.live()).toEqual(['a', 'index', 'other']);
      // A new repository of that name has nothing to do with it.
      await database.push('r', 'new', { blobs: ['base'], tags: ['v1'] });

      await requestPurge('r');
      await database.collect();
      expect(await database.live()).toEqual(['new', 'other']);
      expect(await database.deleted()).toEqual([]);
      expect(await database.rows('SELECT FROM repositories')).toHaveLength(2);
      expect(await database.links()).toEqual(['r base', 's base']);
      expect((await objects()).map(({ name, waits }) => [name, waits])).toEqual([
        ...[
          ['before', false],
          ['layer a', false],
        ],
        ['pushed alone', false],
      ]);
      expect(new Set((await deletions()).map(({ state }) => state))).toEqual(new Set(['purged']));
    }
  });

  it('ends deletions of tags, and forgets ended deletions later', async () => {
    await database.push('r', 'a', { tags: ['v1', 'v2'] });
    await database.deleteTag('r', 'v1');
    await database.collect();
    expect(await deletions()).toEqual([{ kind: 'tag', state: 'purged' }]);
    expect(await database.live()).toEqual(['a']);
    database.set({ jobHistorySeconds: 0 });
    expect(await database.collect()).toEqual({ forgotten: 2 });
    expect(await deletions()).toEqual([]);
    expect(await database.rows('SELECT FROM tag_events')).toHaveLength(3);
  });

  it('keeps a manifest that an index lists which can be restored', async () => {
    database.set(KEEP);
    await database.push('r', 'child', { tags: ['v1'], blobs: ['layer'] });
    await database.push('r', 'index', { children: ['child'] });
    await database.delete('r', 'index');
    await database.collect();
    await database.delete('r', 'child');
    await database.rows(
      `UPDATE deletions SET deleted_at = deleted_at - interval '1001 s' WHERE reference = $1`,
      [digestOf('child')],
    );
    await database.collect();
    expect(await database.deleted()).toEqual(['child', 'index']);
    expect(await database.restore(digestOf('index'))).toBeUndefined();
    expect(await database.live()).toEqual(['child', 'index']);
    database.set({});
    await database.collect();
    expect(await database.live()).toEqual(['child', 'index']);
    expect(await database.blobs()).toEqual(['layer']);
  });

  it('deletes nothing of a manifest that was pushed again', async () => {
    database.set(KEEP);
    await database.push('r', 'child', { blobs: ['layer'] });
    await database.push('r', 'gone', { children: ['child'] });
    await database.delete('r', 'gone');
    await database.collect();
    expect(await database.push('r', 'gone', { children: ['child'] })).toEqual([]);
    database.set({});
    await database.collect();
    expect(await database.live()).toEqual(['child', 'gone']);
    expect(await database.links()).toEqual(['r layer']);
    expect(await deletions()).toEqual([{ kind: 'manifest', state: 'purged' }]);
  });

  it('is over for restoring, whatever the setting becomes', async () => {
    await database.push('r', 'gone', {});
    await database.delete('r', 'gone');
    await database.rows(`UPDATE deletions SET state = 'purging', followed = true`);
    database.set(KEEP);
    expect(await database.restore(digestOf('gone'))).toBe('state');
    await database.collect();
    expect(await database.deleted()).toEqual([]);
  });

  it.each([true, false])(
    'is not undone by the restore of a tag, or by an index (begun: %s)',
    async (isBegun) => {
      database.set({ ...KEEP, gcUntaggedSeconds: 1 });
      await database.push('r', 'a', { blobs: ['secret'], tags: ['v1'] });
      await database.deleteTag('r', 'v1');
      await database.rows(`UPDATE manifests SET pushed_at = now() - interval '1 h'`);
      await database.rows(`UPDATE tag_events SET happened_at = now() - interval '1 h'`);
      expect(await database.collect()).toMatchObject({ untagged: 1 });
      expect(await requestPurge(digestOf('a'))).toEqual({});
      if (isBegun) await database.rows('SELECT expire_deletions(1000, 500)');

      expect(await database.put('r', 'index', { children: ['a'] }, false)).toEqual(['a']);
      expect(await database.restore('v1')).toBe('tag');
      expect([await database.live(), await database.tags()]).toEqual([[], []]);
      await database.collect();
      expect([await database.deleted(), await database.blobs()]).toEqual([[], []]);
    },
  );
});
