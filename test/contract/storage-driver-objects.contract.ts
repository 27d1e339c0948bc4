import { randomBytes, randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Digest } from '../../src/oci/digest.js';
import type { Claim } from '../../src/storage/claim-object.js';
import { type ObjectKey, parseObjectKey } from '../../src/storage/object-key.js';
import type { DriverUpload, IoOptions, ObjectStat, StorageDriver } from '../../src/storage/storage-driver.js';
import {
  InvalidObjectKeyError,
  ObjectNotFoundError,
  StorageError,
} from '../../src/storage/storage.errors.js';
import {
  append,
  begin,
  closed,
  type Context,
  digest,
  expectBytes,
  closeOpened,
  listed,
  listedUploads,
  MIB,
  readAll,
  stored,
  until,
  uploaded,
} from './storage-driver.harness.js';

export function describeObjects({ driver, harness }: Context): void {
  const missing = parseObjectKey(`blobs/sha256/ab/${'ab'.repeat(32)}/${randomUUID()}`);

  it('rejects stat and read of a missing object', async () => {
    await expect(driver().stat(missing)).rejects.toBeInstanceOf(ObjectNotFoundError);
    await expect(driver().read(missing, undefined)).rejects.toBeInstanceOf(ObjectNotFoundError);
    await expect(driver().read(missing, { start: 0, end: 1 })).rejects.toBeInstanceOf(ObjectNotFoundError);
  });

  it.each(['uploads/x', 'a', 'blobs', 'blobs/sha256', 'x'.repeat(1024), `${'y'.repeat(300)}/z`])(
    'has no object at a key that it never gave: %.20s',
    async (text) => {
      await stored(driver(), randomBytes(10));
      await uploaded(driver(), randomBytes(10));
      const key = parseObjectKey(text);
      await expect(driver().stat(key)).rejects.toBeInstanceOf(ObjectNotFoundError);
      await expect(driver().read(key, undefined)).rejects.toBeInstanceOf(ObjectNotFoundError);
      await driver().delete(key);
    },
  );

  it('has no object below another object', async () => {
    const key = await stored(driver(), randomBytes(10));
    const below = parseObjectKey(`${key}/more`);
    await expect(driver().stat(below)).rejects.toBeInstanceOf(ObjectNotFoundError);
    await driver().delete(below);
    expect((await driver().stat(key)).sizeBytes).toBe(10);
  });

  it('deletes an object, also when repeated', async () => {
    const key = await stored(driver(), randomBytes(10));
    await driver().delete(key);
    await driver().delete(key);
    await driver().delete(missing);
    await expect(driver().read(key, undefined)).rejects.toBeInstanceOf(ObjectNotFoundError);
    expect(await listed(driver(), '')).toEqual([]);
  });

  it('returns when an object was created', async () => {
    const before = Date.now();
    const { modifiedAt } = await driver().stat(await stored(driver(), randomBytes(10)));
    // Another machine's clock, or one of whole seconds, may say it.
    expect(Math.abs(modifiedAt.getTime() - before)).toBeLessThan(60_000);
  });

  it('returns the same objects in another instance', async () => {
    const content = randomBytes(1000);
    const key = await stored(driver(), content);
    const other = await harness().reopen();
    expectBytes(await readAll(other, key), content);
    await other.delete(key);
    await expect(driver().stat(key)).rejects.toBeInstanceOf(ObjectNotFoundError);
  });
}

export function describeListing({ driver, harness }: Context): void {
  it('is empty at first', async () => {
    expect(await listed(driver(), '')).toEqual([]);
    expect(await listed(driver(), 'blobs/none/')).toEqual([]);
  });

  it('lists an object by all prefixes of its key, and by no other', async () => {
    const keys = await Promise.all(Array.from({ length: 5 }, () => stored(driver(), randomBytes(20))));
    expect((await listed(driver(), '')).sort()).toEqual([...keys].sort());
    const [key] = keys as [ObjectKey];
    for (let length = 1; length <= key.length; length += 1) {
      const prefix = key.slice(0, length);
      const expected = keys.filter((each) => each.startsWith(prefix)).sort();
      expect((await listed(driver(), prefix)).sort()).toEqual(expected);
    }
    expect(await listed(driver(), `${key}x`)).toEqual([]);
    expect(await listed(driver(), `${key}/`)).toEqual([]);
    expect(await listed(driver(), `x${key}`)).toEqual([]);
  });

  it('lists what stat returns', async () => {
    const key = await stored(driver(), randomBytes(123));
    const objects: ObjectStat[] = [];
    for await (const object of driver().list('')) objects.push(object);
    expect(objects).toEqual([await driver().stat(key)]);
  });

  it('releases its resources if it ends early', async () => {
    await Promise.all(Array.from({ length: 5 }, () => stored(driver(), randomBytes(20))));
    for await (const _ of driver().list('')) break;
    expect(await harness().openHandles()).toBe(0);
  });
}

export function describeReading({ driver, harness }: Context): void {
  it('reads any range', async () => {
    const content = randomBytes(1_300_000);
    const key = await stored(driver(), content, 100_000);
    const position = fc.oneof(
      fc.integer({ min: 0, max: content.length - 1 }),
      fc.constantFrom(0, 1, 99_999, 100_000, 524_287, 524_288, 1_048_576, content.length - 1),
    );
    await fc.assert(
      fc.asyncProperty(position, position, async (one, other) => {
        const [start, end] = [Math.min(one, other), Math.max(one, other)];
        const bytes = await buffer(await driver().read(key, { start, end }));
        expectBytes(bytes, content.subarray(start, end + 1));
      }),
      { numRuns: 40 },
    );
    expect(await harness().openHandles()).toBe(0);
  });

  it.each([
    { start: 0, end: 10 },
    { start: 10, end: 10 },
    { start: 5, end: 4 },
    { start: -1, end: 3 },
    { start: 100, end: 200 },
  ])('rejects a span that does not lie within 10 bytes: %j', async (span) => {
    const key = await stored(driver(), randomBytes(10));
    await expect(driver().read(key, span)).rejects.toBeInstanceOf(StorageError);
    expect(await harness().openHandles()).toBe(0);
  });

  it('reads the empty object, but no range of it', async () => {
    const key = await stored(driver(), Buffer.of());
    expectBytes(await readAll(driver(), key), Buffer.of());
    await expect(driver().read(key, { start: 0, end: 0 })).rejects.toBeInstanceOf(StorageError);
  });

  it('releases the resources of a stream that is destroyed before, during or after reading', async () => {
    const key = await stored(driver(), randomBytes(4 * MIB));
    const unread = await driver().read(key, undefined);
    unread.destroy();
    await closed(unread);
    const partly = await driver().read(key, undefined);
    for await (const _ of partly) break;
    await closed(partly);
    const read = await driver().read(key, undefined);
    await buffer(read);
    await closed(read);
    expect(await harness().openHandles()).toBe(0);
  });

  it('serves many concurrent readers, also slow ones', async () => {
    const content = randomBytes(3 * MIB);
    const key = await stored(driver(), content);
    const streams = await Promise.all(Array.from({ length: 8 }, () => driver().read(key, undefined)));
    for (const bytes of await Promise.all(streams.map((stream) => buffer(stream)))) {
      expectBytes(bytes, content);
    }
  });

  it('reads ahead only a few megabytes for a stalled reader', async () => {
    const key = await stored(driver(), Buffer.alloc(16 * MIB));
    const stream = await driver().read(key, undefined);
    const first = (await stream[Symbol.asyncIterator]().next()) as { value: Buffer };
    expect(first.value.length + stream.readableLength).toBeLessThanOrEqual(9 * MIB);
    stream.destroy();
    await closed(stream);
  });
}

export function describeHostileNames({ driver }: Context): void {
  const long = 'a'.repeat(1025);
  const hostile = [
    ['empty', ''],
    ['dot', '.'],
    ['parent', '..'],
    ['traversal', '../../etc/passwd'],
    ['traversal within', 'blobs/../../etc/passwd'],
    ['traversal at the end', 'blobs/..'],
    ['absolute', '/etc/passwd'],
    ['an empty segment', 'blobs//x'],
    ['NUL', 'blobs/x\0y'],
    ['percent', 'blobs/%2e%2e/x'],
    ['a backslash', '..\\..\\x'],
    ['a newline', 'blobs/x\n'],
    ['a space', 'blobs/ x'],
    ['unicode', 'blobs/\u2024\u2024/x'],
    ['a wide full stop', 'blobs/\uff0e\uff0e/x'],
    ['a colon', 'C:x'],
    ['too long', long],
  ] as const;

  it.each(hostile)('refuses a key: %s', async (_, text) => {
    const key = text as ObjectKey;
    await expect(driver().stat(key)).rejects.toBeInstanceOf(InvalidObjectKeyError);
    await expect(driver().read(key, undefined)).rejects.toBeInstanceOf(InvalidObjectKeyError);
    await expect(driver().delete(key)).rejects.toBeInstanceOf(InvalidObjectKeyError);
  });

  it.each(hostile)('refuses an upload id: %s', async (_, id) => {
    const state = await driver().createUpload(randomUUID());
    await expectInvalidId(driver(), { id, state });
  });

  it.each(['a/b', 'uploads/../x', 'a'.repeat(129)])(
    'refuses an upload id of more than a segment: %.20s',
    async (id) => {
      await expectInvalidId(driver(), { id, state: await driver().createUpload(randomUUID()) });
    },
  );

  it.each(hostile.filter(([, text]) => text !== ''))('refuses a prefix: %s', async (_, prefix) => {
    await expect(listed(driver(), prefix)).rejects.toBeInstanceOf(InvalidObjectKeyError);
  });

  it.each(['sha256:../../../etc', 'sha256:', 'sha256:a/b', '..:abc', `sha256:${long}`])(
    'refuses a digest that no parser made: %.30s',
    async (text) => {
      const upload = await begin(driver());
      expect(() => driver().objectKeyOf(upload, text as Digest)).toThrow(InvalidObjectKeyError);
      await expect(driver().finishUpload(upload, text as Digest, 0)).rejects.toBeInstanceOf(
        InvalidObjectKeyError,
      );
    },
  );
}

async function expectInvalidId(driver: StorageDriver, upload: DriverUpload): Promise<void> {
  const invalid = InvalidObjectKeyError;
  expect(() => driver.objectKeyOf(upload, digest(Buffer.of()))).toThrow(invalid);
  await expect(driver.createUpload(upload.id)).rejects.toBeInstanceOf(invalid);
  await expect(driver.openUpload(upload, 0)).rejects.toBeInstanceOf(invalid);
  await expect(driver.finishUpload(upload, digest(Buffer.of()), 0)).rejects.toBeInstanceOf(invalid);
  await expect(driver.fenceUpload(upload)).rejects.toBeInstanceOf(invalid);
  await expect(driver.abortUpload(upload)).rejects.toBeInstanceOf(invalid);
}

export function describeSignals({ driver, harness }: Context): void {
  const reason = new Error('the client left');
  const calls: [
    string,
    (driver: StorageDriver, upload: DriverUpload, options: IoOptions) => Promise<unknown>,
  ][] = [
    ['check', (on, _, options) => on.check(options)],
    ['readIdentity', (on, _, options) => on.readIdentity(options)],
    ['stat', (on, _, options) => on.stat(parseObjectKey('a/b'), options)],
    ['read', (on, _, options) => on.read(parseObjectKey('a/b'), undefined, options)],
    ['delete', (on, _, options) => on.delete(parseObjectKey('a/b'), options)],
    ['list', (on, _, options) => listed(on, '', options)],
    ['createUpload', (on, _, options) => on.createUpload(randomUUID(), options)],
    ['openUpload', (on, upload, options) => on.openUpload(upload, 0, options)],
    ['finishUpload', (on, upload, options) => on.finishUpload(upload, digest(Buffer.of()), 0, options)],
    ['fenceUpload', (on, upload, options) => on.fenceUpload(upload, options)],
    ['listUploads', (on, _, options) => listedUploads(on, options)],
    ['abortUpload', (on, upload, options) => on.abortUpload(upload, options)],
  ];

  it.each(calls)('%s rejects with the reason if its signal is already aborted', async (_, call) => {
    const upload = await begin(driver());
    const signal = AbortSignal.abort(reason);
    await expect(call(driver(), upload, { signal })).rejects.toBe(reason);
    expect(await listed(driver(), '')).toEqual([]);
    expect(await harness().openHandles()).toBe(0);
  });

  it.each(calls)('%s settles, leaks nothing and can be repeated when it is aborted', async (_, call) => {
    const upload = await begin(driver());
    const controller = new AbortController();
    const [outcome] = await Promise.allSettled([
      call(driver(), upload, { signal: controller.signal }),
      Promise.resolve().then(() => controller.abort(reason)),
    ]);
    // `openUpload` may have been faster than the abort.
    if (outcome.status === 'fulfilled') await closeOpened(outcome.value);
    await driver().finishUpload(upload, digest(Buffer.of()), 0);
    await until(async () => (await harness().openHandles()) === 0);
  });

  it('destroys the stream of a read whose signal is aborted later', async () => {
    const key = await stored(driver(), randomBytes(4 * MIB));
    const controller = new AbortController();
    const stream = await driver().read(key, undefined, { signal: controller.signal });
    const reading = expect(
      (async () => {
        for await (const _ of stream) controller.abort(reason);
      })(),
    ).rejects.toMatchObject({ name: 'AbortError' });
    await reading;
    await closed(stream);
    expect(await harness().openHandles()).toBe(0);
  });

  it('keeps a sink open when the signal of its opening is aborted', async () => {
    const controller = new AbortController();
    const upload = await begin(driver());
    const sink = await driver().openUpload(upload, 0, { signal: controller.signal });
    await sink.write(Buffer.from('kept'));
    controller.abort(reason);
    const state = await sink.flush();
    await sink.close();
    const key = await driver().finishUpload({ ...upload, state }, digest(Buffer.from('kept')), 4);
    expectBytes(await readAll(driver(), key), Buffer.from('kept'));
  });
}

export function describeIdentity({ driver, harness }: Context): void {
  it('has no identity at first, and then the last one written, in every instance', async () => {
    expect(await driver().readIdentity()).toBeUndefined();
    const [one, other] = [randomUUID(), randomUUID()];
    await driver().writeIdentity(one);
    const again = await harness().reopen();
    expect([await driver().readIdentity(), await again.readIdentity()]).toEqual([one, one]);
    await again.writeIdentity(other);
    expect([await driver().readIdentity(), await again.readIdentity()]).toEqual([other, other]);
    expect(await harness().openHandles()).toBe(0);
  });

  it('is neither an object nor an upload, and is kept by prepare, finish and delete', async () => {
    const id = randomUUID();
    await driver().writeIdentity(id);
    await driver().prepare();
    expect(await listed(driver(), '')).toEqual([]);
    expect(await listed(driver(), 'berth-')).toEqual([]);
    expect(await listedUploads(driver())).toEqual([]);
    const content = randomBytes(10);
    const upload = { id: 'berth-identity', state: await driver().createUpload('berth-identity') };
    const state = await append(driver(), upload, 0, [content]);
    await driver().delete(await driver().finishUpload({ ...upload, state }, digest(content), 10));
    for (const key of ['berth-identity', 'berth-identity/x', 'berth-claim'].map(parseObjectKey)) {
      await expect(driver().stat(key)).rejects.toBeInstanceOf(ObjectNotFoundError);
      await expect(driver().read(key, undefined)).rejects.toBeInstanceOf(ObjectNotFoundError);
      await driver().delete(key);
    }
    expect(await driver().readIdentity()).toBe(id);
  });

  it.each(['', 'x', '../x', randomUUID().toUpperCase()])('refuses to be %j', async (id) => {
    await expect(driver().writeIdentity(id)).rejects.toBeInstanceOf(StorageError);
    expect(await driver().readIdentity()).toBeUndefined();
  });

  it('does not count as content, as objects and uploads do', async () => {
    await driver().writeIdentity(randomUUID());
    expect(await driver().isEmpty()).toBe(true);
    const upload = await uploaded(driver(), randomBytes(100_000));
    expect(await driver().isEmpty()).toBe(false);
    await driver().abortUpload(upload);
    expect(await driver().isEmpty()).toBe(true);
    const key = await stored(driver(), Buffer.from('x'));
    expect(await driver().isEmpty()).toBe(false);
    await driver().delete(key);
    expect(await driver().isEmpty()).toBe(true);
    expect(await harness().openHandles()).toBe(0);
  });
}

export function describeClaim({ driver, harness }: Context): void {
  const claim = (number: number): Claim => ({ identity: randomUUID(), number, token: randomUUID() });

  it('has no claim at first, and then the last one written, in every instance', async () => {
    expect(await driver().readClaim()).toBeUndefined();
    const again = await harness().reopen();
    for (const written of [claim(0), claim(1), claim(Number.MAX_SAFE_INTEGER)]) {
      await driver().writeClaim(written);
      expect([await driver().readClaim(), await again.readClaim()]).toEqual([written, written]);
    }
    expect(await harness().openHandles()).toBe(0);
  });

  it('is neither an object nor an upload nor content, and is kept by prepare and delete', async () => {
    const written = claim(7);
    await driver().writeClaim(written);
    await driver().prepare();
    expect(await listed(driver(), '')).toEqual([]);
    expect(await listedUploads(driver())).toEqual([]);
    expect(await driver().isEmpty()).toBe(true);
    await driver().delete(parseObjectKey('berth-claim'));
    expect(await driver().readClaim()).toEqual(written);
  });

  it.each([
    ['an identity', { identity: 'x' }],
    ['a token', { token: '' }],
    ['a number', { number: -1 }],
    ['a number', { number: NaN }],
  ])('refuses %s that is not valid: %j', async (_, wrong) => {
    await expect(driver().writeClaim({ ...claim(1), ...wrong })).rejects.toBeInstanceOf(StorageError);
    expect(await driver().readClaim()).toBeUndefined();
  });
}

export function describeBoot({ driver, harness }: Context): void {
  it('has a name and a readable location', () => {
    expect(driver().name).toMatch(/^[a-z0-9]+$/);
    expect(driver().location).not.toBe('');
  });

  it('tells how many bytes are free, unless it is an object store', async () => {
    const hasLimit = ['filesystem', 'memory'].includes(driver().name);
    const free = await driver().freeBytes();
    expect(free).toEqual(hasLimit ? expect.any(Number) : undefined);
    expect(free ?? 1).toBeGreaterThan(0);
  });

  it('prepares again without changing objects', async () => {
    const content = randomBytes(100);
    const key = await stored(driver(), content);
    const upload = await uploaded(driver(), content);
    await driver().prepare();
    await (await harness().reopen()).prepare();
    expectBytes(await readAll(driver(), key), content);
    await driver().finishUpload(upload, digest(content), 100);
  });

  it('is ready, and its check leaves no files', async () => {
    await driver().check();
    await driver().check({ signal: new AbortController().signal });
    expect(await listed(driver(), '')).toEqual([]);
    expect(await harness().openHandles()).toBe(0);
  });
}
