import 'reflect-metadata';
import { createHash, randomInt } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { S3ObjectStore } from '../../src/storage/drivers/s3/s3-object.store.js';
import { ObjectStorageDriver } from '../../src/storage/object-store/object-storage.driver.js';
import { listed, listedUploads } from '../contract/storage-driver.harness.js';
import type { BerthProcess } from '../support/berth-process.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { s3Settings } from '../support/s3-settings.js';
import { useProcessBench, useTestDatabase } from '../support/set-up.js';
import { describeWithRadosgw, freshBucket, sharedRadosgw } from '../support/radosgw.js';
import { RegistryClient } from '../support/registry-client.js';
import { until } from '../support/until.js';
import { patternBytes } from '../support/upload-probe.js';

const MIB = 1024 * 1024;
/** `OBJECT_STORE_BYTES=1073741824 OBJECT_STORE_CHUNKS=10000` for the long run. */
const SIZE = Number(process.env['OBJECT_STORE_BYTES'] ?? 48 * MIB);
const CHUNKS = Number(process.env['OBJECT_STORE_CHUNKS'] ?? 250);
const KILLS = 4;
const REPLICAS = 3;
/** Repeated, because the layer is too large for the memory of a test. */
const PATTERN = patternBytes(3 * MIB + 7, 5);

describeWithRadosgw('three processes, one bucket, kill -9', () => {
  const bench = useProcessBench();
  const database = useTestDatabase();
  let proxy: FaultProxy;
  let driver: ObjectStorageDriver;
  let start: (environment?: Record<string, string>) => BerthProcess;

  beforeAll(async () => {
    const server = await sharedRadosgw();
    const bucket = await freshBucket(server);
    proxy = await FaultProxy.start(server.endpoint);
    start = (environment = {}) =>
      bench.start({
        DATABASE_URL: database.url,
        DATA_DIR: bench.newDataDir(),
        STORAGE_DRIVER: 's3',
        STORAGE_REDIRECT: 'false',
        STORAGE_S3_BUCKET: bucket,
        STORAGE_S3_ENDPOINT: proxy.endpoint,
        STORAGE_S3_ACCESS_KEY_ID: server.accessKeyId,
        STORAGE_S3_SECRET_ACCESS_KEY: server.secretAccessKey,
        STORAGE_S3_PART_SIZE_BYTES: String(5 * MIB),
        UPLOAD_CHECKPOINT_BYTES: String(8 * MIB),
        UPLOAD_LEASE_SECONDS: '2',
        ...environment,
      });
    const direct = new S3ObjectStore(s3Settings(server, bucket));
    driver = new ObjectStorageDriver(direct, { partBytes: 5 * MIB, redirect: false });
  });
  afterAll(() => proxy.close());

  it(
    'complete a push in chunks of odd sizes, and leave only its object',
    async () => {
      const replicas = Array.from({ length: REPLICAS }, () => start());
      const urls = await Promise.all(replicas.map((replica) => replica.url()));
      const location = await new RegistryClient(urls[0] ?? '').startUpload('big/layer');
      const push = new Push(location);
      for (let sent = 0; push.offset < SIZE; sent += 1) {
        const which = sent % REPLICAS;
        const isKilled = sent % Math.ceil(CHUNKS / KILLS) === Math.ceil(CHUNKS / KILLS) - 1;
        const pending = push.send(urls[which] ?? '', nextSize());
        if (isKilled) {
          // During the request or after it.
          await new Promise((resolve) => setTimeout(resolve, randomInt(30)));
          await replicas[which]?.kill();
        }
        await pending;
        if (!isKilled) continue;
        const replacement = start();
        replicas[which] = replacement;
        urls[which] = await replacement.url();
        await push.catchUp(urls[which]);
      }
      expect(await push.finish(urls[1] ?? '')).toBe(201);
      const pulled = await fetch(new URL(`/v2/big/layer/blobs/${push.digest}`, urls[2]));
      expect(await digestOfStream(pulled)).toBe(push.digest);
      const kinds = Object.keys(proxy.counts());
      expect(
        kinds.filter((kind) => kind.includes('copy') || kind === 'GET uploads' || kind === 'GET uploadId'),
      ).toEqual([]);
      expect(proxy.requests().some(({ headers }) => 'x-amz-copy-source' in headers)).toBe(false);
      await Promise.all(replicas.map((replica) => replica.kill()));

      // Bytes of the killed replicas without a row are removed when they are old enough.
      const last = start({ UPLOAD_TTL_SECONDS: '1' });
      await last.url();
      await until(
        'only the object to be left',
        async () => (await listedUploads(driver)).length === 0,
        60_000,
      );
      expect(await listed(driver, '')).toHaveLength(1);
      process.stderr.write(`requests of the push: ${JSON.stringify(proxy.counts())}\n`);
    },
    30 * 60_000,
  );
});

function nextSize(): number {
  const mean = SIZE / CHUNKS;
  return 1 + Math.floor(2 * mean * Math.random());
}

/** A client that sends from the offset that the registry returned. */
class Push {
  offset = 0;
  private hashed = 0;
  private readonly hash = createHash('sha256');

  constructor(private readonly location: string) {}

  get digest(): string {
    return `sha256:${this.hash.copy().digest('hex')}`;
  }

  /** Sends one chunk. If the replica dies during it, the offset does not change. */
  async send(url: string, size: number): Promise<void> {
    const end = Math.min(this.offset + size, SIZE);
    const body = bytesOf(this.offset, end);
    try {
      const response = await fetch(new URL(this.location, url), {
        method: 'PATCH',
        body,
        headers: {
          'Content-Type': 'application/octet-stream',
          'Content-Range': `${this.offset}-${end - 1}`,
        },
      });
      await response.arrayBuffer();
      if (response.status === 202) this.reached(end);
      else if (![416, 429, 503].includes(response.status)) throw new Error(`PATCH: ${response.status}`);
      else await this.catchUp(url);
    } catch (error) {
      // The connection broke. The caller reads the offset.
      if (!(error instanceof TypeError) && !String(error).includes('fetch failed')) throw error;
    }
  }

  async catchUp(url: string): Promise<void> {
    const response = await fetch(new URL(this.location, url));
    const range = /^0-(\d+)$/.exec(response.headers.get('range') ?? '');
    if (response.status !== 204 || range === null)
      throw new Error(`status of the upload: ${response.status}`);
    this.reached(Math.max(this.offset, Number(range[1]) + 1));
  }

  async finish(url: string): Promise<number> {
    const put = await fetch(new URL(`${this.location}?digest=${this.digest}`, url), { method: 'PUT' });
    return put.status;
  }

  private reached(offset: number): void {
    this.offset = offset;
    this.hash.update(bytesOf(this.hashed, offset));
    this.hashed = offset;
  }
}

/** A range of the layer. */
function bytesOf(start: number, end: number): Buffer {
  const bytes = Buffer.allocUnsafe(end - start);
  for (let at = start; at < end;) {
    const within = at % PATTERN.length;
    at += PATTERN.copy(bytes, at - start, within, Math.min(PATTERN.length, within + end - at));
  }
  return bytes;
}

async function digestOfStream(response: Response): Promise<string> {
  const hash = createHash('sha256');
  if (response.body === null) throw new Error('no body');
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) hash.update(chunk);
  return `sha256:${hash.digest('hex')}`;
}
