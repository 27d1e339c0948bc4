import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { CollectingDatabase } from '../../support/collecting-database.js';
import { digestOf } from '../../support/registry-client.js';

const numbered = (name: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${name} ${index + 1}`);

const ON = { gcUntaggedSeconds: 1_000, gcUndeleteSeconds: 1_000_000 };

describe('manifests without a tag', () => {
  let database: CollectingDatabase;

  beforeAll(async () => {
    database = await CollectingDatabase.create();
  });
  beforeEach(async () => {
    await database.clear();
    database.set(ON);
  });
  afterAll(() => database.dispose());

  /** As if everything so far had happened earlier. */
  const pass = async (seconds: number) => {
    await database.rows(`UPDATE manifests SET pushed_at = pushed_at - $1::int * interval '1 s'`, [seconds]);
    await database.rows(`UPDATE tag_events SET happened_at = happened_at - $1::int * interval '1 s'`, [
      seconds,
    ]);
  };
  /** Lets a second less pass, collects nothing, and then collects. Returns how many were deleted. */
  const collectAfter = async (seconds: number) => {
    await pass(seconds - 10);
    expect((await database.collect())['untagged']).toBeUndefined();
    await pass(10);
    return (await database.collect())['untagged'];
  };

  it('go that long after their push, and can be restored', async () => {
    await database.push('r', 'a', { blobs: ['layer'] });
    expect(await collectAfter(1_000)).toBe(1);
    expect(await database.deleted()).toEqual(['a']);
    expect(await database.rows('SELECT kind, repository, actor FROM deletions')).toEqual([
      { kind: 'untagged', repository: 'r', actor: null },
    ]);
    expect(await database.restore('r')).toBeUndefined();
    expect(await database.collect()).toEqual({});
    expect(await collectAfter(1_000)).toBe(1);
  });

  it('go that long after their last tag, whatever it was moved to', async () => {
    await database.push('r', 'a', { tags: ['v1'] });
    await database.push('r', 'b', { tags: ['v2'] });
    await pass(5_000);
    expect(await database.collect()).toEqual({});
    await database.push('r', 'c', { tags: ['v1'] });
    await database.deleteTag('r', 'v2');
    await pass(500);
    // It gets a tag again and loses it again.
    await database.push('r', 'a', { tags: ['v3'] });
    await database.deleteTag('r', 'v3');
    await pass(500);
    expect(await database.collect()).toMatchObject({ untagged: 1 });
    expect(await database.deleted()).toEqual(['b']);
    await pass(500);
    expect(await database.collect()).toMatchObject({ untagged: 1 });
    expect(await database.deleted()).toEqual(['a', 'b']);
    expect(await database.live()).toEqual(['c']);
  });

  it('go with what only they hold, and stay if something holds them', async () => {
    await database.push('r', 'child', {});
    await database.push('r', 'tagged child', { tags: ['v1'] });
    await database.push('r', 'index', { children: ['child', 'tagged child'] });
    await database.push('r', 'referrer', { subject: 'index' });
    await database.push('r', 'held child', {});
    await database.push('r', 'held', { children: ['held child', 'missing'], tags: ['v2'] });
    await database.push('r', 'held referrer', { subject: 'held child' });
    await database.push('r', 'missing', {});
    await pass(1_000);
    expect(await database.collect()).toMatchObject({ untagged: 1, followers: 2 });
    expect(await database.deleted()).toEqual(['child', 'index', 'referrer']);
    await database.deleteTag('r', 'v2');
    await pass(1_000);
    expect(await database.collect()).toMatchObject({ untagged: 1, followers: 3 });
    expect(await database.live()).toEqual(['tagged child']);
  });

  it('are looked at again after requests held them, and after a run with an older cursor', async () => {
    await database.push('r', 'a', {});
    await database.push('r', 'b', { tags: ['v1'] });
    await database.deleteTag('r', 'v1');
    await pass(1_000);
    const runner = database.dataSource.createQueryRunner();
    try {
      await runner.startTransaction();
      await runner.query('SELECT FROM manifests FOR KEY SHARE');
      expect(await database.collect()).toEqual({});
      await runner.commitTransaction();
    } finally {
      await runner.release();
    }
    expect(await database.collect()).toMatchObject({ untagged: 2 });
  });

  it('are looked at once', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) await database.push('r', name, { tags: [name, 'latest'] });
    await pass(10_000);
    for (const gcBatchRows of [2, 500]) {
      database.set({ ...ON, gcBatchRows });
      expect(await database.collect()).toEqual({});
    }
    // Not looked at any more.
    await database.rows('DELETE FROM tags');
    expect(await database.collect()).toEqual({});
    expect(await database.live()).toHaveLength(5);
  });

  it('are looked at again after the weekly check', async () => {
    await database.push('r', 'a', { tags: ['v1'] });
    await pass(10_000);
    // The first collection also checks.
    expect(await database.collect()).toEqual({});
    await database.rows('DELETE FROM tags');
    expect(await database.collect()).toEqual({ untagged: 1 });
  });

  it('stay while the setting is 0', async () => {
    database.set({ gcUntaggedSeconds: 0 });
    await database.push('r', 'a', {});
    await pass(100_000_000);
    expect(await database.collect()).toEqual({});
    database.set(ON);
    expect(await database.collect()).toMatchObject({ untagged: 1 });
  });

  it('do not wait behind an event of the future', async () => {
    await database.push('r', 'a', { tags: ['v1'] });
    await database.push('r', 'b', { tags: ['v1'] });
    await database.rows(`UPDATE tag_events SET happened_at = happened_at + interval '1 year'`);
    await database.push('r', 'c', { tags: ['v1'] });
    await database.rows(`UPDATE tag_events SET happened_at = now() - interval '1 h'
                          WHERE from_digest IS NOT NULL AND happened_at < now() + interval '1 day'`);
    await database.rows(`UPDATE manifests SET pushed_at = pushed_at - interval '1 h'`);
    expect(await database.collect()).toMatchObject({ untagged: 1 });
    expect(await database.deleted()).toEqual(['b']);
  });

  it('leave the bytes of one image after a tag was moved 1,000 times', async () => {
    await database.pushBlobs('r', ['base', ...numbered('layer', 1_000)]);
    await database.rows(
      `SELECT put_manifest('r', 'sha256:' || encode(sha256(convert_to('image ' || n, 'UTF8')), 'hex'),
                           'text/plain', NULL, NULL, NULL, convert_to('image ' || n, 'UTF8'),
                           ARRAY[$1, ($2::text[])[n]], '{}', false, '{latest}', NULL)
         FROM generate_series(1, 1000) AS n`,
      [digestOf('base'), numbered('layer', 1_000).map((name) => digestOf(name))],
    );
    await pass(1_000);
    database.set({ gcUntaggedSeconds: 1_000 });
    expect(await database.collect()).toMatchObject({ untagged: 999, manifests: 999, links: 999, blobs: 999 });
    expect(await database.live()).toEqual(['image 1000']);
    expect(await database.blobs()).toEqual(['base', 'layer 1000']);
    expect(await database.rows('SELECT sum(size_bytes)::int AS bytes FROM blobs')).toEqual([{ bytes: 14 }]);
  });
});
