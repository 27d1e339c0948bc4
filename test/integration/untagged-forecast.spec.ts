import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Forecast } from '../../src/collection/forecast/forecast.js';
import { ForecastQuery } from '../../src/collection/forecast/forecast.query.js';
import { ListQueries } from '../../src/database/list-queries.js';
import { CollectingDatabase, type TestManifest } from '../support/collecting-database.js';
import { digestOf } from '../support/registry-client.js';

const KEPT = { gcUndeleteSeconds: 1_000_000, gcGraceSeconds: 1_000_000, gcReadWindowSeconds: 1_000_000 };
/** Collects manifests without a tag at once. */
const AT_ONCE = { gcUntaggedSeconds: 0.000_001 };

/** The tag of cosign, or of the referrers tag schema, that stands for a manifest. */
const tagFor = (manifest: string, suffix = '') => digestOf(manifest).replace(':', '-') + suffix;

/** Layers whose sizes are different powers of 2: a sum tells which of them it has. */
const layer = (power: number) => 'abcdefghijklmnopqrstuvwxyz'.charAt(power).repeat(2 ** power);
const bytesOf = (...powers: number[]) => powers.reduce((sum, power) => sum + 2 ** power, 0);

describe('the forecast for manifests without a tag', () => {
  let database: CollectingDatabase;

  beforeAll(async () => {
    database = await CollectingDatabase.create();
  });
  beforeEach(() => database.clear());
  afterAll(() => database.dispose());

  const measure = (): Promise<Forecast> =>
    new ForecastQuery(new ListQueries(database.dataSource), database.configuration).measure();
  const stored = async () => {
    const sql = 'SELECT coalesce(sum(size_bytes), 0)::float8 AS bytes FROM blobs';
    return (await database.rows<{ bytes: number }>(sql))[0]?.bytes ?? 0;
  };
  /** Follows what was deleted, measures, collects all, and expects what was measured. */
  const expectExact = async (): Promise<Forecast['stages']['untagged']> => {
    database.set(KEPT);
    await database.collect();
    const { afterWindows, stages, isComplete } = await measure();
    expect(isComplete).toBe(true);
    const before = await stored();
    database.set(AT_ONCE);
    await database.collect();
    expect(before - (await stored())).toBe(afterWindows.bytesFreed + Number(stages.untagged.bytes));
    expect((await measure()).stages.untagged).toEqual({ enabled: true, count: 0, bytes: 0 });
    return stages.untagged;
  };

  const push = (name: string, content: TestManifest, repository = 'r') =>
    database.push(repository, name, content);

  it.each<[what: string, make: () => Promise<unknown>, count: number, bytes: number]>([
    ['an image', () => push('image', { blobs: [layer(0)] }), 1, bytesOf(0)],
    [
      'an index with children, of which one has a tag and one is a child of a kept index',
      async () => {
        await push('child', { blobs: [layer(0)] });
        await push('tagged child', { blobs: [layer(1)], tags: ['v1'] });
        await push('shared child', { blobs: [layer(2)] });
        await push('kept', { children: ['shared child'], tags: ['v2'] });
        await push('index', { children: ['child', 'tagged child', 'shared child'] });
      },
      1,
      bytesOf(0),
    ],
    [
      'a child that only indexes without a tag share, one in the other',
      async () => {
        await push('child', { blobs: [layer(0)] });
        await push('inner', { children: ['child'] });
        await push('outer', { children: ['inner', 'child'] });
      },
      1,
      bytesOf(0),
    ],
    [
      'referrers of referrers, and one that has a tag',
      async () => {
        await push('subject', { blobs: [layer(0)] });
        await push('referrer', { blobs: [layer(1)], subject: 'subject' });
        await push('its referrer', { blobs: [layer(2)], subject: 'referrer' });
        await push('tagged', { blobs: [layer(3)], subject: 'subject', tags: ['v1'] });
      },
      1,
      bytesOf(0, 1, 2),
    ],
    [
      'signatures by tag, and theirs, but none of a kept image',
      async () => {
        await push('image', { blobs: [layer(0)] });
        await push('signature', { blobs: [layer(1)], tags: [tagFor('image', '.sig')] });
        await push('sbom', { blobs: [layer(2)], tags: [tagFor('image', '.sbom'), 'v1'] });
        await push('of signature', { blobs: [layer(3)], tags: [tagFor('signature', '.att')] });
        await push('referrers', { blobs: [layer(4)], tags: [tagFor('image')] });
        await push('kept', { blobs: [layer(5)], tags: ['v2'] });
        await push('of kept', { blobs: [layer(6)], tags: [tagFor('kept', '.sig')] });
      },
      1,
      bytesOf(0, 1, 3, 4),
    ],
    [
      'a signature that a tag of a kept image points at, too',
      async () => {
        await push('image', {});
        await push('kept', { tags: ['v1'] });
        await push('signature', {
          blobs: [layer(0)],
          tags: [tagFor('image', '.sig'), tagFor('kept', '.sig')],
        });
      },
      1,
      0,
    ],
    [
      'manifests that indexes list as missing references',
      async () => {
        await push('index', { children: ['late'] });
        await push('kept', { children: ['kept late'], tags: ['v1'] });
        await push('late', { blobs: [layer(0)] });
        await push('kept late', { blobs: [layer(1)] });
      },
      1,
      bytesOf(0),
    ],
    [
      'blobs that were pushed after their manifests',
      async () => {
        await database.put('r', 'image', { blobs: [layer(0), layer(1)] });
        await database.put('r', 'kept', { blobs: [layer(1)], tags: ['v1'] });
        await database.pushBlobs('r', [layer(0), layer(1)]);
      },
      1,
      bytesOf(0),
    ],
    [
      'blobs that others need, also in other repositories',
      async () => {
        await push('image', { blobs: [layer(0), layer(1), layer(2), layer(3), layer(4)] });
        await push('kept', { blobs: [layer(1)], tags: ['v1'] });
        await push('other', { blobs: [layer(2)], tags: ['v1'] }, 'other');
        // Linked there without a manifest that needs it, and by a repository that is deleted.
        await database.pushBlob('other', layer(3));
        await push('gone', { blobs: [layer(4), layer(5)], tags: ['v1'] }, 'gone');
        await database.deleteRepository('gone');
      },
      1,
      bytesOf(0, 3, 4),
    ],
    [
      'not what is deleted',
      async () => {
        await push('deleted', { blobs: [layer(0), layer(1)] });
        await database.delete('r', 'deleted');
        await push('image', { blobs: [layer(1), layer(2)] });
        await push('gone', { blobs: [layer(3)] }, 'gone');
        await database.deleteRepository('gone');
      },
      1,
      bytesOf(1, 2),
    ],
    [
      'manifests that hold each other: they stay',
      async () => {
        await push('child', { blobs: [layer(0)] });
        await push('index', { children: ['child'], subject: 'child' });
        await push('outer', { children: ['index'], blobs: [layer(1)] });
      },
      1,
      bytesOf(1),
    ],
  ])('is exact: %s', async (_, make, count, bytes) => {
    await make();
    expect(await expectExact()).toEqual({ enabled: false, count, bytes });
  });

  const names = Array.from({ length: 8 }, (_, n) => `manifest ${n}`);
  const name = fc.constantFrom(...names);
  const some = <Value>(value: fc.Arbitrary<Value>, maxLength: number) =>
    fc.uniqueArray(value, { maxLength, size: 'max' });
  const tag = fc.oneof(
    { weight: 1, arbitrary: fc.constantFrom('v1', 'v2') },
    {
      weight: 2,
      arbitrary: fc.tuple(name, fc.constantFrom('', '.sig', '.att')).map(([each, end]) => tagFor(each, end)),
    },
  );
  const manifest = fc.record({
    repository: fc.constantFrom('r', 'r', 'r', 'other'),
    name,
    blobs: some(fc.integer({ min: 0, max: 10 }).map(layer), 3),
    children: some(name, 3),
    subject: fc.option(name, { nil: undefined }),
    tags: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 2, arbitrary: some(tag, 1) }),
    /** The blobs come later. */
    isEarly: fc.boolean(),
    isDeleted: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
  });

  it('is exact, whatever refers to what', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(manifest, { minLength: 4, maxLength: 12, size: 'max' }), async (pushes) => {
        await database.clear();
        for (const { repository, name: pushed, isEarly, isDeleted, subject, ...content } of pushes) {
          const all = { ...content, ...(subject !== undefined && { subject }) };
          if (isEarly) await database.put(repository, pushed, all);
          await database.pushBlobs(repository, content.blobs);
          if (!isEarly) await database.put(repository, pushed, all);
          if (isDeleted) await database.delete(repository, pushed).catch(() => undefined);
        }
        await expectExact();
      }),
      { numRuns: 15, seed: 15 },
    );
  });

  it('is null where it takes too long, and the rest is there', async () => {
    await push('image', { blobs: [layer(0)] });
    await push('deleted', { blobs: [layer(1)] });
    await database.delete('r', 'deleted');
    // As Postgres does at the limit.
    const cancel = `IF current_setting('statement_timeout') = '5s' THEN RAISE query_canceled; END IF;`;
    const [row] = await database.rows<{ sql: string }>(
      `SELECT pg_get_functiondef('untagged_forecast'::regproc) AS sql`,
    );
    const original = String(row?.sql);
    try {
      await database.rows(original.replace('found := gone;', `${cancel} found := gone;`));
      const { stages, afterWindows } = await measure();
      expect(stages.untagged).toEqual({ enabled: false, count: null, bytes: null });
      expect(afterWindows.bytesFreed).toBe(bytesOf(1));
    } finally {
      await database.rows(original);
    }
    expect((await measure()).stages.untagged).toEqual({ enabled: false, count: 1, bytes: bytesOf(0) });
  });
});
