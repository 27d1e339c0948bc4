import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { CollectingDatabase } from '../../support/collecting-database.js';
import { digestOf } from '../../support/registry-client.js';

describe('links and blobs', () => {
  let database: CollectingDatabase;

  beforeAll(async () => {
    database = await CollectingDatabase.create();
  });
  beforeEach(() => database.clear());
  afterEach(() => void jest.restoreAllMocks());
  afterAll(() => database.dispose());

  const log = (level: 'debug' | 'error') => jest.spyOn(Logger.prototype, level).mockReturnValue(undefined);

  const candidates = async () =>
    (await database.rows('SELECT FROM repository_blobs WHERE candidate_since IS NOT NULL')).length +
    (await database.rows('SELECT FROM blobs WHERE candidate_since IS NOT NULL')).length;

  for (const gcBatchRows of [1, 2, 500]) {
    it(`stay if something needs them, in batches of ${gcBatchRows}`, async () => {
      database.set({ gcBatchRows, gcUndeleteSeconds: 1_000 });
      await database.push('r', 'live', { blobs: ['of live'], tags: ['v1'] });
      await database.push('r', 'deleted', { blobs: ['of deleted', 'hidden'] });
      await database.delete('r', 'deleted');
      await database.rows(`SELECT * FROM unlink_blob('r', $1, NULL)`, [digestOf('hidden')]);
      // Pushed after a manifest that refers to it.
      await database.put('r', 'sparse', { blobs: ['late'], tags: ['v2'] });
      await database.pushBlob('r', 'late');
      await database.pushBlob('s', 'late');
      await database.pushBlob('s', 'of live');
      await database.pushBlob('s', 'of none');
      expect(await database.collect()).toMatchObject({ links: 3, blobs: 1, blobBytes: 7, neededLinks: 4 });
      expect(await database.links()).toEqual(['r hidden?', 'r late', 'r of deleted', 'r of live']);
      expect(await database.blobs()).toEqual(['hidden', 'late', 'of deleted', 'of live']);
      expect(await candidates()).toBe(0);
      expect(await database.collect()).toEqual({});
    });
  }

  it('have a grace, which a push renews', async () => {
    database.set({ gcGraceSeconds: 1_000 });
    await database.pushBlob('r', 'blob');
    await database.rows(`UPDATE repository_blobs SET candidate_since = now() - interval '999 s'`);
    expect(await database.collect()).toEqual({});
    await database.rows(`UPDATE repository_blobs SET candidate_since = now() - interval '1000 s'`);
    await database.pushBlob('r', 'blob');
    expect(await database.collect()).toEqual({});
    await database.rows(`UPDATE repository_blobs SET candidate_since = now() - interval '1000 s'`);
    expect(await database.collect()).toEqual({ links: 1, blobs: 1, blobBytes: 4 });
  });

  it('leave the keys of all objects of a blob', async () => {
    await database.pushBlob('r', 'blob');
    await database.rows(
      `INSERT INTO displaced_objects (object_key, blob_id, reason)
       SELECT 'displaced', id, 'missing' FROM blobs`,
    );
    await database.rows(`INSERT INTO blob_digests SELECT 'sha512:1', id FROM blobs`);
    expect(await database.collect()).toEqual({ links: 1, blobs: 1, blobBytes: 4 });
    const digest = digestOf('blob');
    expect(
      await database.rows(
        'SELECT left(object_key, 6) AS key, digest, size_bytes FROM object_deletions ORDER BY 1',
      ),
    ).toEqual([
      { key: 'blobs/', digest, size_bytes: '4' },
      { key: 'displa', digest, size_bytes: '4' },
    ]);
    // The same content is a new blob.
    await database.pushBlob('r', 'blob');
    expect(await database.blobs()).toEqual(['blob']);
  });

  it('are skipped, and not waited for, while requests hold them', async () => {
    for (const blob of ['a', 'b', 'c']) await database.pushBlob('r', blob);
    const runner = database.dataSource.createQueryRunner();
    const holding = async (table: string, work: () => Promise<void>) => {
      await runner.startTransaction();
      await runner.query(`SELECT FROM ${table} FOR KEY SHARE LIMIT 1`);
      await work();
      await runner.commitTransaction();
    };
    try {
      await holding('repository_blobs', async () => {
        expect(await database.collect()).toMatchObject({ links: 2, blobs: 2 });
      });
      // A blob that is locked after its link.
      await holding('blobs', async () => {
        expect(await database.collect()).toEqual({ links: 1 });
      });
    } finally {
      await runner.release();
    }
    expect(await database.collect()).toMatchObject({ blobs: 1 });
    expect(await database.blobs()).toEqual([]);
  });

  it('are left for a later collection if a lock is not granted in half a second', async () => {
    const debug = log('debug');
    await database.pushBlob('r', 'a');
    await database.pushBlob('s', 'b');
    const runner = database.dataSource.createQueryRunner();
    try {
      await runner.startTransaction();
      // The trigger must mark the blob, so it can't skip this one.
      await runner.query('SELECT FROM blobs FOR UPDATE');
      const startedAt = performance.now();
      expect(await database.collect()).toEqual({});
      expect(performance.now() - startedAt).toBeLessThan(3_000);
      expect(await database.links()).toHaveLength(2);
      expect(debug).toHaveBeenCalledTimes(1);
      await runner.commitTransaction();
    } finally {
      await runner.release();
    }
    expect(await database.collect()).toMatchObject({ links: 2, blobs: 2 });
  });

  it('are collected once by collectors that run at the same time', async () => {
    database.set({ gcBatchRows: 7 });
    for (let n = 0; n < 200; n += 1) await database.push('r', `image ${n}`, { blobs: [`a${n}`, `b${n}`] });
    for (let n = 0; n < 100; n += 1) await database.delete('r', `image ${n}`);
    const runs = await Promise.all([1, 2, 3].map(() => database.collect()));
    const rest = await database.collect();
    const sum = (name: string) => [...runs, rest].reduce((total, run) => total + (run[name] ?? 0), 0);
    expect(['manifests', 'links', 'blobs'].map(sum)).toEqual([100, 200, 200]);
    expect(await database.blobs()).toHaveLength(200);
    expect(await database.rows('SELECT FROM object_deletions')).toHaveLength(200);
  });

  it('stop soon after a signal', async () => {
    database.set({ gcBatchRows: 1 });
    for (let n = 0; n < 50; n += 1) await database.pushBlob('r', `blob ${n}`);
    const stopping = new AbortController();
    const collected = database.collect(stopping.signal);
    setTimeout(() => stopping.abort(), 20);
    expect((await collected)['links'] ?? 0).toBeLessThan(50);
    expect((await database.links()).length).toBeGreaterThan(0);
  });

  it('without a date are found by the weekly check, counted and collected', async () => {
    await database.push('r', 'image', { blobs: ['needed'], tags: ['v1'] });
    await database.pushBlob('r', 'lost link');
    await database.pushBlob('s', 'lost blob');
    await database.rows(`UPDATE repository_blobs SET candidate_since = NULL`);
    await database.rows(`ALTER TABLE repository_blobs DISABLE TRIGGER USER`);
    await database.rows(
      `DELETE FROM repository_blobs WHERE repository_id = (SELECT id FROM repositories WHERE name = 's')`,
    );
    await database.rows(`ALTER TABLE repository_blobs ENABLE TRIGGER USER`);
    const error = log('error');
    expect(await database.collect()).toEqual({ undated: 2 });
    expect(error).toHaveBeenCalledTimes(1);
    expect(await database.collect()).toMatchObject({ links: 1, blobs: 2 });
    expect(await database.blobs()).toEqual(['needed']);
  });

  it('with a date far ahead get one of today from the weekly check', async () => {
    await database.pushBlob('r', 'layer');
    await database.push('r', 'image', { tags: ['v1'] });
    await database.deleteTag('r', 'v1');
    await database.rows(`UPDATE repository_blobs SET candidate_since = now() + interval '1 year'`);
    await database.rows(`UPDATE deletions SET deleted_at = now() + interval '1 year'`);
    await database.rows(
      `INSERT INTO object_deletions (object_key, size_bytes, digest, due_at)
       VALUES ('blobs/x', 1, '', now() + interval '1 year')`,
    );
    expect(await database.collect()).toEqual({ correctedDates: 3 });
    expect(await database.collect()).toMatchObject({ links: 1, blobs: 1, expired: 1 });
    expect(await database.rows('SELECT FROM object_deletions WHERE due_at > now()')).toEqual([]);
  });
});
