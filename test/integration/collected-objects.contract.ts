import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Collector } from '../../src/collection/collector.js';
import { queryRows } from '../../src/database/query-rows.js';
import { StorageClaim } from '../../src/storage-identity/storage-claim.js';
import { StorageClaimError } from '../../src/storage/storage.errors.js';
import { freshName } from '../support/fresh-name.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { reap, runJob, stopJobs } from '../support/run-job.js';
import type { TestStorage } from '../support/storages.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { createClone, createMigratedDatabase, type TestDatabase } from '../support/test-postgres.js';
import { storedObjects } from './support/storage-contents.js';
import { StoredObjects } from './support/stored-objects.js';

/** Content that is cached in memory after a read, and content that is not. */
const SIZES = [1000, 3_000_000];

/** A blob that was deleted everywhere is garbage at once. Its bytes remain until the test says otherwise. */
const SETTINGS = { GC_INTERVAL_SECONDS: '0', GC_READ_WINDOW_SECONDS: '3600' };

interface Deletion {
  readonly object_key: string;
  readonly attempts: number;
}

/** The bytes of collected blobs, on one storage. */
export function collectedObjectsContract({ environment }: TestStorage): void {
  let berth: TestBerth;
  let client: RegistryClient;
  let stored: StoredObjects;

  const start = async (extra: Record<string, string> = {}) => {
    const started = await startTestBerth({ ...environment, ...SETTINGS, ...extra });
    await stopJobs(started);
    return started;
  };
  const query = <Row>(sql: string, on = berth) => queryRows<Row>(on.database.dataSource.manager, sql);
  const collect = (on = berth) => runJob(on.app.get(Collector));
  const deletions = (on = berth) =>
    query<Deletion>('SELECT object_key, attempts FROM object_deletions ORDER BY object_key', on);
  const windowPasses = (on = berth) =>
    query(`UPDATE object_deletions SET due_at = now() - interval '1 s' RETURNING object_key`, on);
  const objects = () => storedObjects(berth.driver);
  const unlink = async (name: string, digest: string) => {
    const response = await client.fetch(`/v2/${name}/blobs/${digest}`, { method: 'DELETE' });
    expect(response.status).toBe(202);
  };
  const head = async (name: string, digest: string) =>
    (await client.fetch(`/v2/${name}/blobs/${digest}`, { method: 'HEAD' })).status;

  describe('of one registry', () => {
    beforeAll(async () => {
      berth = await start();
      client = new RegistryClient(berth.url);
      stored = new StoredObjects(berth);
    });
    afterAll(() => berth.dispose());
    beforeEach(async () => {
      expect([await objects(), await deletions()]).toEqual([[], []]);
    });

    it('are deleted after the read window, and a pull that began before finishes', async () => {
      const bytes = randomBytes(20_000_000);
      const name = freshName();
      const digest = await client.pushBlob(name, bytes);
      const [key] = (await objects()) as [string];
      const pull = await client.fetch(`/v2/${name}/blobs/${digest}`);
      const reader = (pull.body as ReadableStream<Uint8Array>).getReader();
      const chunks = [(await reader.read()).value ?? Buffer.of()];

      await unlink(name, digest);
      expect(await collect()).toMatchObject({ blobs: 1 });
      expect(await head(name, digest)).toBe(404);
      expect(await deletions()).toEqual([{ object_key: key, attempts: 0 }]);
      await collect();
      expect(await objects()).toEqual([key]);
      for (let read = await reader.read(); !read.done; read = await reader.read()) chunks.push(read.value);
      expect(digestOf(Buffer.concat(chunks))).toBe(digest);

      await windowPasses();
      expect(await collect()).toMatchObject({ objects: 1, objectBytes: bytes.length });
    });

    it.each(SIZES)('of %d bytes are no hindrance to a push of the same content', async (sizeBytes) => {
      const bytes = randomBytes(sizeBytes);
      const [name, other] = [freshName(), freshName()];
      const digest = await client.pushBlob(name, bytes);
      // Caches know the digest, its presence and its bytes.
      expect(digestOf(await client.blob(name, digest))).toBe(digest);
      const [former] = (await objects()) as [string];
      await unlink(name, digest);
      await collect();
      for (const when of ['before', 'after']) {
        if (when === 'after') await windowPasses();
        if (when === 'after') await collect();
        await client.pushBlob(when === 'before' ? name : other, bytes);
        expect(await stored.keyOf(digest)).not.toBe(former);
        expect(await head(name, digest)).toBe(200);
        expect(digestOf(await client.blob(name, digest))).toBe(digest);
      }
      expect(await objects()).toEqual([await stored.keyOf(digest)]);
      await unlink(name, digest);
      await unlink(other, digest);
      await collect();
      await windowPasses();
      await collect();
    });

    it('with displaced objects are all deleted, and the reaper touches none of them before', async () => {
      const bytes = randomBytes(100_000);
      const name = freshName();
      const digest = await client.pushBlob(name, bytes);
      const lost = await stored.lose(digest);
      await client.pushBlob(name, bytes);
      // The lost object reappears.
      await stored.put(lost, bytes);
      const current = await stored.keyOf(digest);
      await unlink(name, digest);
      await collect();
      const both = [current, lost].sort();
      expect((await deletions()).map(({ object_key: key }) => key)).toEqual(both);
      expect(await query('SELECT FROM displaced_objects')).toEqual([]);

      // As if a writer of the sessions had been fenced in the middle of its commit.
      await query(
        `UPDATE uploads SET holds_bytes = true, updated_at = now() - interval '1 hour' RETURNING id`,
      );
      await reap(berth);
      expect(await query('SELECT FROM uploads WHERE holds_bytes')).toEqual([]);
      expect(await objects()).toEqual(both);
      await windowPasses();
      expect(await collect()).toMatchObject({ objects: 2 });
    });

    it('of a deletion that is being removed by the reaper at the same time are deleted once', async () => {
      const bytes = randomBytes(100_000);
      const name = freshName();
      const digest = await client.pushBlob(name, bytes);
      const lost = await stored.lose(digest);
      await client.pushBlob(name, bytes);
      await stored.put(lost, bytes);
      await stored.anHourPasses();
      const remove = berth.driver.delete.bind(berth.driver);
      // The blob is collected after the reaper has marked the displaced object, and before it deletes it.
      berth.driver.delete = async (key, options) => {
        berth.driver.delete = remove;
        await unlink(name, digest);
        await collect();
        await remove(key, options);
      };
      await reap(berth);
      expect(await objects()).toHaveLength(1);
      await windowPasses();
      await collect();
      expect(await query('SELECT FROM displaced_objects')).toEqual([]);
    });
  });

  it('of a database and its clone: only one deletes, until the other adopts the storage', async () => {
    const database = await createMigratedDatabase();
    let clone: TestDatabase | undefined;
    const digests: string[] = [];
    const name = freshName();
    const open = async (of: TestDatabase, extra: Record<string, string> = {}) => {
      const started = await start({ DATABASE_URL: of.url, GC_READ_WINDOW_SECONDS: '0', ...extra });
      client = new RegistryClient(started.url);
      return started;
    };
    const refusal = async ({ url }: TestBerth) => {
      const response = await new RegistryClient(url).fetch('/api/v1/garbage');
      expect(response.status).toBe(200);
      const garbage = (await response.json()) as { stages: { objects: { refusal: string | null } } };
      return garbage.stages.objects.refusal;
    };
    const fails = async (on: TestBerth) => {
      const before = await storedObjects(on.driver);
      await expect(collect(on)).rejects.toBeInstanceOf(StorageClaimError);
      await expect(reap(on)).rejects.toBeInstanceOf(StorageClaimError);
      expect(await refusal(on)).toContain('this database may not delete objects in the storage');
      expect(await storedObjects(on.driver)).toEqual(before);
    };
    try {
      const first = await open(database, newStorage(environment));
      for (let count = 0; count < 3; count += 1) digests.push(await client.pushBlob(name, randomBytes(1000)));
      await first.app.get(StorageClaim).verify();
      const [one = '', two = '', three = ''] = digests;
      await first.dispose();
      clone = await createClone(database);

      const original = await open(database, newStorage(environment));
      await original.app.get(StorageClaim).renew();
      await unlink(name, one);
      expect(await refusal(original)).toBeNull();
      expect(await collect(original)).toMatchObject({ objects: 1 });
      const copy = await open(clone, newStorage(environment));
      // In the clone, nothing needs it.
      await unlink(name, two);
      await fails(copy);
      expect(await deletions(copy)).toMatchObject([{ attempts: 0 }]);
      client = new RegistryClient(original.url);
      expect(digestOf(await client.blob(name, two))).toBe(two);

      const [identity] = await query<{ id: string }>('SELECT id FROM storage_identity', copy);
      await copy.dispose();
      const adopting = { STORAGE_ADOPT: String(identity?.id), ...newStorage(environment) };
      const adopted = await open(clone, adopting);
      expect(await collect(adopted)).toMatchObject({ objects: 1 });
      expect(digestOf(await client.blob(name, three))).toBe(three);
      client = new RegistryClient(original.url);
      await expect(collect(original)).resolves.toBeDefined();
      await unlink(name, three);
      // Its storage is another database's now.
      await expect(collect(original)).rejects.toThrow(/has the identity/);
      expect(await refusal(original)).toMatch(/has the identity/);
      await original.dispose();
      await adopted.dispose();
    } finally {
      await clone?.drop();
      await database.drop();
    }
  });
}

/** A prefix or directory of its own in the storage of the test. */
function newStorage(environment: Record<string, string>): Record<string, string> {
  const { STORAGE_DRIVER: driver, STORAGE_FILESYSTEM_ROOT: root } = environment;
  if (driver === 'filesystem') return { STORAGE_FILESYSTEM_ROOT: `${root}/clones` };
  return { [`STORAGE_${String(driver).toUpperCase()}_PREFIX`]: 'clones/' };
}
