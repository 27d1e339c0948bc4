import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeAll, beforeEach, expect } from '@jest/globals';
import type { S3Settings } from '../../../src/config/s3.settings.js';
import { S3ObjectStore } from '../../../src/storage/drivers/s3/s3-object.store.js';
import type { S3Options } from '../../../src/storage/drivers/s3/s3.options.js';
import type { Multipart, Part } from '../../../src/storage/object-store/object-store.js';
import type { IoOptions } from '../../../src/storage/storage-driver.js';
import { type Fault, FaultProxy } from '../../support/fault-proxy.js';
import { freshBucket, type S3Server, sharedRadosgw } from '../../support/radosgw.js';
import { s3Settings } from '../../support/s3-settings.js';
import { bodyOf, listedMultiparts, NOW, readAll, stored } from '../../contract/object-store.harness.js';
import { expectBytes } from '../../contract/storage-driver.harness.js';

/** The body of an error response of S3. */
export function s3Error(status: number, code: string, headers: Record<string, string> = {}): Fault {
  const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>as injected</Message></Error>`;
  return { kind: 'respond', status, body, headers };
}

export const SLOW_DOWN = s3Error(503, 'SlowDown');
export const INTERNAL = s3Error(500, 'InternalError');

/** A radosgw with an empty bucket, and a proxy that injects faults, for each test. */
export function useFaultyS3() {
  let server: S3Server;
  let bucket: string;
  let proxy: FaultProxy;
  let direct: S3ObjectStore;
  let opened: S3ObjectStore[];

  function open(
    endpoint: string,
    options: Partial<S3Options> = {},
    changes: Partial<S3Settings> = {},
  ): S3ObjectStore {
    const settings = s3Settings(server, bucket, { storageS3Endpoint: endpoint, ...changes });
    const store = new S3ObjectStore(settings, options);
    opened.push(store);
    return store;
  }

  beforeAll(async () => void (server = await sharedRadosgw()));
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

  return {
    open,
    get server() {
      return server;
    },
    get proxy() {
      return proxy;
    },
    /** Bypasses the proxy, to prepare and to check. */
    get direct() {
      return direct;
    },
  };
}

/** Each kind of request on an existing object and multipart upload, with a check of its effect. */
export interface Scene {
  /** Bypasses the proxy, with the same prefix. */
  readonly direct: S3ObjectStore;
  readonly multipart: Multipart;
  readonly part: Part;
  readonly content: Buffer;
}
export type Call = (on: S3ObjectStore, scene: Scene, options: IoOptions) => Promise<unknown>;
export const CALLS: [string, Call][] = [
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

export async function arranged(by: S3ObjectStore): Promise<Scene> {
  const content = randomBytes(100_000);
  await stored(by, 'there', content);
  const multipart = await by.beginMultipart('parts', NOW);
  const part = await by.putPart(multipart, 1, bodyOf(content), NOW);
  return { direct: by, multipart, part, content };
}
