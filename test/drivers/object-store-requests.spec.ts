import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { BlobPresence } from '../../src/blobs/blob-presence.js';
import { parseDigest } from '../../src/oci/digest.js';
import type { SeenRequest } from '../support/fault-proxy.js';
import { describeWithRadosgw } from '../support/radosgw.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { freshName } from '../support/fresh-name.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import {
  MIB,
  operationOf,
  operationsOf,
  PART_BYTES,
  type ProxiedS3,
  startProxiedS3,
} from './support/proxied-s3.js';

type Push = (name: string, blob: Buffer) => Promise<void>;

describeWithRadosgw('what a push asks of S3', () => {
  let store: ProxiedS3;
  let berth: TestBerth;
  let client: RegistryClient;

  beforeEach(() => store.proxy.forget());

  /** One that knows no blob yet, not even the empty one, and a bucket of its own. */
  const withBerth = () => {
    beforeAll(async () => {
      store = await startProxiedS3();
    });
    afterAll(() => store.proxy.close());
    beforeAll(async () => {
      berth = await startTestBerth(store.environment);
      client = new RegistryClient(berth.url);
    });
    afterAll(() => berth.dispose());
  };

  /** In chunks of so many bytes, and an empty PUT. */
  const inChunks =
    (chunkBytes: number): Push =>
    async (name, blob) => {
      const location = await client.startUpload(name);
      for (let start = 0; start < blob.length || start === 0; start += chunkBytes) {
        const chunk = blob.subarray(start, start + chunkBytes);
        expect((await client.patch(location, chunk)).status).toBe(202);
      }
      expect((await client.commit(location, digestOf(blob))).status).toBe(201);
    };
  const PUSHES: readonly (readonly [string, Push])[] = [
    [
      'POST and PUT',
      async (name, blob) => {
        const location = await client.startUpload(name);
        expect((await client.commit(location, digestOf(blob), blob)).status).toBe(201);
      },
    ],
    ['a single POST', async (name, blob) => expect(await client.pushBlob(name, blob)).toBe(digestOf(blob))],
    ['POST, PATCH and PUT', inChunks(Infinity)],
    ['PATCHes of one part each', inChunks(PART_BYTES)],
  ];

  const small = { PutObject: 1 };
  /**
   * The tail is saved as an object, for a client that goes on, and as a part, for the object that it becomes.
   */
  const tail = { PutObject: 1, DeleteObject: 1 };
  const SIZES: readonly (readonly [string, number, Record<string, number>])[] = [
    ['nothing', 0, small],
    ['10 bytes', 10, small],
    ['60 kB', 60_000, small],
    ['64 KiB', 64 * 1024, small],
    ['1 MiB', MIB, { CreateMultipartUpload: 1, UploadPart: 1, ...tail, CompleteMultipartUpload: 1 }],
    ['one part', PART_BYTES, { CreateMultipartUpload: 1, UploadPart: 1, CompleteMultipartUpload: 1 }],
    ['2 parts', 2 * PART_BYTES, { CreateMultipartUpload: 1, UploadPart: 2, CompleteMultipartUpload: 1 }],
    [
      '3.3 parts',
      Math.floor(3.3 * PART_BYTES),
      { CreateMultipartUpload: 1, UploadPart: 4, ...tail, CompleteMultipartUpload: 1 },
    ],
  ];

  describe.each(PUSHES)('as %s', (_, push) => {
    withBerth();

    it.each(SIZES)('%s', async (_size, sizeBytes, expected) => {
      const blob = randomBytes(sizeBytes);
      const name = freshName();
      await push(name, blob);
      // To the last one: no copy, nothing read, nothing listed.
      expect(operationsOf(contentRequests(store))).toEqual(expected);
      for (const { method, headers } of contentRequests(store))
        if (method === 'PUT') expect(headers['content-md5']).toMatch(/^[A-Za-z0-9+/]{22}==$/);
      expect(digestOf(await client.blob(name, digestOf(blob)))).toBe(digestOf(blob));
    });
  });

  describe('otherwise', () => {
    withBerth();

    it('in chunks of odd sizes: what is read are pieces of the upload, each at most once', async () => {
      const chunkBytes = 300_001;
      const blob = randomBytes(40 * chunkBytes);
      const name = freshName();
      await inChunks(chunkBytes)(name, blob);
      const requests = contentRequests(store);
      const operations = operationsOf(requests);
      const count = (operation: string) => operations[operation] ?? 0;
      for (const never of ['copy', 'ListParts', 'ListMultipartUploads']) expect(count(never)).toBe(0);
      expect([count('CreateMultipartUpload'), count('CompleteMultipartUpload')]).toEqual([1, 1]);

      const reads = requests.filter((request) => operationOf(request) === 'GetObject');
      expect(reads.length).toBeGreaterThan(0);
      expect(reads.filter(({ url }) => !url.startsWith(`/${store.bucket}/uploads/`))).toEqual([]);
      const readBytes = reads
        .map(({ headers }) => spanLength(headers.range))
        .reduce((sum, length) => sum + length);
      expect(readBytes).toBeLessThanOrEqual(blob.length);
      expect(new Set(reads.map(({ url }) => url)).size).toBe(reads.length);
      // A chunk costs one object, and at times the end of a part.
      expect(count('PutObject')).toBeLessThanOrEqual(40);
      expect(digestOf(await client.blob(name, digestOf(blob)))).toBe(digestOf(blob));
    });

    it('of what is there: whether it is, and its bytes once, to verify them', async () => {
      const blob = randomBytes(1000);
      const name = freshName();
      await client.pushBlob(name, blob);
      store.proxy.forget();
      await client.pushBlob(freshName(), blob);
      expect(operationsOf(contentRequests(store))).toEqual({ HeadObject: 1, GetObject: 1 });
    });

    it('of a HEAD, a mount and a manifest: whether the object is there, once in a minute', async () => {
      const name = freshName();
      const digest = await client.pushBlob(name, randomBytes(1000));
      const image = { ...(await client.makeImage(name)), layers: [] };
      const layers = [{ ...image.config, digest, size: 1000 }];
      const ask = async () => {
        const head = await client.fetch(`/v2/${name}/blobs/${digest}`, { method: 'HEAD' });
        const mount = `/v2/${freshName()}/blobs/uploads/?mount=${digest}&from=${name}`;
        const mounted = await client.fetch(mount, { method: 'POST' });
        const put = await client.putManifest(name, 'latest', { ...image, layers });
        expect([head.status, mounted.status, put.status]).toEqual([200, 201, 201]);
      };
      // This process has just stored it.
      store.proxy.forget();
      await ask();
      expect(contentRequests(store)).toEqual([]);
      berth.app.get(BlobPresence).forget(parseDigest(digest));
      await ask();
      await ask();
      expect(operationsOf(contentRequests(store))).toEqual({ HeadObject: 1 });
    });
  });
});

function spanLength(range: string | undefined): number {
  const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
  return Number(end) - Number(start) + 1;
}

/** Without the look at the storage's identity, once per 5 s at the most. */
function contentRequests({ proxy }: ProxiedS3): readonly SeenRequest[] {
  return proxy.requests().filter(({ url }) => !/\/berth-identity(\?|$)/.test(url));
}
