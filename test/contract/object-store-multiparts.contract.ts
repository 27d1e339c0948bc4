import { randomBytes } from 'node:crypto';
import { expect, it } from '@jest/globals';
import type { Multipart, ObjectStore, Part } from '../../src/storage/object-store/object-store.js';
import { ObjectNotFoundError, UploadStateError } from '../../src/storage/storage.errors.js';
import {
  bodyOf,
  type Context,
  forEachOf,
  listed,
  listedMultiparts,
  listedWhole,
  NOW,
  putParts,
  readAll,
  stored,
} from './object-store.harness.js';
import { expectBytes, MIB } from './storage-driver.harness.js';

export function describeCompleting({ store, harness }: Context): void {
  const size = (): number => harness().traits.partBytes;

  it.each([
    ['one part', [1]],
    ['parts without gaps', [1, 2, 3]],
    ['parts with gaps in their numbers', [2, 3, 7, 40, 1000]],
  ])('creates the object of %s', async (_, numbers) => {
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

  it('creates it of parts of megabytes', async () => {
    const contents = [randomBytes(5 * MIB), randomBytes(5 * MIB), randomBytes(MIB + 1)];
    const multipart = await store().beginMultipart('object', NOW);
    const parts = await putParts(store(), multipart, new Map(contents.map((bytes, at) => [at + 1, bytes])));
    await store().completeMultipart(multipart, parts, NOW);
    expectBytes(await readAll(store(), 'object'), Buffer.concat(contents));
  });

  it('accepts the first and the last part number', async () => {
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

  it('omits parts that are not named, or refuses', async () => {
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

  it('continues in another instance', async () => {
    const [one, two] = [randomBytes(size()), randomBytes(10)];
    const { name, id } = await store().beginMultipart('object', NOW);
    const first = await putParts(store(), { name, id }, new Map([[1, one]]));
    const other = await harness().open('');
    const second = await putParts(other, { name, id }, new Map([[2, two]]));
    await (await harness().open('')).completeMultipart({ name, id }, [...first, ...second], NOW);
    expectBytes(await readAll(store(), 'object'), Buffer.concat([one, two]));
  });

  it('uses the later of two parts of one number', async () => {
    const [older, newer] = [randomBytes(size()), randomBytes(size())];
    const multipart = await store().beginMultipart('object', NOW);
    await putParts(store(), multipart, new Map([[3, older]]));
    const parts = await putParts(store(), multipart, new Map([[3, newer]]));
    await store().completeMultipart(multipart, parts, NOW);
    expectBytes(await readAll(store(), 'object'), newer);
  });

  it('uses the part with the given tag, or refuses: the earlier of two', async () => {
    const [older, newer] = [randomBytes(size()), randomBytes(size())];
    const multipart = await store().beginMultipart('object', NOW);
    const earlier = await putParts(store(), multipart, new Map([[3, older]]));
    await putParts(store(), multipart, new Map([[3, newer]]));
    await expectMadeOf(multipart, older, store().completeMultipart(multipart, earlier, NOW));
  });

  it('uses the part with the given tag, or refuses: two concurrent ones', async () => {
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

  /** Returns whether it was completed. */
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

  it('refuses a part that was never put', async () => {
    const multipart = await store().beginMultipart('object', NOW);
    const [one] = await putParts(store(), multipart, new Map([[1, randomBytes(size())]]));
    const foreign = await store().beginMultipart('foreign', NOW);
    const [two] = await putParts(store(), foreign, new Map([[2, randomBytes(size())]]));
    await expect(store().completeMultipart(multipart, [one!, two!], NOW)).rejects.toBeInstanceOf(
      UploadStateError,
    );
    expect(await store().head('object', NOW)).toBeUndefined();
  });

  it('succeeds or fails with UploadStateError when repeated, and keeps the object', async () => {
    const content = randomBytes(size());
    const multipart = await store().beginMultipart('object', NOW);
    const parts = await putParts(store(), multipart, new Map([[1, content]]));
    await store().completeMultipart(multipart, parts, NOW);
    const [again] = await Promise.allSettled([store().completeMultipart(multipart, parts, NOW)]);
    if (again.status === 'rejected') expect(again.reason).toBeInstanceOf(UploadStateError);
    expectBytes(await readAll(store(), 'object'), content);
  });

  it('succeeds at least once when called concurrently, and the object is complete', async () => {
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

export function describeAborting({ store, harness }: Context): void {
  const size = (): number => harness().traits.partBytes;

  async function begun(name = 'object'): Promise<{ multipart: Multipart; parts: Part[]; content: Buffer }> {
    const content = randomBytes(size());
    const multipart = await store().beginMultipart(name, NOW);
    return { multipart, parts: await putParts(store(), multipart, new Map([[1, content]])), content };
  }

  it('aborts, also when repeated', async () => {
    const { multipart, parts } = await begun();
    await store().abortMultipart(multipart, parts, NOW);
    await store().abortMultipart(multipart, parts, NOW);
    expect(await listed(store(), '')).toEqual([]);
    expect(await listedMultiparts(store(), '')).toEqual([]);
  });

  it('aborts an upload without parts, or whose parts are not named', async () => {
    await store().abortMultipart(await store().beginMultipart('object', NOW), [], NOW);
    const { multipart } = await begun('other');
    await store().abortMultipart(multipart, [], NOW);
    expect(await listedWhole({ store, harness })).toEqual([]);
    expect(await listedMultiparts(store(), '')).toEqual([]);
  });

  it('cannot be completed after an abort', async () => {
    const { multipart, parts } = await begun();
    await store().abortMultipart(multipart, parts, NOW);
    await expect(store().completeMultipart(multipart, parts, NOW)).rejects.toBeInstanceOf(UploadStateError);
    expect(await store().head('object', NOW)).toBeUndefined();
    expect(await listed(store(), '')).toEqual([]);
  });

  it('refuses a part after an abort, or ignores it', async () => {
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

  it('does not change an object that was already created', async () => {
    const { multipart, parts, content } = await begun();
    await store().completeMultipart(multipart, parts, NOW);
    await store().abortMultipart(multipart, parts, NOW);
    await store().abortMultipart(multipart, [], NOW);
    expectBytes(await readAll(store(), 'object'), content);
  });

  it('does not change the object of another multipart upload with the same name', async () => {
    const orphan = await begun();
    const { multipart, parts, content } = await begun();
    await store().completeMultipart(multipart, parts, NOW);
    await store().abortMultipart(orphan.multipart, orphan.parts, NOW);
    expectBytes(await readAll(store(), 'object'), content);
  });

  it('does not change other multipart uploads', async () => {
    const [one, other] = [await begun('one'), await begun('other')];
    await store().abortMultipart(one.multipart, one.parts, NOW);
    await store().completeMultipart(other.multipart, other.parts, NOW);
    expectBytes(await readAll(store(), 'other'), other.content);
    expect(await listed(store(), '')).toEqual(['other']);
  });
}

export function describeListingMultiparts({ store, harness }: Context): void {
  async function withPart(on: ObjectStore, name: string): Promise<Multipart & { parts: Part[] }> {
    const multipart = await on.beginMultipart(name, NOW);
    const parts = await putParts(on, multipart, new Map([[1, randomBytes(harness().traits.partBytes)]]));
    return { ...multipart, parts };
  }

  /** Where they are not listed there must be none. */
  const expected = <T>(multiparts: T[]): T[] => (harness().traits.listsMultiparts ? multiparts : []);
  const byName = (one: Multipart, other: Multipart): number => (one.name < other.name ? -1 : 1);

  it('lists unfinished uploads, which can then be aborted', async () => {
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

  it('lists more than one page', async () => {
    const names = Array.from({ length: 2 * harness().traits.pageSize + 1 }, (_, index) => `blobs/${index}`);
    await forEachOf(names, async (name) => {
      await withPart(store(), name);
    });
    const found = await listedMultiparts(store(), '');
    expect(found.map(({ name }) => name).sort()).toEqual(expected([...names].sort()));
  });

  it('lists names without the configured prefix, and none of another prefix', async () => {
    const [mine, theirs] = [await harness().open('mine/'), await harness().open('theirs/')];
    const multipart = await withPart(mine, 'blobs/x');
    expect((await listedMultiparts(mine, 'blobs/')).map(({ name }) => name)).toEqual(expected(['blobs/x']));
    expect((await listedMultiparts(mine, '')).map(({ name }) => name)).toEqual(expected(['blobs/x']));
    expect(await listedMultiparts(theirs, '')).toEqual([]);
    await mine.abortMultipart(multipart, multipart.parts, NOW);
    expect(await listedMultiparts(store(), '')).toEqual([]);
  });
}
