import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ObjectStorageDriver } from '../../src/storage/object-store/object-storage.driver.js';
import type { Multipart, ObjectStore, Part } from '../../src/storage/object-store/object-store.js';
import type { IoOptions } from '../../src/storage/storage-driver.js';
import {
  DamagedIdentityError,
  ObjectNotFoundError,
  StorageError,
  UploadStateError,
} from '../../src/storage/storage.errors.js';
import {
  bodyOf,
  type Context,
  forEachOf,
  listed,
  listedMultiparts,
  listedObjects,
  listedWhole,
  NOW,
  type ObjectStoreHarness,
  putParts,
  readAll,
  stored,
} from './object-store.harness.js';
import { closed, expectBytes, letGo, MIB } from './storage-driver.harness.js';

/** The executable form of the contract in `src/storage/object-store/object-store.ts`. */
export function describeObjectStoreContract(
  name: string,
  makeHarness: () => Promise<ObjectStoreHarness>,
): void {
  describe(`object store contract: ${name}`, () => {
    let harness: ObjectStoreHarness;
    let store: ObjectStore;
    beforeEach(async () => {
      harness = await makeHarness();
      store = harness.store;
    });
    afterEach(() => harness.dispose());

    const context: Context = { store: () => store, harness: () => harness };
    describe('objects', () => describeObjects(context));
    describe('reading', () => describeReading(context));
    describe('the identity', () => describeIdentity(context));
    describe('deleting', () => describeDeleting(context));
    describe('listing', () => describeListing(context));
    describe('making an object of parts', () => describeCompleting(context));
    describe('multiparts that come to nothing', () => describeAborting(context));
    describe('listing multiparts', () => describeListingMultiparts(context));
    describe('checksums', () => describeChecksums(context));
    describe('prefixes and names', () => describeNames(context));
    describe('signed URLs', () => describeSignedUrls(context));
    describe('giving up', () => describeSignals(context));
    describe('boot', () => describeBoot(context));
  });
}

function describeObjects({ store, harness }: Context): void {
  it.each([
    ['one byte', 1],
    ['a thousand bytes', 1000],
    ['an odd number around a power of two', 65537],
    ['megabytes', 5 * MIB + 1],
  ])('gives back what was put: %s', async (_, size) => {
    const content = randomBytes(size);
    await stored(store(), 'blobs/ab/object', content);
    expect(await store().head('blobs/ab/object', NOW)).toMatchObject({
      name: 'blobs/ab/object',
      sizeBytes: size,
    });
    expectBytes(await readAll(store(), 'blobs/ab/object'), content);
  });

  it('keeps an object of no bytes', async () => {
    await stored(store(), 'empty', Buffer.of());
    expect(await store().head('empty', NOW)).toMatchObject({ name: 'empty', sizeBytes: 0 });
    expect(await listed(store(), '')).toEqual(['empty']);
  });

  it('puts an object in place of another one', async () => {
    await stored(store(), 'object', randomBytes(1000));
    const content = randomBytes(10);
    await stored(store(), 'object', content);
    expectBytes(await readAll(store(), 'object'), content);
    expect(await listed(store(), '')).toEqual(['object']);
  });

  it('knows nothing of a missing object', async () => {
    await stored(store(), 'blobs/ab/object', randomBytes(10));
    for (const name of ['missing', 'blobs', 'blobs/ab', 'blobs/ab/objec', 'blobs/ab/object/x']) {
      expect(await store().head(name, NOW)).toBeUndefined();
      await expect(store().get(name, { start: 0, end: 0 }, NOW)).rejects.toBeInstanceOf(ObjectNotFoundError);
    }
  });

  it('keeps objects whose names begin alike apart', async () => {
    const names = ['a', 'a/b', 'a/b/c', 'a~b', 'a.b', 'a-b_c', 'A'];
    await forEachOf(names, (name) => stored(store(), name, Buffer.from(name)));
    expect(await listed(store(), '')).toEqual([...names].sort());
    for (const name of names) expectBytes(await readAll(store(), name), Buffer.from(name));
  });

  it('says when an object was made, in whole seconds', async () => {
    const before = Date.now();
    await stored(store(), 'object', randomBytes(10));
    const made = (await store().head('object', NOW))?.modifiedAt.getTime() ?? 0;
    // Another machine's clock may say it.
    expect(Math.abs(made - before)).toBeLessThan(60_000);
    expect(made % 1000).toBe(0);
  });

  it('shows another instance what it has settled', async () => {
    const content = randomBytes(1000);
    const other = await harness().open('');
    await stored(store(), 'object', content);
    expectBytes(await readAll(other, 'object'), content);
    await other.delete(['object'], NOW);
    expect(await store().head('object', NOW)).toBeUndefined();
  });

  it('keeps one of those who put at once, whole', async () => {
    const contents = Array.from({ length: 5 }, () => randomBytes(100_000));
    await Promise.all(contents.map((content) => stored(store(), 'object', content)));
    const kept = await readAll(store(), 'object');
    expect(contents.some((content) => content.equals(kept))).toBe(true);
  });
}

function describeIdentity({ store }: Context): void {
  it.each(['', 'cut off', 'longer than an identity can be, if only by a few bytes'])(
    'is told from one that is damaged: %j',
    async (content) => {
      await stored(store(), 'berth-identity', Buffer.from(content));
      const driver = new ObjectStorageDriver(store(), { partBytes: 5 * MIB, redirect: false });
      await expect(driver.readIdentity()).rejects.toBeInstanceOf(DamagedIdentityError);
    },
  );
}

function describeReading({ store }: Context): void {
  it.each([
    [0, 0],
    [0, 999_999],
    [1, 1],
    [999_999, 999_999],
    [65_535, 65_536],
    [123_456, 789_012],
  ])('reads from %d to %d', async (start, end) => {
    const content = randomBytes(1_000_000);
    await stored(store(), 'object', content);
    expectBytes(
      await buffer(await store().get('object', { start, end }, NOW)),
      content.subarray(start, end + 1),
    );
  });

  it('rejects a span that begins behind the end', async () => {
    await stored(store(), 'object', randomBytes(10));
    await expect(store().get('object', { start: 10, end: 10 }, NOW)).rejects.toBeInstanceOf(StorageError);
    await expect(store().get('object', { start: 100, end: 200 }, NOW)).rejects.toBeInstanceOf(StorageError);
  });

  it('serves many readers at once', async () => {
    const content = randomBytes(2 * MIB);
    await stored(store(), 'object', content);
    const span = { start: 0, end: content.length - 1 };
    const streams = await Promise.all(Array.from({ length: 16 }, () => store().get('object', span, NOW)));
    for (const bytes of await Promise.all(streams.map((stream) => buffer(stream))))
      expectBytes(bytes, content);
  });

  it('takes a stream that is destroyed before its end, and serves the next', async () => {
    const content = randomBytes(4 * MIB);
    await stored(store(), 'object', content);
    const span = { start: 0, end: content.length - 1 };
    const unread = await store().get('object', span, NOW);
    unread.destroy();
    await closed(unread);
    const partly = await store().get('object', span, NOW);
    for await (const _ of partly) break;
    await closed(partly);
    expectBytes(await readAll(store(), 'object'), content);
  });
}

function describeDeleting({ store }: Context): void {
  it('deletes, and deletes again', async () => {
    await stored(store(), 'object', randomBytes(10));
    await store().delete(['object'], NOW);
    expect(await store().head('object', NOW)).toBeUndefined();
    await store().delete(['object'], NOW);
    expect(await listed(store(), '')).toEqual([]);
  });

  it('deletes nothing when asked to', async () => {
    await stored(store(), 'object', randomBytes(10));
    await store().delete([], NOW);
    expect(await listed(store(), '')).toEqual(['object']);
  });

  it('deletes those that are there of many, and no other', async () => {
    const names = Array.from({ length: 1001 }, (_, index) => `uploads/some~${index}`);
    const there = [names[0], names[500], names[999], names[1000]].map(String);
    await forEachOf([...there, 'uploads/some', 'uploads/other'], (name) =>
      stored(store(), name, Buffer.from('x')),
    );
    await store().delete(names, NOW);
    expect(await listed(store(), '')).toEqual(['uploads/other', 'uploads/some']);
  });
}

function describeListing({ store, harness }: Context): void {
  it('is empty at first', async () => {
    expect(await listed(store(), '')).toEqual([]);
    expect(await listed(store(), 'blobs/')).toEqual([]);
  });

  it('lists by every prefix of a name, and by none that it lacks', async () => {
    const names = ['blobs/ab/abc', 'blobs/ab/abd', 'blobs/cd/cde', 'uploads/abc~0'];
    await forEachOf(names, (name) => stored(store(), name, Buffer.from('x')));
    for (let length = 0; length <= 12; length += 1) {
      const prefix = 'blobs/ab/abc'.slice(0, length);
      expect(await listed(store(), prefix)).toEqual(names.filter((name) => name.startsWith(prefix)));
    }
    for (const prefix of ['blobs/ab/abc/', 'blobs/ab/abcx', 'lobs', '/blobs', 'blobs//']) {
      expect(await listed(store(), prefix)).toEqual([]);
    }
  });

  it('lists what head answers', async () => {
    await stored(store(), 'object', randomBytes(123));
    expect(await listedObjects(store(), '')).toEqual([await store().head('object', NOW)]);
  });

  it.each([
    ['a page', (size: number) => size],
    ['a page and one', (size: number) => size + 1],
    ['several pages', (size: number) => 3 * size + 1],
  ])('lists each object once: %s of them', async (_, count) => {
    const { length } = { length: count(harness().traits.pageSize) };
    const names = Array.from({ length }, (__, index) => `blobs/${index}`);
    await forEachOf([...names, 'other'], (name) => stored(store(), name, Buffer.from('x')));
    expect(await listed(store(), 'blobs/')).toEqual([...names].sort());
  });

  it('can be left early, and begun again', async () => {
    await forEachOf(['a', 'b', 'c'], (name) => stored(store(), name, Buffer.from('x')));
    for await (const _ of store().list('', NOW)) break;
    expect(await listed(store(), '')).toEqual(['a', 'b', 'c']);
  });
}

function describeCompleting({ store, harness }: Context): void {
  const size = (): number => harness().traits.partBytes;

  it.each([
    ['one part', [1]],
    ['parts without gaps', [1, 2, 3]],
    ['parts with gaps in their numbers', [2, 3, 7, 40, 1000]],
  ])('makes the object of %s', async (_, numbers) => {
    const contents = numbers.map((__, at) => randomBytes(at === numbers.length - 1 ? 77 : size()));
    const multipart = await store().beginMultipart('blobs/object', NOW);
    expect(multipart.name).toBe('blobs/object');
    const parts = await putParts(
      store(),
      multipart,
      new Map(numbers.map((number, at) => [number, contents[at]!])),
    );
    expect(parts.map(({ number }) => number)).toEqual(numbers);
    await store().completeMultipart(multipart, parts, NOW);
    const content = Buffer.concat(contents);
    expect(await store().head('blobs/object', NOW)).toMatchObject({ sizeBytes: content.length });
    expectBytes(await readAll(store(), 'blobs/object'), content);
    expect(await listed(store(), '')).toEqual(['blobs/object']);
  });

  it('makes it of parts of megabytes', async () => {
    const contents = [randomBytes(5 * MIB), randomBytes(5 * MIB), randomBytes(MIB + 1)];
    const multipart = await store().beginMultipart('object', NOW);
    const parts = await putParts(store(), multipart, new Map(contents.map((bytes, at) => [at + 1, bytes])));
    await store().completeMultipart(multipart, parts, NOW);
    expectBytes(await readAll(store(), 'object'), Buffer.concat(contents));
  });

  it('takes the first and the last number', async () => {
    const [first, last] = [randomBytes(size()), randomBytes(10)];
    const numbered = new Map([
      [1, first],
      [store().maxPartNumber, last],
    ]);
    const multipart = await store().beginMultipart('object', NOW);
    await store().completeMultipart(multipart, await putParts(store(), multipart, numbered), NOW);
    expectBytes(await readAll(store(), 'object'), Buffer.concat([first, last]));
  });

  it('shows nothing before it is completed', async () => {
    const multipart = await store().beginMultipart('object', NOW);
    expect(await store().head('object', NOW)).toBeUndefined();
    await putParts(store(), multipart, new Map([[1, randomBytes(size())]]));
    expect(await store().head('object', NOW)).toBeUndefined();
    await expect(store().get('object', { start: 0, end: 0 }, NOW)).rejects.toBeInstanceOf(
      ObjectNotFoundError,
    );
    expect(await listedWhole({ store, harness })).toEqual([]);
  });

  it('leaves out parts that it is not told of, or refuses', async () => {
    const contents = [randomBytes(size()), randomBytes(size()), randomBytes(size())];
    const multipart = await store().beginMultipart('object', NOW);
    const parts = await putParts(store(), multipart, new Map(contents.map((bytes, at) => [at + 1, bytes])));
    const completing = store().completeMultipart(multipart, [parts[0]!, parts[2]!], NOW);
    if (!store().leavesPartsOut) {
      await expect(completing).rejects.toBeInstanceOf(UploadStateError);
      expect(await store().head('object', NOW)).toBeUndefined();
      return;
    }
    await completing;
    expectBytes(await readAll(store(), 'object'), Buffer.concat([contents[0]!, contents[2]!]));
  });

  it('goes on in another instance', async () => {
    const [one, two] = [randomBytes(size()), randomBytes(10)];
    const { name, id } = await store().beginMultipart('object', NOW);
    const first = await putParts(store(), { name, id }, new Map([[1, one]]));
    const other = await harness().open('');
    const second = await putParts(other, { name, id }, new Map([[2, two]]));
    await (await harness().open('')).completeMultipart({ name, id }, [...first, ...second], NOW);
    expectBytes(await readAll(store(), 'object'), Buffer.concat([one, two]));
  });

  it('takes the later one of two parts of one number', async () => {
    const [older, newer] = [randomBytes(size()), randomBytes(size())];
    const multipart = await store().beginMultipart('object', NOW);
    await putParts(store(), multipart, new Map([[3, older]]));
    const parts = await putParts(store(), multipart, new Map([[3, newer]]));
    await store().completeMultipart(multipart, parts, NOW);
    expectBytes(await readAll(store(), 'object'), newer);
  });

  it('makes it of the part that has the tag, or refuses: the earlier one of two', async () => {
    const [older, newer] = [randomBytes(size()), randomBytes(size())];
    const multipart = await store().beginMultipart('object', NOW);
    const earlier = await putParts(store(), multipart, new Map([[3, older]]));
    await putParts(store(), multipart, new Map([[3, newer]]));
    await expectMadeOf(multipart, older, store().completeMultipart(multipart, earlier, NOW));
  });

  it('makes it of the part that has the tag, or refuses: two at once', async () => {
    const contents = [randomBytes(size()), randomBytes(size())];
    const multipart = await store().beginMultipart('object', NOW);
    const parts = await Promise.all(
      contents.map((bytes) => store().putPart(multipart, 1, bodyOf(bytes), NOW)),
    );
    const outcomes: boolean[] = [];
    for (const [at, part] of parts.entries()) {
      if (outcomes.includes(true)) break;
      outcomes.push(
        await expectMadeOf(multipart, contents[at]!, store().completeMultipart(multipart, [part], NOW)),
      );
    }
    expect(outcomes).toContain(true);
  });

  /** Answers whether it was completed. */
  async function expectMadeOf(
    { name }: Multipart,
    content: Buffer,
    completion: Promise<void>,
  ): Promise<boolean> {
    const [outcome] = await Promise.allSettled([completion]);
    if (outcome.status === 'fulfilled') {
      expectBytes(await readAll(store(), name), content);
      return true;
    }
    expect(outcome.reason).toBeInstanceOf(UploadStateError);
    expect(await store().head(name, NOW)).toBeUndefined();
    return false;
  }

  it('refuses a tag that belongs to another part, and can be completed after that', async () => {
    const contents = [randomBytes(size()), randomBytes(size())];
    const multipart = await store().beginMultipart('object', NOW);
    const [one, two] = (await putParts(
      store(),
      multipart,
      new Map(contents.map((bytes, at) => [at + 1, bytes])),
    )) as [Part, Part];
    const foreign = await store().beginMultipart('foreign', NOW);
    const [third] = await putParts(store(), foreign, new Map([[2, randomBytes(size())]]));
    const completion = store().completeMultipart(multipart, [one, { number: 2, tag: third!.tag }], NOW);
    await expect(completion).rejects.toBeInstanceOf(UploadStateError);
    expect(await store().head('object', NOW)).toBeUndefined();
    await store().completeMultipart(multipart, [one, two], NOW);
    expectBytes(await readAll(store(), 'object'), Buffer.concat(contents));
  });

  it('refuses a part that nobody has put', async () => {
    const multipart = await store().beginMultipart('object', NOW);
    const [one] = await putParts(store(), multipart, new Map([[1, randomBytes(size())]]));
    const foreign = await store().beginMultipart('foreign', NOW);
    const [two] = await putParts(store(), foreign, new Map([[2, randomBytes(size())]]));
    await expect(store().completeMultipart(multipart, [one!, two!], NOW)).rejects.toBeInstanceOf(
      UploadStateError,
    );
    expect(await store().head('object', NOW)).toBeUndefined();
  });

  it('completed again, succeeds or says that it has not what it takes; the object stays', async () => {
    const content = randomBytes(size());
    const multipart = await store().beginMultipart('object', NOW);
    const parts = await putParts(store(), multipart, new Map([[1, content]]));
    await store().completeMultipart(multipart, parts, NOW);
    const [again] = await Promise.allSettled([store().completeMultipart(multipart, parts, NOW)]);
    if (again.status === 'rejected') expect(again.reason).toBeInstanceOf(UploadStateError);
    expectBytes(await readAll(store(), 'object'), content);
  });

  it('completed by many at once, succeeds for one at least; the object is whole', async () => {
    const contents = [randomBytes(size()), randomBytes(size()), randomBytes(5)];
    const multipart = await store().beginMultipart('object', NOW);
    const parts = await putParts(
      store(),
      multipart,
      new Map([...contents.entries()].map(([at, b]) => [at + 1, b])),
    );
    const other = await harness().open('');
    const outcomes = await Promise.allSettled(
      [store(), other, store(), other].map((each) => each.completeMultipart(multipart, parts, NOW)),
    );
    expect(outcomes.map(({ status }) => status)).toContain('fulfilled');
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(UploadStateError);
    }
    expectBytes(await readAll(store(), 'object'), Buffer.concat(contents));
    expect(await listed(store(), '')).toEqual(['object']);
  });
}

function describeAborting({ store, harness }: Context): void {
  const size = (): number => harness().traits.partBytes;

  async function begun(name = 'object'): Promise<{ multipart: Multipart; parts: Part[]; content: Buffer }> {
    const content = randomBytes(size());
    const multipart = await store().beginMultipart(name, NOW);
    return { multipart, parts: await putParts(store(), multipart, new Map([[1, content]])), content };
  }

  it('aborts, and aborts again', async () => {
    const { multipart, parts } = await begun();
    await store().abortMultipart(multipart, parts, NOW);
    await store().abortMultipart(multipart, parts, NOW);
    expect(await listed(store(), '')).toEqual([]);
    expect(await listedMultiparts(store(), '')).toEqual([]);
  });

  it('aborts one that has no parts, or whose parts it is not told of', async () => {
    await store().abortMultipart(await store().beginMultipart('object', NOW), [], NOW);
    const { multipart } = await begun('other');
    await store().abortMultipart(multipart, [], NOW);
    expect(await listedWhole({ store, harness })).toEqual([]);
    expect(await listedMultiparts(store(), '')).toEqual([]);
  });

  it('can not be completed after an abort', async () => {
    const { multipart, parts } = await begun();
    await store().abortMultipart(multipart, parts, NOW);
    await expect(store().completeMultipart(multipart, parts, NOW)).rejects.toBeInstanceOf(UploadStateError);
    expect(await store().head('object', NOW)).toBeUndefined();
    expect(await listed(store(), '')).toEqual([]);
  });

  it('takes no part after an abort, or makes nothing of it', async () => {
    const { multipart, parts } = await begun();
    await store().abortMultipart(multipart, parts, NOW);
    const [late] = await Promise.allSettled([
      store().putPart(multipart, 2, bodyOf(randomBytes(size())), NOW),
    ]);
    if (harness().traits.knowsMultiparts) expect(late.status).toBe('rejected');
    if (late.status === 'rejected') expect(late.reason).toBeInstanceOf(UploadStateError);
    expect(await store().head('object', NOW)).toBeUndefined();
    expect(await listedWhole({ store, harness })).toEqual([]);
  });

  it('leaves the object alone that was made already', async () => {
    const { multipart, parts, content } = await begun();
    await store().completeMultipart(multipart, parts, NOW);
    await store().abortMultipart(multipart, parts, NOW);
    await store().abortMultipart(multipart, [], NOW);
    expectBytes(await readAll(store(), 'object'), content);
  });

  it('leaves the object alone that was made of another multipart of the same name', async () => {
    const orphan = await begun();
    const { multipart, parts, content } = await begun();
    await store().completeMultipart(multipart, parts, NOW);
    await store().abortMultipart(orphan.multipart, orphan.parts, NOW);
    expectBytes(await readAll(store(), 'object'), content);
  });

  it('leaves other multiparts alone', async () => {
    const [one, other] = [await begun('one'), await begun('other')];
    await store().abortMultipart(one.multipart, one.parts, NOW);
    await store().completeMultipart(other.multipart, other.parts, NOW);
    expectBytes(await readAll(store(), 'other'), other.content);
    expect(await listed(store(), '')).toEqual(['other']);
  });
}

function describeListingMultiparts({ store, harness }: Context): void {
  async function withPart(on: ObjectStore, name: string): Promise<Multipart & { parts: Part[] }> {
    const multipart = await on.beginMultipart(name, NOW);
    const parts = await putParts(on, multipart, new Map([[1, randomBytes(harness().traits.partBytes)]]));
    return { ...multipart, parts };
  }

  /** Where they are not listed there must be none. */
  const expected = <T>(multiparts: T[]): T[] => (harness().traits.listsMultiparts ? multiparts : []);
  const byName = (one: Multipart, other: Multipart): number => (one.name < other.name ? -1 : 1);

  it('lists those that nobody has completed or aborted, so that they can be aborted', async () => {
    expect(await listedMultiparts(store(), '')).toEqual([]);
    const before = Date.now();
    const [open, done, gone] = [
      await withPart(store(), 'blobs/open'),
      await withPart(store(), 'blobs/done'),
      await withPart(store(), 'blobs/gone'),
    ];
    await store().completeMultipart(done, done.parts, NOW);
    await store().abortMultipart(gone, gone.parts, NOW);
    await stored(store(), 'blobs/object', randomBytes(10));
    const found = await listedMultiparts(store(), 'blobs/');
    expect(found.map(({ name, id }) => ({ name, id }))).toEqual(expected([{ name: open.name, id: open.id }]));
    for (const each of found) {
      expect(Math.abs(each.startedAt.getTime() - before)).toBeLessThan(60_000);
      await store().abortMultipart({ name: each.name, id: each.id }, [], NOW);
    }
    expect(await listedMultiparts(store(), '')).toEqual([]);
    expect(await listedWhole({ store, harness })).toEqual(['blobs/done', 'blobs/object']);
  });

  it('lists by prefix', async () => {
    const names = ['blobs/ab/x', 'blobs/ab/y', 'blobs/cd/z'];
    for (const name of names) await withPart(store(), name);
    for (const prefix of [
      '',
      'b',
      'blobs/',
      'blobs/a',
      'blobs/ab/',
      'blobs/ab/x',
      'blobs/cd/z',
      'x',
      'blobs/ab/xx',
    ]) {
      const found = (await listedMultiparts(store(), prefix)).sort(byName);
      expect(found.map(({ name }) => name)).toEqual(
        expected(names.filter((name) => name.startsWith(prefix))),
      );
    }
  });

  it('lists more than a page of them', async () => {
    const names = Array.from({ length: 2 * harness().traits.pageSize + 1 }, (_, index) => `blobs/${index}`);
    await forEachOf(names, async (name) => {
      await withPart(store(), name);
    });
    const found = await listedMultiparts(store(), '');
    expect(found.map(({ name }) => name).sort()).toEqual(expected([...names].sort()));
  });

  it('lists names without the prefix of the operator, and none of another', async () => {
    const [mine, theirs] = [await harness().open('mine/'), await harness().open('theirs/')];
    const multipart = await withPart(mine, 'blobs/x');
    expect((await listedMultiparts(mine, 'blobs/')).map(({ name }) => name)).toEqual(expected(['blobs/x']));
    expect((await listedMultiparts(mine, '')).map(({ name }) => name)).toEqual(expected(['blobs/x']));
    expect(await listedMultiparts(theirs, '')).toEqual([]);
    await mine.abortMultipart(multipart, multipart.parts, NOW);
    expect(await listedMultiparts(store(), '')).toEqual([]);
  });
}

function describeChecksums({ store, harness }: Context): void {
  const changed = (): { bytes: Buffer; md5: string } => ({
    bytes: randomBytes(harness().traits.partBytes),
    md5: bodyOf(randomBytes(10)).md5,
  });

  it('refuses an object whose bytes were changed underway', async () => {
    if (!harness().traits.comparesMd5) return;
    const outcome = store().put('object', changed(), NOW);
    await expect(outcome).rejects.toBeInstanceOf(StorageError);
    expect(await store().head('object', NOW)).toBeUndefined();
  });

  it('refuses a part whose bytes were changed underway, and takes it when they were not', async () => {
    const multipart = await store().beginMultipart('object', NOW);
    if (harness().traits.comparesMd5) {
      const outcome = store().putPart(multipart, 1, changed(), NOW);
      await expect(outcome).rejects.toBeInstanceOf(StorageError);
      await expect(outcome).rejects.not.toBeInstanceOf(UploadStateError);
    }
    const content = randomBytes(1000);
    const part = await store().putPart(multipart, 1, bodyOf(content), NOW);
    await store().completeMultipart(multipart, [part], NOW);
    expectBytes(await readAll(store(), 'object'), content);
  });
}

function describeNames({ store, harness }: Context): void {
  it('puts the prefix of the operator before names, and takes it off in answers', async () => {
    const mine = await harness().open('some/where/');
    const content = randomBytes(100);
    await stored(mine, 'blobs/x', content);
    expect(await mine.head('blobs/x', NOW)).toMatchObject({ name: 'blobs/x' });
    expect(await listed(mine, '')).toEqual(['blobs/x']);
    expect(await listed(mine, 'blobs/')).toEqual(['blobs/x']);
    expectBytes(await readAll(mine, 'blobs/x'), content);
    expect(await listed(store(), '')).toEqual(['some/where/blobs/x']);
    await mine.delete(['blobs/x', 'blobs/missing'], NOW);
    expect(await listed(store(), '')).toEqual([]);
  });

  it('makes objects of parts under the prefix', async () => {
    const mine = await harness().open('some/where/');
    const content = randomBytes(100);
    const multipart = await mine.beginMultipart('blobs/x', NOW);
    const parts = await putParts(mine, multipart, new Map([[1, content]]));
    expect(multipart.name).toBe('blobs/x');
    await mine.completeMultipart(multipart, parts, NOW);
    expectBytes(await readAll(store(), 'some/where/blobs/x'), content);
  });

  it('sees nothing of another prefix in the same bucket', async () => {
    const [mine, theirs, below] = [
      await harness().open('a/'),
      await harness().open('ab/'),
      await harness().open('a/b/'),
    ];
    await stored(theirs, 'x', randomBytes(10));
    await stored(store(), 'x', randomBytes(10));
    expect(await listed(mine, '')).toEqual([]);
    expect(await mine.head('x', NOW)).toBeUndefined();
    await mine.delete(['x'], NOW);
    await stored(mine, 'x', randomBytes(5));
    expect(await below.head('x', NOW)).toBeUndefined();
    expect(await listed(below, '')).toEqual([]);
    expect(await listed(theirs, '')).toEqual(['x']);
    expect(await theirs.head('x', NOW)).toMatchObject({ sizeBytes: 10 });
  });

  it('has no object of a name that is longer than the store takes', async () => {
    const { maxNameBytes } = harness().traits;
    if (maxNameBytes === undefined) return;
    const mine = await harness().open('some/where/');
    // Within what a name may have, and too long for the store with the prefix.
    for (const name of ['x'.repeat(maxNameBytes), 'x'.repeat(maxNameBytes - 'some/where/'.length + 1)]) {
      expect(await mine.head(name, NOW)).toBeUndefined();
      await expect(mine.get(name, { start: 0, end: 0 }, NOW)).rejects.toBeInstanceOf(ObjectNotFoundError);
      await mine.delete([name], NOW);
      await mine.delete([name, 'x'], NOW);
      expect(await listed(mine, name)).toEqual([]);
      await expect(mine.put(name, bodyOf(Buffer.from('x')), NOW)).rejects.toBeInstanceOf(StorageError);
    }
    const short = 'x'.repeat(200);
    await stored(mine, short, Buffer.from('x'));
    expect(await listed(mine, '')).toEqual([short]);
  });
}

function describeSignedUrls({ store, harness }: Context): void {
  it('serves the bytes to whoever has the URL, whole and in spans', async () => {
    const mine = await harness().open('some/where/');
    if (!mine.signedUrl) return;
    const content = randomBytes(100_000);
    await stored(mine, 'blobs/some~object', content);
    const url = await mine.signedUrl('blobs/some~object', 60);
    const whole = await fetch(url);
    expect(whole.status).toBe(200);
    expect(whole.headers.get('content-type')).toBe('application/octet-stream');
    expectBytes(Buffer.from(await whole.arrayBuffer()), content);
    const span = await fetch(url, { headers: { range: 'bytes=10-19' } });
    expect(span.status).toBe(206);
    expectBytes(Buffer.from(await span.arrayBuffer()), content.subarray(10, 20));
  });

  it('serves an empty object, and one that was made of parts', async () => {
    const { signedUrl } = store();
    if (!signedUrl) return;
    await stored(store(), 'empty', Buffer.of());
    const multipart = await store().beginMultipart('object', NOW);
    const parts = await putParts(store(), multipart, new Map([[1, Buffer.from('parts')]]));
    await store().completeMultipart(multipart, parts, NOW);
    for (const [name, expected] of [
      ['empty', ''],
      ['object', 'parts'],
    ] as const) {
      const answer = await fetch(await signedUrl.call(store(), name, 60));
      expect(answer.headers.get('content-type')).toBe('application/octet-stream');
      expect(await answer.text()).toBe(expected);
    }
  });

  it('serves nothing to who has it for another object, or without its signature', async () => {
    const { signedUrl } = store();
    if (!signedUrl) return;
    await stored(store(), 'one', Buffer.from('one'));
    await stored(store(), 'two', Buffer.from('two'));
    const url = await signedUrl.call(store(), 'one', 60);
    const other = new URL(url);
    other.pathname = other.pathname.replace(/one$/, 'two');
    const bare = new URL(url);
    bare.search = '';
    for (const forged of [other, bare]) {
      const answer = await fetch(forged);
      expect(answer.status).toBeGreaterThanOrEqual(400);
      await answer.body?.cancel();
    }
  });
}

function describeSignals({ store, harness }: Context): void {
  const reason = new Error('the client left');
  type Call = (on: ObjectStore, multipart: Multipart, options: IoOptions) => Promise<unknown>;
  const body = bodyOf(Buffer.alloc(100_000, 1));
  const calls: [string, Call][] = [
    ['check', (on, _, options) => on.check(options)],
    ['head', (on, _, options) => on.head('there', options)],
    ['get', (on, _, options) => on.get('there', { start: 0, end: 99 }, options)],
    ['put', (on, _, options) => on.put('new', body, options)],
    ['delete of one', (on, _, options) => on.delete(['missing'], options)],
    ['delete of several', (on, _, options) => on.delete(['missing', 'as well'], options)],
    ['list', (on, _, options) => listedObjects(on, '', options)],
    ['beginMultipart', (on, _, options) => on.beginMultipart('new', options)],
    ['putPart', (on, multipart, options) => on.putPart(multipart, 2, body, options)],
    [
      'completeMultipart',
      async (on, multipart, options) => {
        const part = await on.putPart(multipart, 1, body, NOW);
        return on.completeMultipart(multipart, [part], options);
      },
    ],
    ['abortMultipart', (on, multipart, options) => on.abortMultipart(multipart, [], options)],
    ['listMultiparts', (on, _, options) => listedMultiparts(on, '', options)],
  ];

  it.each(calls)('%s rejects with the reason when its signal is aborted already', async (_, call) => {
    await stored(store(), 'there', randomBytes(100));
    const multipart = await store().beginMultipart('parts', NOW);
    const signal = AbortSignal.abort(reason);
    await expect(call(store(), multipart, { signal })).rejects.toBe(reason);
    expect(await listedWhole({ store, harness })).toEqual(['there']);
  });

  it.each(calls)('%s succeeds, or rejects with the reason, when aborted under way', async (_, call) => {
    await stored(store(), 'there', randomBytes(100));
    const multipart = await store().beginMultipart('parts', NOW);
    for (const turns of [0, 1, 5, 20]) {
      const giveUp = new AbortController();
      const calling = call(store(), multipart, { signal: giveUp.signal });
      const settled = Promise.allSettled([calling]);
      for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      giveUp.abort(reason);
      const [outcome] = await settled;
      if (outcome.status === 'fulfilled') await letGo(outcome.value);
      // What an earlier turn has completed or aborted is no multipart any more.
      else if (!(outcome.reason instanceof UploadStateError)) expect(outcome.reason).toBe(reason);
    }
    expectBytes(
      await buffer(await store().get('there', { start: 0, end: 99 }, NOW)),
      await readAll(store(), 'there'),
    );
  });

  it('leaves the stream of a get alone that is aborted later', async () => {
    const content = randomBytes(4 * MIB);
    await stored(store(), 'object', content);
    const giveUp = new AbortController();
    const span = { start: 0, end: content.length - 1 };
    const stream = await store().get('object', span, { signal: giveUp.signal });
    giveUp.abort(reason);
    expectBytes(await buffer(stream), content);
  });

  it('ends a list in the middle with the reason', async () => {
    const length = harness().traits.pageSize + 1;
    await forEachOf(
      Array.from({ length }, (_, index) => `blobs/${index}`),
      (name) => stored(store(), name, Buffer.from('x')),
    );
    const giveUp = new AbortController();
    const listing = async (): Promise<void> => {
      for await (const _ of store().list('', { signal: giveUp.signal })) giveUp.abort(reason);
    };
    await expect(listing()).rejects.toBe(reason);
  });
}

function describeBoot({ store, harness }: Context): void {
  it('has a name, a place that a person can read, and room for parts', () => {
    expect(store().name).toMatch(/^[a-z0-9]+$/);
    expect(store().location).not.toBe('');
    expect(store().maxPartNumber).toBeGreaterThanOrEqual(1000);
  });

  it('prepares without leaving a trace, and without touching what is there', async () => {
    const content = randomBytes(100);
    await stored(store(), 'blobs/x', content);
    await store().prepare();
    await (await harness().open('')).prepare();
    expect(await listed(store(), '')).toEqual(['blobs/x']);
    expectBytes(await readAll(store(), 'blobs/x'), content);
  });

  it('is ready, and leaves no trace of the question', async () => {
    await store().check(NOW);
    await store().check({ signal: new AbortController().signal });
    expect(await listed(store(), '')).toEqual([]);
    expect(await listedMultiparts(store(), '')).toEqual([]);
  });
}
