import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { queryRows } from '../../src/database/query-rows.js';
import { StorageError } from '../../src/storage/storage.errors.js';
import { digestOf, RegistryClient, withDigest } from '../support/registry-client.js';
import { reap } from '../support/run-job.js';
import type { TestStorage } from '../support/storages.js';
import { freshName } from '../support/fresh-name.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { until } from '../support/until.js';
import { eventsOf, lapseLease } from '../support/upload-events.js';
import { patternBytes, UploadProbe } from '../support/upload-probe.js';
import { storedObjects, unfinishedUploads, withAgedUploads } from './support/storage-contents.js';
import { StorageObserver } from './support/storage-observer.js';

const MIB = 1024 * 1024;

/**
 * Three registries in one process share a database and a storage. That is all that replicas share in
 * production.
 */
export function replicasContract({ driver, environment }: TestStorage): void {
  let first: TestBerth;
  let berths: TestBerth[];
  let storage: StorageObserver;

  beforeAll(async () => {
    const settings = { ...environment, UPLOAD_CHECKPOINT_BYTES: String(MIB) };
    first = await startTestBerth(settings);
    const shared = { ...settings, DATABASE_URL: first.databaseUrl };
    berths = [first, await startTestBerth(shared), await startTestBerth(shared)];
    storage = new StorageObserver(...berths.map((berth) => berth.driver));
  });
  afterAll(async () => {
    for (const berth of berths.slice(1)) await berth.dispose();
    await first.dispose();
  });

  const clientOf = (index: number) => new RegistryClient(String(berths[index % berths.length]?.url));
  const begin = (name = freshName()) => UploadProbe.begin(first.url, storage.endOf, name);

  /** Runs the reaper, as if an hour later, and returns what the storage still has of an upload. */
  const leftOf = async ({ location }: UploadProbe) => {
    await withAgedUploads(first.driver, 2 * 3600, () => reap(first));
    return (await unfinishedUploads(first.driver)).filter((id) => location.endsWith(id));
  };

  it('append the chunks of an upload in turns', async () => {
    const blob = patternBytes(700_000);
    const probe = await begin();
    for (let start = 0, turn = 0; start < blob.length; start += 23_456, turn += 1) {
      const { url } = clientOf(turn);
      expect(await probe.append(url, start, blob.subarray(start, start + 23_456))).toBe(202);
      expect(await probe.offset(clientOf(turn + 1).url)).toBe(Math.min(start + 23_456, blob.length));
    }
    expect(await probe.finish(clientOf(1).url, blob)).toBe(digestOf(blob));
    const events = await eventsOf(first, probe.location);
    expect(events).not.toContain('takeover');
    expect(events).toEqual(expect.arrayContaining(['started', 'resumed', 'committed']));
  });

  it('append the chunks of a large upload in turns, across the parts of an object store', async () => {
    const blob = randomBytes(12 * MIB + 1);
    const name = freshName();
    const location = await clientOf(0).startUpload(name);
    for (let start = 0, turn = 0; start < blob.length; start += 900_001, turn += 1) {
      const chunk = blob.subarray(start, start + 900_001);
      const range = `${start}-${start + chunk.length - 1}`;
      expect((await clientOf(turn).patch(location, chunk, range)).status).toBe(202);
    }
    expect((await clientOf(1).commit(location, digestOf(blob))).status).toBe(201);
    expect(digestOf(await clientOf(2).blob(name, digestOf(blob)))).toBe(digestOf(blob));
    expect(await unfinishedUploads(first.driver)).toEqual([]);
  });

  it('make a writer elsewhere release the session, which keeps its bytes', async () => {
    const blob = patternBytes(300_000);
    const probe = await begin();
    const older = probe.patch(clientOf(0).url);
    await older.send(blob.subarray(0, 100_000));
    await probe.bytesWritten(100_000);
    const newer = probe.patch(clientOf(1).url);
    expect(await older.status).toBe(429);
    await newer.send(blob.subarray(100_000));
    newer.end();
    expect(await newer.status).toBe(202);
    expect(await probe.finish(clientOf(2).url, blob)).toBe(digestOf(blob));
    await until('the event', async () => (await eventsOf(first, probe.location)).includes('fenced'));
    const events = await eventsOf(first, probe.location);
    expect(events).toEqual(expect.arrayContaining(['conflict', 'resumed']));
    // No lease expired: the writer released the session on request.
    expect(events).not.toContain('takeover');
  });

  it('commit elsewhere an upload whose PATCH has lost its client', async () => {
    const blob = patternBytes(2 * MIB, 7);
    const probe = await begin();
    const patch = probe.patch(clientOf(0).url);
    await patch.send(blob);
    await probe.bytesWritten(blob.length);
    const digest = digestOf(blob);
    const put = await clientOf(1).commit(probe.location, digest);
    expect([put.status, await patch.status]).toEqual([201, 429]);
  });

  it('fence a writer that kept the session: it changes neither acknowledged nor later bytes', async () => {
    const blob = patternBytes(3 * MIB, 3);
    const probe = await begin();
    expect(await probe.append(first.url, 0, blob.subarray(0, 500_000))).toBe(202);
    const stale = probe.patch(first.url);
    await stale.send(Buffer.alloc(100_000, 'stale'));
    await probe.bytesWritten(600_000);
    await lapseLease(first, probe.location);

    const after = blob.subarray(500_000, MIB);
    expect(await probe.append(clientOf(1).url, 500_000, after)).toBe(202);
    // The fenced writer is still connected and writes until its next checkpoint.
    await stale.send(Buffer.alloc(2 * MIB, 'stale'));
    expect(await stale.status).toBe(429);
    expect(await probe.offset(clientOf(2).url)).toBe(MIB);
    expect(await probe.finish(clientOf(2).url, blob)).toBe(digestOf(blob));
    const events = await eventsOf(first, probe.location);
    expect(events).toContain('takeover');
    await until('the event', async () => (await eventsOf(first, probe.location)).includes('fenced'));
    expect(await leftOf(probe)).toEqual([]);
  });

  it('keep a committed blob unchanged while a fenced writer continues', async () => {
    const blob = patternBytes(400_000, 4);
    const name = freshName();
    const probe = await begin(name);
    expect(await probe.append(first.url, 0, blob)).toBe(202);
    const stale = probe.patch(first.url);
    await stale.send(Buffer.alloc(50_000, 'stale'));
    await probe.bytesWritten(450_000);
    await lapseLease(first, probe.location);
    expect((await clientOf(1).commit(probe.location, digestOf(blob))).status).toBe(201);
    await stale.send(Buffer.alloc(MIB, 'stale'));
    expect(await stale.status).toBe(429);
    expect(await leftOf(probe)).toEqual([]);
    expect((await clientOf(2).blob(name, digestOf(blob))).equals(blob)).toBe(true);
  });

  it('return 201 to a PUT that is repeated elsewhere', async () => {
    const blob = patternBytes(1000, 5);
    const probe = await begin();
    await probe.append(first.url, 0, blob);
    const puts = await Promise.all(
      [0, 1, 2, 0, 1].map((n) => clientOf(n).commit(probe.location, digestOf(blob))),
    );
    expect(puts.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201]);
  });

  it('repair a commit that was cut off between storage and database', async () => {
    const blob = patternBytes(1000, 6);
    const name = freshName();
    const probe = await begin(name);
    await probe.append(first.url, 0, blob);
    const driver = first.driver as { finishUpload?: unknown };
    const finish = first.driver.finishUpload.bind(first.driver);
    driver.finishUpload = async (...call: Parameters<typeof finish>) => {
      await finish(...call);
      throw new StorageError('the process was killed here');
    };
    const cut = await clientOf(0).commit(probe.location, digestOf(blob));
    delete driver.finishUpload;
    expect(cut.status).toBe(500);
    expect((await clientOf(1).commit(probe.location, digestOf(blob))).status).toBe(201);
    expect((await clientOf(2).blob(name, digestOf(blob))).equals(blob)).toBe(true);
  });

  it('keep one object of a layer that many clients push concurrently', async () => {
    const blob = patternBytes(MIB, 8);
    const digest = digestOf(blob);
    const names = Array.from({ length: 9 }, () => freshName());
    const before = await storedObjects(first.driver);
    await Promise.all(names.map((name, index) => clientOf(index).pushBlob(name, blob)));
    expect(await storedObjects(first.driver)).toHaveLength(before.length + 1);
    for (const [index, name] of names.entries()) {
      const head = await clientOf(index + 1).fetch(`/v2/${name}/blobs/${digest}`, { method: 'HEAD' });
      expect(head.status).toBe(200);
    }
  });

  // What it costs in an object store is counted in object-store-requests.spec.ts.
  if (driver === 'filesystem')
    it('commit without copying: the upload’s file becomes the object', async () => {
      const blob = patternBytes(200_000, 9);
      const probe = await begin();
      await probe.append(first.url, 0, blob.subarray(0, 100_000));
      await probe.append(clientOf(1).url, 100_000, blob.subarray(100_000));
      const root = String(environment['STORAGE_FILESYSTEM_ROOT']);
      const uploads = join(root, 'uploads');
      const id = String(probe.location.split('/').at(-1));
      const before = await stat(join(uploads, id));
      const digest = digestOf(blob);
      expect((await clientOf(2).commit(probe.location, digest)).status).toBe(201);
      const object = await stat(join(root, 'blobs/sha256', digest.slice(7, 9), digest.slice(7), id));
      expect(object.ino).toBe(before.ino);
    });

  it('record what happened to an upload, on which replica, and for how long', async () => {
    const blob = patternBytes(3 * MIB, 10);
    const probe = await begin();
    expect(await probe.append(first.url, 0, blob)).toBe(202);
    const wrong = await clientOf(1).commit(probe.location, digestOf('something else'));
    expect(wrong.status).toBe(400);
    expect(
      (await clientOf(0).fetch(withDigest(probe.location, digestOf(blob)), { method: 'PUT' })).status,
    ).toBe(201);
    await until('the event', async () => (await eventsOf(first, probe.location)).includes('digest_mismatch'));
    const events = await queryRows<Record<string, unknown>>(
      first.database.dataSource.manager,
      `SELECT kind, offset_bytes::int AS offset, client_address, duration_ms IS NOT NULL AS timed, replica
         FROM upload_events WHERE upload_id = $1 ORDER BY offset_bytes, id`,
      [probe.location.split('/').at(-1)],
    );
    const of = (kind: string) => events.filter((event) => event['kind'] === kind);
    expect(of('started')).toMatchObject([{ offset: 0, timed: false, client_address: '127.0.0.1' }]);
    // One for each power of two that was crossed, here 1 and 2 MiB; never two for the same.
    expect(of('checkpoint')).toHaveLength(2);
    expect(of('digest_mismatch')).toMatchObject([{ offset: 3 * MIB, timed: true }]);
    expect(of('committed')).toMatchObject([{ offset: 3 * MIB, timed: true }]);
    expect(new Set(events.map(({ replica }) => replica)).size).toBe(2);
  });

  it('record a client that disconnected in the middle', async () => {
    const probe = await begin();
    const patch = probe.patch(first.url);
    await patch.send(Buffer.alloc(10_000));
    await probe.bytesWritten(10_000);
    patch.leave();
    await until('the event', async () => (await eventsOf(first, probe.location)).includes('disconnected'));
    await until('the received bytes', async () => (await probe.offset(clientOf(1).url)) === 10_000);
  });
}
