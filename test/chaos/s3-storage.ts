import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { S3ObjectStore } from '../../src/storage/drivers/s3/s3-object.store.js';
import { OWN_NAMES } from '../../src/storage/own-object.js';
import { newSuffix, objectKeyOf, pieceName, PIECES } from '../../src/storage/object-store/names.js';
import { bodyOf } from '../../src/storage/object-store/part-buffer.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { freshBucket, type StartedS3Server, startRadosgw } from '../support/radosgw.js';
import { s3Settings } from '../support/s3-settings.js';
import { isFaultOf, type StorageFault } from './fault-kinds.js';
import type { SeededRandom } from './seeded-random.js';
import { PART_BYTES, REPLICAS } from './settings.js';
import type { ChaosStorage } from './storage.js';
import { STORE_FAULTS } from './store-faults.js';

/** A bucket shared by all replicas. Each reaches it through its own proxy, which injects faults. */
export class S3Storage implements ChaosStorage {
  readonly problem = undefined;
  /** Without a proxy. */
  private readonly store: S3ObjectStore;
  private requestCount = 0;
  private affectedRequests = 0;

  private constructor(
    private readonly server: StartedS3Server,
    private readonly bucket: string,
    private readonly proxies: readonly FaultProxy[],
  ) {
    this.store = new S3ObjectStore(s3Settings(server, bucket));
  }

  /** Starts a server for this run, which frees its memory when it ends. */
  static async open(): Promise<S3Storage> {
    const server = await startRadosgw();
    const proxies = Array.from({ length: REPLICAS }, () => FaultProxy.start(server.endpoint));
    return new S3Storage(server, await freshBucket(server), await Promise.all(proxies));
  }

  environment(replica: number): Record<string, string> {
    return {
      STORAGE_DRIVER: 's3',
      STORAGE_REDIRECT: 'false',
      STORAGE_S3_BUCKET: this.bucket,
      STORAGE_S3_ENDPOINT: this.proxies[replica]?.endpoint ?? '',
      STORAGE_S3_REGION: this.server.region,
      STORAGE_S3_ACCESS_KEY_ID: this.server.accessKeyId,
      STORAGE_S3_SECRET_ACCESS_KEY: this.server.secretAccessKey,
      STORAGE_S3_PART_SIZE_BYTES: String(PART_BYTES),
    };
  }

  /** Affects all replicas, or one of them. */
  async inject(
    fault: StorageFault,
    random: SeededRandom,
    onInjected: (detail?: string) => void,
  ): Promise<void> {
    if (!isFaultOf('s3', fault)) throw new Error(`${fault} is not a fault of S3`);
    const { rules, lastsMs } = STORE_FAULTS[fault](random);
    const one = random.chance(0.4) ? random.int(0, REPLICAS - 1) : undefined;
    const affected = this.proxies.filter((_, replica) => one === undefined || replica === one);
    this.count();
    const affectedBefore = this.affectedRequests;
    for (const proxy of affected) proxy.inject(...rules);
    await delay(lastsMs);
    for (const proxy of affected) {
      proxy.heal();
      proxy.endHanging();
    }
    this.count();
    const affectedCount = this.affectedRequests - affectedBefore;
    const where = one === undefined ? 'all replicas' : `replica ${one}`;
    if (affectedCount > 0) onInjected(`for ${lastsMs} ms, ${affectedCount} requests of ${where}`);
  }

  /** One piece and one multipart upload. */
  async writeOrphans(): Promise<void> {
    const body = await bodyOf(Buffer.from('orphaned bytes'));
    await this.store.put(pieceName(randomUUID(), newSuffix()), body, {});
    const multipart = await this.store.beginMultipart(objectKeyOf(randomUUID()), {});
    await this.store.putPart(multipart, 1, body, {});
  }

  /** As listed by the store, whether or not Berth knows it. */
  async inFlight(): Promise<string[]> {
    const found = (await this.names()).filter((name) => name.startsWith(PIECES));
    for await (const { name, id } of this.store.listMultiparts('', {})) {
      found.push(`${name} (multipart ${id})`);
    }
    return found.sort();
  }

  async objects(): Promise<string[]> {
    const isBlob = (name: string) => !name.startsWith(PIECES) && !name.startsWith(OWN_NAMES);
    return (await this.names()).filter(isBlob).sort();
  }

  rows(): [string, string][] {
    this.count();
    return [
      ['requests to the store', `${this.requestCount}, ${this.affectedRequests} of them failed or delayed`],
    ];
  }

  async close(): Promise<void> {
    await Promise.all(this.proxies.map((proxy) => proxy.close()));
    await this.server.stop();
  }

  /** Adds up the requests of the proxies and clears their lists, which would grow in a long run. */
  private count(): void {
    for (const proxy of this.proxies) {
      const seen = proxy.requests();
      this.requestCount += seen.length;
      this.affectedRequests += seen.filter(({ fault }) => fault !== undefined).length;
      proxy.forget();
    }
  }

  private async names(): Promise<string[]> {
    const names: string[] = [];
    for await (const { name } of this.store.list('', {})) names.push(name);
    return names;
  }
}
