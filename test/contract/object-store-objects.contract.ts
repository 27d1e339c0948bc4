import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { expect, it } from '@jest/globals';
import { ObjectStorageDriver } from '../../src/storage/object-store/object-storage.driver.js';
import {
  DamagedClaimError,
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
  listedObjects,
  NOW,
  putParts,
  readAll,
  stored,
} from './object-store.harness.js';
import { closed, expectBytes, MIB } from './storage-driver.harness.js';

export function describeObjects({ store, harness }: Context): void {
  it.each([
    ['one byte', 1],
    ['a thousand bytes', 1000],
    ['an odd number around a power of two', 65537],
    ['megabytes', 5 * MIB + 1],
  ])('returns what was put: %s', async (_, size) => {
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

  it('replaces an object', async () => {
    await stored(store(), 'object', randomBytes(1000));
    const content = randomBytes(10);
    await stored(store(), 'object', content);
    expectBytes(await readAll(store(), 'object'), content);
    expect(await listed(store(), '')).toEqual(['object']);
  });

  it('has no missing object', async () => {
    await stored(store(), 'blobs/ab/object', randomBytes(10));
    for (const name of ['missing', 'blobs', 'blobs/ab', 'blobs/ab/objec', 'blobs/ab/object/x']) {
      expect(await store().head(name, NOW)).toBeUndefined();
      await expect(store().get(name, { start: 0, end: 0 }, NOW)).rejects.toBeInstanceOf(ObjectNotFoundError);
    }
  });

  it('keeps objects apart whose names have the same beginning', async () => {
    const names = ['a', 'a/b', 'a/b/c', 'a~b', 'a.b', 'a-b_c', 'A'];
    await forEachOf(names, (name) => stored(store(), name, Buffer.from(name)));
    expect(await listed(store(), '')).toEqual([...names].sort());
    for (const name of names) expectBytes(await readAll(store(), name), Buffer.from(name));
  });

  it('returns when an object was created, in whole seconds', async () => {
    const before = Date.now();
    await stored(store(), 'object', randomBytes(10));
    const made = (await store().head('object', NOW))?.modifiedAt.getTime() ?? 0;
    // Another machine's clock may say it.
    expect(Math.abs(made - before)).toBeLessThan(60_000);
    expect(made % 1000).toBe(0);
  });

  it('makes completed changes visible to another instance', async () => {
    const content = randomBytes(1000);
    const other = await harness().open('');
    await stored(store(), 'object', content);
    expectBytes(await readAll(other, 'object'), content);
    await other.delete(['object'], NOW);
    expect(await store().head('object', NOW)).toBeUndefined();
  });

  it('keeps one of several concurrent puts, complete', async () => {
    const contents = Array.from({ length: 5 }, () => randomBytes(100_000));
    await Promise.all(contents.map((content) => stored(store(), 'object', content)));
    const kept = await readAll(store(), 'object');
    expect(contents.some((content) => content.equals(kept))).toBe(true);
  });
}

export function describeIdentity({ store }: Context): void {
  it.each(['', 'cut off', 'longer than an identity can be, if only by a few bytes'])(
    'is told from one that is damaged: %j',
    async (content) => {
      await stored(store(), 'berth-identity', Buffer.from(content));
      const driver = new ObjectStorageDriver(store(), { partBytes: 5 * MIB, redirect: false });
      await expect(driver.readIdentity()).rejects.toBeInstanceOf(DamagedIdentityError);
      await stored(store(), 'berth-claim', Buffer.from(content));
      await expect(driver.readClaim()).rejects.toBeInstanceOf(DamagedClaimError);
    },
  );
}

export function describeReading({ store }: Context): void {
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

  it('rejects a range that starts after the end', async () => {
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

  it('allows a stream to be destroyed early, and serves the next one', async () => {
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

export function describeDeleting({ store }: Context): void {
  it('deletes an object, also when repeated', async () => {
    await stored(store(), 'object', randomBytes(10));
    await store().delete(['object'], NOW);
    expect(await store().head('object', NOW)).toBeUndefined();
    await store().delete(['object'], NOW);
    expect(await listed(store(), '')).toEqual([]);
  });

  it('accepts an empty list', async () => {
    await stored(store(), 'object', randomBytes(10));
    await store().delete([], NOW);
    expect(await listed(store(), '')).toEqual(['object']);
  });

  it('deletes the existing objects of many names, and no others', async () => {
    const names = Array.from({ length: 1001 }, (_, index) => `uploads/some~${index}`);
    const there = [names[0], names[500], names[999], names[1000]].map(String);
    await forEachOf([...there, 'uploads/some', 'uploads/other'], (name) =>
      stored(store(), name, Buffer.from('x')),
    );
    expect(await store().deleteMany(names, NOW)).toEqual(new Map());
    expect(await listed(store(), '')).toEqual(['uploads/other', 'uploads/some']);
  });
}

export function describeListing({ store, harness }: Context): void {
  it('is empty at first', async () => {
    expect(await listed(store(), '')).toEqual([]);
    expect(await listed(store(), 'blobs/')).toEqual([]);
  });

  it('lists an object by all prefixes of its name, and by no other', async () => {
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

  it('lists what head returns', async () => {
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

  it('can end early, and start again', async () => {
    await forEachOf(['a', 'b', 'c'], (name) => stored(store(), name, Buffer.from('x')));
    for await (const _ of store().list('', NOW)) break;
    expect(await listed(store(), '')).toEqual(['a', 'b', 'c']);
  });
}

export function describeChecksums({ store, harness }: Context): void {
  const changed = (): { bytes: Buffer; md5: string } => ({
    bytes: randomBytes(harness().traits.partBytes),
    md5: bodyOf(randomBytes(10)).md5,
  });

  it('refuses an object whose bytes changed in transit', async () => {
    if (!harness().traits.comparesMd5) return;
    const outcome = store().put('object', changed(), NOW);
    await expect(outcome).rejects.toBeInstanceOf(StorageError);
    expect(await store().head('object', NOW)).toBeUndefined();
  });

  it('refuses a part whose bytes changed in transit, and accepts it unchanged', async () => {
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

export function describeNames({ store, harness }: Context): void {
  it('adds the configured prefix to names, and removes it from results', async () => {
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

  it('creates objects of parts under the prefix', async () => {
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

  it('has no object with a name that is too long for the store', async () => {
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

export function describeSignedUrls({ store, harness }: Context): void {
  it('serves the bytes to any client with the URL, whole and in ranges', async () => {
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

  it('serves an empty object, and one created of parts', async () => {
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
      const response = await fetch(await signedUrl.call(store(), name, 60));
      expect(response.headers.get('content-type')).toBe('application/octet-stream');
      expect(await response.text()).toBe(expected);
    }
  });

  it('serves nothing for another object, or without its signature', async () => {
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
      const response = await fetch(forged);
      expect(response.status).toBeGreaterThanOrEqual(400);
      await response.body?.cancel();
    }
  });
}
