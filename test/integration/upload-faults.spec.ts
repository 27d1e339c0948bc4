import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { poolSizes } from '../../src/database/connection/connections.js';
import type { UploadSink } from '../../src/storage/storage-driver.js';
import { StorageError } from '../../src/storage/storage.errors.js';
import { withLockedTable, withoutDatabase } from '../support/database-outage.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { describeOn } from '../support/storages.js';
import { freshName } from '../support/fresh-name.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { until } from '../support/until.js';
import { eventsOf } from '../support/upload-events.js';
import { patternBytes, UploadProbe } from '../support/upload-probe.js';
import { StorageObserver } from './support/storage-observer.js';

const MIB = 1024 * 1024;
/** Of all connections, those that uploads share with transactions. */
const DATABASE_POOL_SIZE = 10;
const POOL_SIZE = poolSizes(DATABASE_POOL_SIZE).dataSource;

describeOn('filesystem', 'in the middle of an upload', ({ environment }) => {
  let berth: TestBerth;
  let storage: StorageObserver;
  let client: RegistryClient;

  beforeAll(async () => {
    berth = await startTestBerth({
      ...environment,
      UPLOAD_CHECKPOINT_BYTES: String(MIB),
      DATABASE_POOL_SIZE: String(DATABASE_POOL_SIZE),
    });
    client = new RegistryClient(berth.url);
    storage = new StorageObserver(berth.driver);
  });
  afterAll(() => berth.dispose());

  const begin = (name = freshName()) => UploadProbe.begin(berth.url, storage.endOf, name);

  it('the client does not notice a restart of the database', async () => {
    const blob = patternBytes(5 * MIB, 31);
    const probe = await begin();
    const patch = probe.patch(berth.url);
    await patch.send(blob.subarray(0, MIB + MIB / 2));
    await probe.durable(berth.url, MIB - 64 * 1024);
    await withoutDatabase(berth.databaseUrl, async () => {
      const rest = patch.send(blob.subarray(MIB + MIB / 2));
      // The next checkpoint finds no database. From then on no more bytes are read from the client.
      await until('the writer to wait', async () => (await probe.written()) >= 2 * MIB - 64 * 1024);
      const ready = async () => (await client.fetch('/health/ready')).status;
      await until('the outage', async () => (await ready()) === 503);
      void rest;
    });
    patch.end();
    expect(await patch.status).toBe(202);
    expect(await probe.finish(berth.url, blob)).toBe(digestOf(blob));
    expect(await eventsOf(berth, probe.location)).not.toContain('failed');
  });

  it('the client does not notice a restart during a commit', async () => {
    const blob = patternBytes(1000, 32);
    const probe = await begin();
    await probe.append(berth.url, 0, blob);
    let put: Promise<Response> | undefined;
    await withoutDatabase(berth.databaseUrl, async () => {
      put = client.commit(probe.location, digestOf(blob));
      const ready = async () => (await client.fetch('/health/ready')).status;
      await until('the outage', async () => (await ready()) === 503);
    });
    expect((await put)?.status).toBe(201);
  });

  it('an exhausted pool delays requests and loses none', async () => {
    const blobs = Array.from({ length: 4 * POOL_SIZE }, (_, index) => patternBytes(100_000, 40 + index));
    const probes = await Promise.all(blobs.map(() => begin()));
    let patches: Promise<number>[] = [];
    await withLockedTable(berth.databaseUrl, 'uploads', async (waiting) => {
      patches = probes.map((probe, index) => probe.append(berth.url, 0, blobs[index] ?? Buffer.of()));
      await until('every connection to be taken', async () => (await waiting()) >= POOL_SIZE);
    });
    expect(await Promise.all(patches)).toEqual(blobs.map(() => 202));
    for (const [index, probe] of probes.entries()) {
      const blob = blobs[index] ?? Buffer.of();
      expect(await probe.finish(berth.url, blob)).toBe(digestOf(blob));
    }
  });

  it.each(['write', 'flush'] as const)(
    'a failed %s of the storage loses no acknowledged byte',
    async (call) => {
      const blob = patternBytes(4 * MIB, 33);
      const probe = await begin();
      const open = berth.driver.openUpload.bind(berth.driver);
      const driver = berth.driver as { openUpload?: unknown };
      let [flushes, bytes] = [0, 0];
      driver.openUpload = async (...parameters: Parameters<typeof open>) => {
        const sink = await open(...parameters);
        const work = sink[call].bind(sink) as (argument: unknown) => Promise<unknown>;
        const failing = async (argument: unknown) => {
          if (call === 'flush') flushes += 1;
          else bytes += (argument as Uint8Array).length;
          if (flushes > 2 || bytes > 2.5 * MIB) throw new StorageError('EIO: i/o error');
          return work(argument);
        };
        return Object.assign(sink, { [call]: failing }) as UploadSink;
      };
      const failed = await client.patch(probe.location, blob).finally(() => delete driver.openUpload);
      expect(failed.status).toBe(500);
      const offset = await probe.offset(berth.url);
      expect(offset).toBeGreaterThanOrEqual(MIB);
      expect(offset).toBeLessThan(blob.length);
      expect(await probe.finish(berth.url, blob)).toBe(digestOf(blob));
    },
  );

  it('the uploads of twenty clients that disconnect can be resumed', async () => {
    const blob = patternBytes(300_000, 34);
    const probes = await Promise.all(Array.from({ length: 20 }, () => begin()));
    const patches = probes.map((probe) => probe.patch(berth.url));
    await Promise.all(patches.map((patch) => patch.send(blob.subarray(0, 200_000))));
    for (const patch of patches) patch.leave();
    for (const probe of probes) {
      // Bytes in transit when the client left may have arrived or not.
      await until('its client to be missed', async () =>
        (await eventsOf(berth, probe.location)).includes('disconnected'),
      );
      expect(await probe.finish(berth.url, blob)).toBe(digestOf(blob));
    }
  });
});
