import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { CollectingDatabase, type TestManifest } from '../../support/collecting-database.js';
import { digestOf } from '../../support/registry-client.js';

const KEEP = { gcUndeleteSeconds: 1_000 };
const schemaTag = (manifest: string) => digestOf(manifest).replace(':', '-');

interface Case {
  readonly name: string;
  /** In the order of the pushes. */
  readonly pushes: Readonly<Record<string, TestManifest>>;
  /** Besides `gone`. */
  readonly deletes?: readonly string[];
  readonly live: readonly string[];
  readonly tags?: readonly string[];
}

/** The manifest `gone` is deleted last. */
const CASES: readonly Case[] = [
  {
    name: 'children, and theirs',
    pushes: { leaf: {}, inner: { children: ['leaf'] }, gone: { children: ['inner'] } },
    live: [],
  },
  {
    name: 'no child that has a tag',
    pushes: { a: { tags: ['v1'] }, b: {}, gone: { children: ['a', 'b'] } },
    live: ['a'],
    tags: ['v1'],
  },
  {
    name: 'no child that another index lists',
    pushes: { a: {}, b: {}, gone: { children: ['a', 'b'] }, other: { children: ['a'], tags: ['v1'] } },
    live: ['a', 'other'],
    tags: ['v1'],
  },
  {
    name: 'children that only deleted indexes list',
    pushes: { a: {}, other: { children: ['a'] }, gone: { children: ['a'] } },
    deletes: ['other'],
    live: [],
  },
  {
    name: 'children that were pushed after the index',
    pushes: { gone: { children: ['late'] }, late: {} },
    live: [],
  },
  {
    name: 'no child that another index misses',
    pushes: { gone: { children: ['late'] }, other: { children: ['late'], tags: ['v1'] }, late: {} },
    live: ['late', 'other'],
    tags: ['v1'],
  },
  {
    name: 'referrers without a tag, and theirs',
    pushes: {
      gone: {},
      signature: { subject: 'gone' },
      signed: { subject: 'signature' },
      tagged: { subject: 'gone', tags: ['v1'] },
      ofTagged: { subject: 'tagged' },
    },
    live: ['ofTagged', 'tagged'],
    tags: ['v1'],
  },
  {
    name: 'referrers of children that go, and none of a child that stays',
    pushes: {
      a: { tags: ['v1'] },
      b: {},
      ofA: { subject: 'a' },
      ofB: { subject: 'b' },
      gone: { children: ['a', 'b'] },
    },
    live: ['a', 'ofA'],
    tags: ['v1'],
  },
  {
    name: 'no child that is a referrer of a live manifest',
    pushes: { subject: { tags: ['v1'] }, a: { subject: 'subject' }, gone: { children: ['a'] } },
    live: ['a', 'subject'],
    tags: ['v1'],
  },
  {
    name: 'tags of the referrers tag schema and of cosign, with their manifests',
    pushes: {
      gone: {},
      referrer: { subject: 'gone' },
      list: { children: ['referrer'], tags: [schemaTag('gone')] },
      sig: { tags: [`${schemaTag('gone')}.sig`] },
      att: { tags: [`${schemaTag('gone')}.att`, 'v1'] },
      sbom: { tags: [`${schemaTag('gone')}.sbom`] },
      other: { tags: [`${schemaTag('other')}.sig`, `${schemaTag('gone')}.txt`] },
    },
    live: ['att', 'other'],
    tags: ['v1', `${schemaTag('gone')}.txt`, `${schemaTag('other')}.sig`].sort(),
  },
  {
    name: 'signatures of children that go',
    pushes: {
      child: {},
      sig: { tags: [`${schemaTag('child')}.sig`] },
      sigOfSig: { tags: [`${schemaTag('sig')}.sig`] },
      gone: { children: ['child'] },
    },
    live: [],
  },
];

describe('followers of a deletion', () => {
  let database: CollectingDatabase;

  beforeAll(async () => {
    database = await CollectingDatabase.create();
  });
  beforeEach(() => database.clear());
  afterAll(() => database.dispose());

  const pushAll = async (pushes: Case['pushes']) => {
    for (const [name, content] of Object.entries(pushes)) await database.push('r', name, content);
  };

  for (const batchRows of [1, 2, 500]) {
    describe(`in batches of ${batchRows}`, () => {
      it.each(CASES)('has $name', async ({ pushes, deletes = [], live, tags = [] }) => {
        database.set({ ...KEEP, gcBatchRows: batchRows });
        // The same content elsewhere is not affected.
        await database.push('other', 'elsewhere', {});
        await pushAll(pushes);
        for (const manifest of [...deletes, 'gone']) await database.delete('r', manifest);
        await database.collect();
        expect(await database.live()).toEqual([...live, 'elsewhere'].sort());
        expect(await database.tags()).toEqual(tags);
        expect(await database.rows('SELECT FROM deletions WHERE NOT followed')).toEqual([]);
        // The deletion of each follower is that of what it followed.
        expect(await database.manifests('deletion_id IS NOT NULL AND is_follower')).toEqual(
          Object.keys(pushes)
            .filter((name) => ![...live, ...deletes, 'gone'].includes(name))
            .sort(),
        );
        expect(await database.collect()).toEqual({});

        expect(await database.restore(digestOf('gone'))).toBeUndefined();
        const restored = Object.keys(pushes).filter((name) => !deletes.includes(name));
        expect(await database.live()).toEqual([...restored, 'elsewhere'].sort());
        const restoredTags = Object.values(pushes).flatMap((content) => content.tags ?? []);
        expect(await database.tags()).toEqual(restoredTags.sort());
      });
    });
  }

  it('are kept, and looked at again, while a request holds them', async () => {
    database.set(KEEP);
    await pushAll({ a: {}, b: {}, gone: { children: ['a', 'b'] } });
    await database.delete('r', 'gone');
    const runner = database.dataSource.createQueryRunner();
    try {
      await runner.startTransaction();
      await runner.query(`SELECT FROM manifests WHERE convert_from(content, 'UTF8') = 'a' FOR KEY SHARE`);
      expect(await database.collect()).toEqual({ followers: 1 });
      expect(await database.live()).toEqual(['a']);
      expect(await database.rows('SELECT FROM deletions WHERE NOT followed')).toHaveLength(1);
      await runner.commitTransaction();
    } finally {
      await runner.release();
    }
    expect(await database.collect()).toEqual({ followers: 1 });
    expect(await database.live()).toEqual([]);
  });

  it('come back with an index that lists them', async () => {
    database.set(KEEP);
    await pushAll({ a: { blobs: ['layer'] }, b: {}, gone: { children: ['a', 'b'] } });
    await database.delete('r', 'gone');
    await database.collect();
    expect(await database.live()).toEqual([]);
    expect(await database.put('r', 'new', { children: ['a'] })).toEqual([]);
    expect(await database.live()).toEqual(['a', 'new']);
    database.set({});
    await database.collect();
    expect(await database.live()).toEqual(['a', 'new']);
    expect(await database.blobs()).toEqual(['layer']);
  });

  it('are not what is pushed after the deletion', async () => {
    database.set(KEEP);
    const signature = `${schemaTag('gone')}.sig`;
    await pushAll({ a: {}, b: {}, sig: { tags: [signature] }, gone: { children: ['a', 'b'] } });
    await database.delete('r', 'gone');
    await pushAll({ a: {}, late: { subject: 'gone' }, sig: { tags: [signature] } });
    await database.collect();
    expect(await database.live()).toEqual(['a', 'late', 'sig']);
    expect(await database.tags()).toEqual([signature]);
    expect(await database.rows('SELECT FROM deletions WHERE NOT followed')).toEqual([]);
  });

  it('are not looked for once the deletion was restored', async () => {
    database.set(KEEP);
    await pushAll({ a: {}, gone: { children: ['a'] } });
    await database.delete('r', 'gone');
    expect(await database.restore(digestOf('gone'))).toBeUndefined();
    expect(await database.collect()).toEqual({});
    expect(await database.live()).toEqual(['a', 'gone']);
  });
});
