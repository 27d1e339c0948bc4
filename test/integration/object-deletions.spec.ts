import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ObjectDeletionStore } from '../../src/collection/objects/object-deletion.store.js';
import { ObjectDeletions } from '../../src/collection/objects/object-deletions.js';
import { Configuration } from '../../src/config/configuration.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import type { JobRun } from '../../src/jobs/job.js';
import { ExclusiveTask } from '../../src/maintenance/exclusive-task.js';
import { StorageClaim } from '../../src/storage-identity/storage-claim.js';
import { StorageClaimStore } from '../../src/storage-identity/storage-claim.store.js';
import { StorageIdentity } from '../../src/storage-identity/storage-identity.js';
import { StorageIdentityStore } from '../../src/storage-identity/storage-identity.store.js';
import { CheckedStorageDriver } from '../../src/storage/checked-storage.driver.js';
import { FilesystemStorageDriver } from '../../src/storage/drivers/filesystem/filesystem-storage.driver.js';
import { MemoryStorageDriver } from '../../src/storage/drivers/memory/memory-storage.driver.js';
import type { ObjectKey } from '../../src/storage/object-key.js';
import { ObjectStorageDriver } from '../../src/storage/object-store/object-storage.driver.js';
import type { StorageDriver } from '../../src/storage/storage-driver.js';
import {
  StorageClaimError,
  StorageError,
  StorageIdentityError,
  StorageUnavailableError,
} from '../../src/storage/storage.errors.js';
import { listed, stored } from '../contract/storage-driver.harness.js';
import { MemoryBucket, MemoryObjectStore } from '../support/memory-object-store.js';
import { nodeGlobal } from '../support/node-global.js';
import { createTestDataSource, type TestDataSource } from '../support/test-data-source.js';

/** Of all drivers: the call that deletes. */
type Delete = (keys: readonly ObjectKey[], signal: AbortSignal | undefined) => Promise<unknown>;

interface Row {
  readonly object_key: string;
  readonly attempts: number;
  readonly last_error: string | null;
  /** Seconds until it is due. */
  readonly due_in: number;
}

const DRIVERS: [string, () => Promise<{ driver: StorageDriver; dispose?: () => Promise<void> }>][] = [
  ['memory', () => Promise.resolve({ driver: new MemoryStorageDriver() })],
  [
    'filesystem',
    async () => {
      const root = await mkdtemp(join(tmpdir(), 'berth-deletions-'));
      const dispose = () => rm(root, { recursive: true, force: true });
      return { driver: new FilesystemStorageDriver(root), dispose };
    },
  ],
  [
    'object store',
    () => {
      const store = new MemoryObjectStore(new MemoryBucket());
      return Promise.resolve({
        driver: new ObjectStorageDriver(store, { partBytes: 5_000_000, redirect: false }),
      });
    },
  ],
];

describe.each(DRIVERS)('deletions of objects: %s', (_, open) => {
  let test: TestDataSource;
  let driver: CheckedStorageDriver;
  let dispose: (() => Promise<void>) | undefined;
  let identity: StorageIdentity;
  let claim: StorageClaim;
  let progress: Record<string, number>;
  let stopping: AbortController;
  let logged: string[];

  beforeAll(async () => {
    test = await createTestDataSource();
  });
  afterAll(() => test.dispose());
  beforeEach(async () => {
    const opened = await open();
    dispose = opened.dispose;
    driver = new CheckedStorageDriver(opened.driver);
    stopping = new AbortController();
    [progress, logged] = [{}, []];
    for (const level of ['warn', 'error'] as const) {
      jest
        .spyOn(Logger.prototype, level)
        .mockImplementation((...line: unknown[]) => void logged.push(String(line.at(-1))));
    }
    await test.dataSource.query(
      `DELETE FROM object_deletions; DELETE FROM displaced_objects; DELETE FROM blobs;
       UPDATE storage_identity SET bound_at = NULL;
       UPDATE storage_claim SET token = NULL, former_token = NULL`,
    );
    claim = new StorageClaim(new StorageClaimStore(test.dataSource), driver);
    identity = new StorageIdentity(
      new StorageIdentityStore(test.dataSource),
      claim,
      new ExclusiveTask(test.dataSource),
      driver,
      { description: 'PostgreSQL of the test' },
      new Configuration(),
    );
    await identity.establish();
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await dispose?.();
  });

  /** The service of a process that starts now. */
  const deletions = (settings: Partial<Configuration> = {}, store = new ObjectDeletionStore(unitOfWork())) =>
    new ObjectDeletions(store, identity, claim, driver, Object.assign(new Configuration(), settings));
  const unitOfWork = () => new UnitOfWork(test.dataSource);

  /** Runs until nothing is due, or to the first failure. Returns the number of batches. */
  async function run(service = deletions()): Promise<number> {
    const jobRun = {
      signal: stopping.signal,
      count: (name: string, by = 1) => void (progress[name] = (progress[name] ?? 0) + by),
      verifyLease: () => Promise.resolve(),
    };
    let batches = 0;
    for await (const _ of service.run(jobRun as unknown as JobRun)) batches += 1;
    return batches;
  }

  /** Objects as the collector leaves them when it has deleted their blobs. */
  async function collected(count: number, dueInSeconds = 0): Promise<ObjectKey[]> {
    const keys: ObjectKey[] = [];
    for (let index = 0; index < count; index += 1) keys.push(await stored(driver, randomBytes(100)));
    await insert(keys, dueInSeconds);
    return keys.sort();
  }

  const insert = (keys: readonly string[], dueInSeconds = 0) =>
    test.dataSource.query(
      `INSERT INTO object_deletions (object_key, size_bytes, digest, due_at)
       SELECT key, 100, 'sha256:' || n, now() + $2::float8 * interval '1 second'
         FROM unnest($1::text[]) WITH ORDINALITY AS k (key, n)`,
      [keys, dueInSeconds],
    );
  const rows = () =>
    test.dataSource.query<Row[]>(
      `SELECT object_key, attempts, last_error, extract(epoch FROM due_at - now())::float8 AS due_in
         FROM object_deletions ORDER BY object_key`,
    );
  const rowKeys = async () => (await rows()).map(({ object_key: key }) => key);
  const objects = async () => (await listed(driver, '')).sort();
  const makeDue = () => test.dataSource.query('UPDATE object_deletions SET due_at = now()');

  /** Replaces what deletes in the driver. Returns the former call. */
  function interfere(work: (original: Delete) => Delete): void {
    if (driver.deleteMany !== undefined) {
      const original = driver.deleteMany;
      const call = work((keys, signal) => original(keys, { ...(signal && { signal }) }));
      Object.assign(driver, {
        deleteMany: async (keys: readonly ObjectKey[], { signal }: { signal?: AbortSignal } = {}) =>
          (await call(keys, signal)) ?? new Map(),
      });
    } else {
      const original = driver.delete.bind(driver);
      const call = work(async (keys, signal) => {
        for (const key of keys) await original(key, { ...(signal && { signal }) });
      });
      jest.spyOn(driver, 'delete').mockImplementation(async (key, { signal } = {}) => {
        await call([key], signal);
      });
    }
  }

  it('deletes what is due, in batches, and nothing else', async () => {
    const kept = await stored(driver, randomBytes(10));
    const later = await collected(3, 3600);
    await collected(25);
    expect(await run(deletions({ gcBatchRows: 10 }))).toBe(3);
    expect(await objects()).toEqual([kept, ...later].sort());
    expect(await rowKeys()).toEqual(later);
    expect(progress).toEqual({ objects: 25, objectBytes: 2500, objectFailures: 0 });
    expect(await run()).toBe(0);
    expect(logged).toEqual([]);
  });

  it('succeeds for objects that are gone already', async () => {
    const [first] = (await collected(2)) as [ObjectKey];
    await driver.delete(first);
    await run();
    expect([await objects(), await rows()]).toEqual([[], []]);
  });

  it('never deletes an object of a blob, nor a displaced one', async () => {
    const [current, displaced] = await collected(3);
    await test.dataSource.query(
      `WITH blob AS (INSERT INTO blobs (size_bytes, object_key) VALUES (100, $1) RETURNING id)
       INSERT INTO displaced_objects (object_key, blob_id, reason) SELECT $2, id, 'missing' FROM blob`,
      [current, displaced],
    );
    await run();
    expect(await objects()).toEqual([current, displaced]);
    expect(await rows()).toEqual([]);
    expect(logged).toEqual(['objects of blobs were to be deleted: kept']);
  });

  it.each(['all', 'some'])('repeats a batch that a kill interrupted after %s objects', async (which) => {
    await collected(12);
    let isKilled = true;
    interfere((original) => async (keys, signal) => {
      const done = which === 'all' || !isKilled ? keys : keys.slice(0, Math.floor(keys.length / 2));
      const result = await original(done, signal);
      if (isKilled) throw new Error('killed');
      return result;
    });
    await expect(run()).rejects.toThrow('killed');
    expect(await rows()).toHaveLength(12);
    expect((await objects()).length).toBeLessThanOrEqual(driver.abilities.deletesMany ? 6 : 12);
    isKilled = false;
    await run();
    expect([await objects(), await rows()]).toEqual([[], []]);
  });

  it('repeats a batch if its rows could not be deleted', async () => {
    await collected(5);
    const store = new ObjectDeletionStore(unitOfWork());
    jest.spyOn(store, 'forget').mockRejectedValueOnce(new Error('the connection is lost'));
    await expect(run(deletions({}, store))).rejects.toThrow('the connection is lost');
    expect(await objects()).toEqual([]);
    expect(await rows()).toHaveLength(5);
    await run(deletions({}, store));
    expect(await rows()).toEqual([]);
  });

  it('keeps objects while the storage is down, tries a batch per run, and catches up', async () => {
    await collected(20);
    let isDown = true;
    interfere((original) => async (keys, signal) => {
      if (isDown) throw new StorageUnavailableError('connection refused');
      return original(keys, signal);
    });
    const service = deletions({ gcBatchRows: 8 });
    expect(await run(service)).toBe(0);
    expect(await objects()).toHaveLength(20);
    const tried = (await rows()).filter(({ attempts }) => attempts > 0);
    expect(tried).toHaveLength(8);
    expect(tried.every(({ last_error: error }) => error === 'connection refused')).toBe(true);
    expect(tried.every(({ due_in: seconds }) => seconds > 25 && seconds <= 30)).toBe(true);
    expect(logged).toEqual([expect.stringContaining('the storage is unavailable')]);

    isDown = false;
    await run(deletions({ gcBatchRows: 8 }));
    expect(await rowKeys()).toEqual(tried.map(({ object_key: key }) => key));
    await makeDue();
    await run();
    expect([await objects(), await rows()]).toEqual([[], []]);
  });

  it('leaves a storage alone for a while that was slow to fail', async () => {
    await collected(3);
    const now = performance.now.bind(performance);
    let laterMs = 0;
    jest.spyOn(performance, 'now').mockImplementation(() => now() + laterMs);
    let calls = 0;
    interfere(() => () => {
      calls += 1;
      laterMs += 10_000;
      return Promise.reject(new StorageUnavailableError('no response'));
    });
    const service = deletions({ gcBatchRows: 1 });
    await run(service);
    await run(service);
    expect(calls).toBe(1);
    laterMs += 41_000;
    await run(service);
    expect(calls).toBe(2);
  });

  it('lets no object wait for others that the storage refuses to delete', async () => {
    const [refused, ...others] = (await collected(9)) as [ObjectKey, ...ObjectKey[]];
    interfere((original) => async (keys, signal) => {
      if (driver.abilities.deletesMany) {
        await original(
          keys.filter((key) => key !== refused),
          signal,
        );
        return new Map(
          keys.filter((key) => key === refused).map((key) => [key, new StorageError('it is held')]),
        );
      }
      if (keys[0] === refused) throw new StorageError('it is held');
      return original(keys, signal);
    });
    await run(deletions({ gcBatchRows: 3 }));
    expect(await objects()).toEqual([refused]);
    expect(others).toHaveLength(8);
    const backoffs: number[] = [];
    for (let attempt = 1; attempt <= 9; attempt += 1) {
      const [row] = (await rows()) as [Row];
      expect(row).toMatchObject({ object_key: refused, attempts: attempt, last_error: 'it is held' });
      backoffs.push(Math.ceil(row.due_in / 10) * 10);
      await makeDue();
      await run();
    }
    expect(backoffs).toEqual([30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
  });

  it('lets no object wait for a row whose key is not valid', async () => {
    await collected(3);
    await insert(['../x']);
    await run();
    expect(await objects()).toEqual([]);
    expect(await rows()).toMatchObject([
      { object_key: '../x', attempts: 1, last_error: 'not an object key' },
    ]);
  });

  it('makes progress on a storage that is too slow for a whole batch', async () => {
    await collected(8);
    const set = nodeGlobal.setTimeout;
    const timeouts: (() => void)[] = [];
    jest.spyOn(nodeGlobal, 'setTimeout').mockImplementation((work: () => void, ms?: number) => {
      if (ms === 30_000) timeouts.push(work);
      return set(work, ms);
    });
    let inFlight = 0;
    interfere((original) => async (keys, signal) => {
      signal?.throwIfAborted();
      inFlight += keys.length;
      try {
        if (inFlight <= 2) return await original(keys, signal);
        return await new Promise((__, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
          // The timeout of the batch comes at once, and only where the storage is too slow.
          for (const end of timeouts.splice(0)) end();
        });
      } finally {
        inFlight -= keys.length;
      }
    });
    const service = deletions();
    for (let time = 0; time < 20 && (await rows()).length > 0; time += 1) {
      Object.assign(service, { retryAt: -Infinity });
      await makeDue();
      await run(service);
    }
    expect([await objects(), await rows()]).toEqual([[], []]);
  });

  it('stops within a second, whatever the storage does, and changes no row', async () => {
    await collected(4);
    let isCalled: () => void = () => undefined;
    const called = new Promise<void>((resolve) => (isCalled = resolve));
    interfere(() => () => {
      isCalled();
      return new Promise(() => undefined);
    });
    const running = run();
    await called;
    const startedAt = performance.now();
    stopping.abort(new Error('SIGTERM'));
    await expect(running).rejects.toThrow('SIGTERM');
    expect(performance.now() - startedAt).toBeLessThan(1000);
    expect((await rows()).map(({ attempts }) => attempts)).toEqual([0, 0, 0, 0]);
  });

  it('stops within a second while it waits for its rate', async () => {
    await collected(2);
    const service = deletions({ gcObjectDeletionsPerSecond: 1 });
    const running = run(service);
    while ((await rows()).length === 2) await new Promise((resolve) => setImmediate(resolve));
    stopping.abort(new Error('SIGTERM'));
    const startedAt = performance.now();
    await running.catch(() => undefined);
    expect(performance.now() - startedAt).toBeLessThan(500);
    expect(await objects()).toHaveLength(1);
  });

  it('deletes no more objects per second than it may', async () => {
    await collected(12);
    const startedAt = performance.now();
    await run(deletions({ gcBatchRows: 4, gcObjectDeletionsPerSecond: 40 }));
    // Three batches of a tenth of a second each, and the last one has no successor.
    expect(performance.now() - startedAt).toBeGreaterThan(190);
    expect(await rows()).toEqual([]);
  });

  it.each<[string, new (message: string) => Error, () => Promise<unknown>]>([
    [
      'the claim is another copy’s',
      StorageClaimError,
      async () => {
        const { dataSource } = test;
        const [row] = await dataSource.query<{ token: string }[]>('SELECT token FROM storage_claim');
        await claim.renew();
        await dataSource.query('UPDATE storage_claim SET former_token = NULL, token = $1', [row?.token]);
      },
    ],
    ['the storage is another one', StorageIdentityError, () => driver.writeIdentity(randomUUID())],
  ])('deletes nothing if %s, and the run says so', async (__, expected, arrange) => {
    await claim.verify();
    await collected(3);
    const identityBefore = await driver.readIdentity();
    await arrange();
    await expect(run()).rejects.toBeInstanceOf(expected);
    await driver.writeIdentity(String(identityBefore));
    expect(await objects()).toHaveLength(3);
    expect((await rows()).map(({ attempts }) => attempts)).toEqual([0, 0, 0]);
  });

  it('runs in several processes at the same time', async () => {
    await collected(40);
    await Promise.all([1, 2, 3].map(() => run(deletions({ gcBatchRows: 5 }))));
    expect([await objects(), await rows()]).toEqual([[], []]);
  });
});
