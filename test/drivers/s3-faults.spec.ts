import 'reflect-metadata';
import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { S3Settings } from '../../src/config/s3.settings.js';
import { S3ObjectStore } from '../../src/storage/drivers/s3/s3-object.store.js';
import type { S3Options } from '../../src/storage/drivers/s3/s3.options.js';
import type { Multipart, Part } from '../../src/storage/object-store/object-store.js';
import type { IoOptions } from '../../src/storage/storage-driver.js';
import { StorageError, StorageUnavailableError, UploadStateError } from '../../src/storage/storage.errors.js';
import { type Fault, FaultProxy } from '../support/fault-proxy.js';
import { describeWithRadosgw, freshBucket, type S3Server, sharedRadosgw } from '../support/radosgw.js';
import { until } from '../support/until.js';
import { bodyOf, listed, listedMultiparts, NOW, readAll, stored } from '../contract/object-store.harness.js';
import { expectBytes } from '../contract/storage-driver.harness.js';

/** The body of an error response of S3. */
function s3Error(status: number, code: string, headers: Record<string, string> = {}): Fault {
  const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>as injected</Message></Error>`;
  return { kind: 'respond', status, body, headers };
}

/** Parses `20260102T030405Z`. */
function timeOf(stamp: string): number {
  return Date.parse(stamp.replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5'));
}

const SLOW_DOWN = s3Error(503, 'SlowDown');
const INTERNAL = s3Error(500, 'InternalError');

describeWithRadosgw('S3 behind a faulty network', () => {
  let server: S3Server;
  let bucket: string;
  let proxy: FaultProxy;
  /** Bypasses the proxy, to prepare and to check. */
  let direct: S3ObjectStore;
  let opened: S3ObjectStore[];

  function open(
    endpoint: string,
    options: Partial<S3Options> = {},
    changes: Partial<S3Settings> = {},
  ): S3ObjectStore {
    const settings = Object.assign(new S3Settings(), {
      storageS3Bucket: bucket,
      storageS3Endpoint: endpoint,
      storageS3AccessKeyId: server.accessKeyId,
      storageS3SecretAccessKey: server.secretAccessKey,
      ...changes,
    });
    const store = new S3ObjectStore(settings, options);
    opened.push(store);
    return store;
  }

  beforeAll(async () => {
    server = await sharedRadosgw();
    bucket = await freshBucket(server);
  });
  beforeEach(async () => {
    opened = [];
    bucket = await freshBucket(server);
    proxy = await FaultProxy.start(server.endpoint);
    direct = open(server.endpoint);
  });
  afterEach(async () => {
    for (const store of opened) store.destroy();
    await proxy.close();
  });

  /** Each kind of request on an existing object and multipart upload, with a check of its effect. */
  interface Scene {
    /** Bypasses the proxy, with the same prefix. */
    readonly direct: S3ObjectStore;
    readonly multipart: Multipart;
    readonly part: Part;
    readonly content: Buffer;
  }
  type Call = (on: S3ObjectStore, scene: Scene, options: IoOptions) => Promise<unknown>;
  const calls: [string, Call][] = [
    ['check', (on, _, options) => on.check(options)],
    [
      'head',
      async (on, { content }, options) =>
        expect(await on.head('there', options)).toMatchObject({ sizeBytes: content.length }),
    ],
    [
      'get',
      async (on, { content }, options) => {
        const span = { start: 0, end: content.length - 1 };
        expectBytes(await buffer(await on.get('there', span, options)), content);
      },
    ],
    [
      'put',
      async (on, { direct, content }, options) => {
        await on.put('new', bodyOf(content), options);
        expectBytes(await readAll(direct, 'new'), content);
      },
    ],
    [
      'delete of one',
      async (on, { direct }, options) => {
        await on.delete(['there'], options);
        expect(await direct.head('there', NOW)).toBeUndefined();
      },
    ],
    [
      'delete of several',
      async (on, { direct }, options) => {
        await on.delete(['there', 'missing'], options);
        expect(await direct.head('there', NOW)).toBeUndefined();
      },
    ],
    [
      'list',
      async (on, _, options) => {
        const names: string[] = [];
        for await (const { name } of on.list('', options)) names.push(name);
        expect(names).toContain('there');
      },
    ],
    [
      'beginMultipart',
      async (on, { direct }, options) => {
        const { id } = await on.beginMultipart('new', options);
        expect((await listedMultiparts(direct, 'new')).map((each) => each.id)).toContain(id);
      },
    ],
    [
      'putPart',
      async (on, { direct, multipart, part, content }, options) => {
        const again = await on.putPart(multipart, 2, bodyOf(content), options);
        await direct.completeMultipart(multipart, [part, again], NOW);
        expectBytes(await readAll(direct, 'parts'), Buffer.concat([content, content]));
      },
    ],
    [
      'completeMultipart',
      async (on, { direct, multipart, part, content }, options) => {
        await on.completeMultipart(multipart, [part], options);
        expectBytes(await readAll(direct, 'parts'), content);
      },
    ],
    [
      'abortMultipart',
      async (on, { direct, multipart }, options) => {
        await on.abortMultipart(multipart, [], options);
        expect(await listedMultiparts(direct, 'parts')).toEqual([]);
      },
    ],
    [
      'listMultiparts',
      async (on, { multipart }, options) => {
        const ids: string[] = [];
        for await (const { id } of on.listMultiparts('', options)) ids.push(id);
        expect(ids).toEqual([multipart.id]);
      },
    ],
  ];

  async function arranged(by = direct): Promise<Scene> {
    const content = randomBytes(100_000);
    await stored(by, 'there', content);
    const multipart = await by.beginMultipart('parts', NOW);
    const part = await by.putPart(multipart, 1, bodyOf(content), NOW);
    return { direct: by, multipart, part, content };
  }

  describe.each<[string, Fault]>([
    ['an internal error', INTERNAL],
    ['a 502 of something between', { kind: 'respond', status: 502, body: '<html>Bad Gateway</html>' }],
    ['a reset before it was received', { kind: 'reset' }],
    ['a lost response', { kind: 'lose response' }],
  ])('after two failures (%s)', (_, fault) => {
    it.each(calls)('%s succeeds', async (__, call) => {
      const scene = await arranged();
      proxy.inject({ times: 2, fault });
      await call(open(proxy.endpoint), scene, NOW);
      expect(proxy.requests().filter((request) => request.fault === fault.kind)).toHaveLength(2);
    });
  });

  it('each call succeeds after it was throttled twice', async () => {
    // In parallel, because each waits for a second or more. Each has its own prefix.
    const scenes = calls.map(async ([name, call]) => {
      const storageS3Prefix = `${name.replaceAll(' ', '-')}/`;
      const own = await FaultProxy.start(server.endpoint);
      try {
        const scene = await arranged(open(server.endpoint, {}, { storageS3Prefix }));
        own.inject({ times: 2, fault: SLOW_DOWN });
        await call(open(own.endpoint, {}, { storageS3Prefix }), scene, NOW);
        return own.requests().filter(({ fault }) => fault === 'respond').length;
      } finally {
        await own.close();
      }
    });
    expect(await Promise.all(scenes)).toEqual(calls.map(() => 2));
  });

  describe('permanent failures:', () => {
    it.each(calls)('%s rejects as unavailable after its attempts', async (_, call) => {
      const scene = await arranged();
      proxy.inject({ times: Infinity, fault: INTERNAL });
      const calling = call(open(proxy.endpoint, { attempts: 3 }), scene, NOW);
      await expect(calling).rejects.toBeInstanceOf(StorageUnavailableError);
      await expect(calling).rejects.toThrow(/responded (InternalError|500)/);
    });

    it.each(calls)('%s rejects at its deadline, with attempts left', async (_, call) => {
      const scene = await arranged();
      proxy.inject({ times: Infinity, fault: SLOW_DOWN });
      const limits = { attempts: 1000, callMs: 300, completeMs: 300, msPerMib: 0 };
      const calling = call(open(proxy.endpoint, limits), scene, NOW);
      await expect(calling).rejects.toBeInstanceOf(StorageUnavailableError);
      await expect(calling).rejects.toThrow(/^could not .* within 0.3 s$/);
      // The other attempts would have taken minutes.
      expect(proxy.requests().length).toBeLessThan(100);
    });

    it.each(calls)('%s rejects at its deadline if no response comes', async (_, call) => {
      const scene = await arranged();
      proxy.inject({ times: Infinity, fault: { kind: 'hang' } });
      const limits = { callMs: 1_500, completeMs: 1_500, msPerMib: 0 };
      const calling = call(open(proxy.endpoint, limits), scene, NOW);
      await expect(calling).rejects.toBeInstanceOf(StorageUnavailableError);
      // There was time for a second connection. All of them are closed.
      expect(proxy.requests().length).toBeGreaterThan(1);
      await until('the connections to be closed', () => proxy.hangingCount === 0);
    });

    it.each(calls)("%s rejects with the caller's reason when it is aborted", async (_, call) => {
      const scene = await arranged();
      for (const fault of [SLOW_DOWN, { kind: 'hang' }] as const) {
        proxy.heal();
        proxy.forget();
        proxy.inject({ times: Infinity, fault });
        const reason = new Error('the client left');
        const caller = new AbortController();
        const calling = call(open(proxy.endpoint), scene, { signal: caller.signal });
        const outcome = expect(calling).rejects.toBe(reason);
        while (proxy.requests().length === 0) await new Promise((resolve) => setImmediate(resolve));
        caller.abort(reason);
        await outcome;
      }
    });

    it('reports that nothing listens, or that the host is unknown', async () => {
      const free = createServer();
      await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
      const { port } = free.address() as { port: number };
      await new Promise((resolve) => free.close(resolve));
      const closedPort = open(`http://127.0.0.1:${port}`, { attempts: 2 }).prepare();
      await expect(closedPort).rejects.toBeInstanceOf(StorageUnavailableError);
      await expect(closedPort).rejects.toThrow(/nothing listens at .*STORAGE_S3_ENDPOINT/);
      const nowhere = open('http://berth.invalid', { attempts: 1 }).prepare();
      await expect(nowhere).rejects.toThrow(/can't be resolved: correct STORAGE_S3_ENDPOINT/);
    });
  });

  describe('during a call:', () => {
    it('a call continues with another connection if one stalls', async () => {
      const scene = await arranged();
      proxy.inject({ fault: { kind: 'hang' } });
      const store = open(proxy.endpoint, { idleMs: 150 });
      expect(await store.head('there', NOW)).toMatchObject({ sizeBytes: scene.content.length });
      expect(proxy.requests()).toHaveLength(2);
    });

    it('a slow store is not a failure', async () => {
      await arranged();
      proxy.inject({ fault: { kind: 'delay', ms: 100 } });
      expect(await open(proxy.endpoint).head('there', NOW)).toBeDefined();
      expect(proxy.requests()).toHaveLength(1);
    });

    it.each([0, 1, 70_000])(
      'a stream that breaks after %d bytes fails, and never ends early',
      async (afterBytes) => {
        const { content } = await arranged();
        proxy.inject({ method: 'GET', fault: { kind: 'break response', afterBytes } });
        const stream = await open(proxy.endpoint).get('there', { start: 0, end: content.length - 1 }, NOW);
        const chunks: Buffer[] = [];
        const reading = async (): Promise<void> => {
          for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
        };
        await expect(reading()).rejects.toBeDefined();
        expectBytes(Buffer.concat(chunks), content.subarray(0, afterBytes));
      },
    );

    it('a list that breaks within a page is retried', async () => {
      await arranged();
      proxy.inject({ method: 'GET', fault: { kind: 'break response', afterBytes: 200 } });
      expect(await listed(open(proxy.endpoint), '')).toEqual(['there']);
      expect(proxy.requests()).toHaveLength(2);
    });

    it('corrupted bytes are refused, and nothing is stored', async () => {
      const { multipart, part, content } = await arranged();
      const store = open(proxy.endpoint, { attempts: 2 });
      proxy.inject({ times: Infinity, fault: { kind: 'flip' } });
      const putting = store.put('new', bodyOf(content), NOW);
      await expect(putting).rejects.toBeInstanceOf(StorageUnavailableError);
      expect(await direct.head('new', NOW)).toBeUndefined();
      const again = store.putPart(multipart, 1, bodyOf(content), NOW);
      await expect(again).rejects.toBeInstanceOf(StorageUnavailableError);
      expect(proxy.counts()).toEqual({ PUT: 2, 'PUT partNumber uploadId': 2 });
      await direct.completeMultipart(multipart, [part], NOW);
      expectBytes(await readAll(direct, 'parts'), content);
    });

    it.each(['BadDigest', 'XAmzContentSHA256Mismatch', 'flip'])(
      'bytes that change twice are sent a third time: %s',
      async (code) => {
        const { multipart, content } = await arranged();
        const store = open(proxy.endpoint);
        const fault: Fault = code === 'flip' ? { kind: 'flip' } : s3Error(400, code);
        proxy.inject({ times: 2, fault });
        await store.put('new', bodyOf(content), NOW);
        proxy.inject({ times: 2, fault });
        const part = await store.putPart(multipart, 1, bodyOf(content), NOW);
        await direct.completeMultipart(multipart, [part], NOW);
        for (const name of ['new', 'parts']) expectBytes(await readAll(direct, name), content);
        expect(proxy.requests()).toHaveLength(6);
      },
    );

    it('a completion is unavailable if its last response is lost; the next one finds the object', async () => {
      const { multipart, part, content } = await arranged();
      const store = open(proxy.endpoint, { attempts: 1 });
      proxy.inject({ method: 'POST', fault: { kind: 'lose response' } });
      await expect(store.completeMultipart(multipart, [part], NOW)).rejects.toBeInstanceOf(
        StorageUnavailableError,
      );
      expectBytes(await readAll(direct, 'parts'), content);
      // If the store has removed the multipart, the driver looks for the object.
      const [again] = await Promise.allSettled([store.completeMultipart(multipart, [part], NOW)]);
      if (again.status === 'rejected') expect(again.reason).toBeInstanceOf(UploadStateError);
      await store.abortMultipart(multipart, [part], NOW);
      expectBytes(await readAll(direct, 'parts'), content);
    });

    it('a completion with an error in a 200 is retried', async () => {
      const { multipart, part, content } = await arranged();
      proxy.inject({ method: 'POST', fault: s3Error(200, 'InternalError') });
      await open(proxy.endpoint).completeMultipart(multipart, [part], NOW);
      expect(proxy.requests()).toHaveLength(2);
      expectBytes(await readAll(direct, 'parts'), content);
    });

    it('a completion with NoSuchUpload in a 200 is not retried', async () => {
      const { multipart, part } = await arranged();
      proxy.inject({ method: 'POST', times: Infinity, fault: s3Error(200, 'NoSuchUpload') });
      const completing = open(proxy.endpoint, { attempts: 2 }).completeMultipart(multipart, [part], NOW);
      await expect(completing).rejects.toBeInstanceOf(UploadStateError);
      expect(await direct.head('parts', NOW)).toBeUndefined();
    });

    it('DeleteObjects retries only the throttled name', async () => {
      await stored(direct, 'a', Buffer.from('a'));
      await stored(direct, 'b', Buffer.from('b'));
      const body =
        '<DeleteResult><Error><Key>b</Key><Code>SlowDown</Code><Message>later</Message></Error></DeleteResult>';
      proxy.inject({ method: 'POST', fault: { kind: 'respond', status: 200, body } });
      await open(proxy.endpoint).delete(['a', 'b'], NOW);
      // The proxy said that a was deleted.
      expect(await listed(direct, '')).toEqual(['a']);
    });

    it('DeleteObjects fails if one name is denied', async () => {
      const body =
        '<DeleteResult><Error><Key>b</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>';
      proxy.inject({ method: 'POST', fault: { kind: 'respond', status: 200, body } });
      const deleting = open(proxy.endpoint).delete(['a', 'b'], NOW);
      await expect(deleting).rejects.toThrow(/access to the bucket .* is denied/);
      await expect(deleting).rejects.not.toBeInstanceOf(StorageUnavailableError);
    });

    it('a store without DeleteObjects gets single deletions', async () => {
      await stored(direct, 'a', Buffer.from('a'));
      await stored(direct, 'b', Buffer.from('b'));
      proxy.inject({ method: 'POST', times: Infinity, fault: s3Error(501, 'NotImplemented') });
      await open(proxy.endpoint, { attempts: 1 }).delete(['a', 'b'], NOW);
      expect(await listed(direct, '')).toEqual([]);
    });

    it("a wrong clock is corrected by the store's responses", async () => {
      await arranged();
      const later = new Date(Date.now() + 3_600_000).toUTCString();
      proxy.inject({ fault: s3Error(403, 'RequestTimeTooSkewed', { date: later }) });
      const store = open(proxy.endpoint);
      // The real store refuses the corrected clock, and its response corrects it again.
      await expect(listed(store, '')).rejects.toThrow(/synchronize them/);
      expect(await listed(store, '')).toEqual(['there']);
      const clocks = proxy.requests().map(({ headers }) => timeOf(String(headers['x-amz-date'])));
      expect(clocks).toHaveLength(3);
      expect(Math.abs(clocks[1]! - clocks[0]! - 3_600_000)).toBeLessThan(60_000);
      expect(Math.abs(clocks[2]! - clocks[0]!)).toBeLessThan(60_000);
    });
  });

  describe('at the start', () => {
    /** Rejections say what is wrong, are not retryable, and name no secret. */
    async function expectSentence(preparing: Promise<void>, sentence: RegExp): Promise<void> {
      const [outcome] = await Promise.allSettled([preparing]);
      if (outcome.status === 'fulfilled') throw new Error('it was prepared');
      const error = outcome.reason as StorageError;
      expect(error).toBeInstanceOf(StorageError);
      expect(error).not.toBeInstanceOf(StorageUnavailableError);
      expect(error.message).toMatch(sentence);
      const said = [error, error.cause].map((each) => `${String(each)} ${JSON.stringify(each)}`).join();
      expect(said).not.toContain(server.secretAccessKey);
      expect(said).not.toMatch(/Signature=|StringToSign|testkey/);
    }

    it('succeeds, and removes its probe', async () => {
      await open(proxy.endpoint).prepare();
      expect(proxy.counts()).toMatchObject({ PUT: 1, HEAD: 1 });
      expect(await listed(direct, '')).toEqual([]);
    });

    it('reports a wrong secret', async () => {
      const store = open(server.endpoint, {}, { storageS3SecretAccessKey: 'wrong' });
      await expectSentence(store.prepare(), /secret key does not match .*STORAGE_S3_SECRET_ACCESS_KEY/);
    });

    it('reports an unknown key', async () => {
      const store = open(server.endpoint, {}, { storageS3AccessKeyId: 'unknown' });
      await expectSentence(store.prepare(), /does not know the access key.*STORAGE_S3_ACCESS_KEY_ID/);
    });

    it('reports a missing bucket', async () => {
      const store = open(server.endpoint, {}, { storageS3Bucket: 'no-such-bucket' });
      await expectSentence(store.prepare(), /no bucket no-such-bucket at .*STORAGE_S3_BUCKET/);
    });

    it.each<[string, number, string, RegExp]>([
      ['access is denied', 403, 'AccessDenied', /access to the bucket .* is denied.*s3:PutObject/],
      ['the clock is wrong', 403, 'RequestTimeTooSkewed', /synchronize them/],
      ['the token has expired', 400, 'ExpiredToken', /credentials have expired/],
      ['the bucket is elsewhere', 301, 'PermanentRedirect', /another region.*STORAGE_S3_REGION/],
      ['the region is wrong', 400, 'AuthorizationHeaderMalformed', /STORAGE_S3_REGION/],
      ['the storage class is unknown', 400, 'InvalidStorageClass', /STORAGE_S3_STORAGE_CLASS/],
      ['the KMS key is gone', 400, 'KMS.NotFoundException', /STORAGE_S3_SSE_KMS_KEY_ID/],
    ])('reports that %s', async (_, status, code, sentence) => {
      for (const method of ['GET', 'PUT']) {
        proxy.heal();
        proxy.inject({ method, times: Infinity, fault: s3Error(status, code) });
        await expectSentence(open(proxy.endpoint, { attempts: 2 }).prepare(), sentence);
      }
    });

    it('reports a missing read permission', async () => {
      proxy.inject({ method: 'HEAD', times: Infinity, fault: { kind: 'respond', status: 403 } });
      await expectSentence(open(proxy.endpoint).prepare(), /s3:GetObject/);
    });
  });

  it('sends each body with its MD5, whole and without Expect', async () => {
    const content = randomBytes(3_000_000);
    await open(proxy.endpoint).put('new', bodyOf(content), NOW);
    const [request] = proxy.requests();
    expect(proxy.requests()).toHaveLength(1);
    expect(request!.headers['content-md5']).toBe(createHash('md5').update(content).digest('base64'));
    expect(request!.headers['content-length']).toBe('3000000');
    expect(request!.headers).not.toHaveProperty('expect');
    expect(request!.headers).not.toHaveProperty('x-amz-trailer');
  });
});
