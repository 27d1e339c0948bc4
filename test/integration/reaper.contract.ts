import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { queryRows } from '../../src/database/query-rows.js';
import type { DriverUploadState } from '../../src/storage/storage-driver.js';
import { StorageError, UploadStateError } from '../../src/storage/storage.errors.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import type { TestStorage } from '../support/storages.js';
import { freshName } from '../support/fresh-name.js';
import { reap as runReaper, stopJobs } from '../support/run-job.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { eventsOf } from '../support/upload-events.js';
import { patternBytes, UploadProbe } from '../support/upload-probe.js';
import {
  removeUploads,
  storedObjects,
  unfinishedUploads,
  withAgedUploads,
} from './support/storage-contents.js';
import { StorageObserver } from './support/storage-observer.js';

const DAY_SECONDS = 24 * 60 * 60;

/** More bytes than a driver keeps in an upload's row. */
const LAYER = patternBytes(100_000, 20);

/** What the reaper does to sessions and their bytes, on any storage that replicas can share. */
export function reaperContract({ environment }: TestStorage): void {
  let berth: TestBerth;
  let other: TestBerth;
  let client: RegistryClient;
  let storage: StorageObserver;

  beforeAll(async () => {
    berth = await startTestBerth(environment);
    other = await startTestBerth({ ...environment, DATABASE_URL: berth.databaseUrl });
    await Promise.all([berth, other].map(stopJobs));
    storage = new StorageObserver(berth.driver);
    client = new RegistryClient(berth.url);
  });
  afterAll(() => other.dispose());
  afterAll(() => berth.dispose());
  afterEach(async () => {
    await query('DELETE FROM uploads');
    await query('DELETE FROM upload_events');
    await removeUploads(berth.driver);
  });

  const query = <Row>(sql: string, parameters: unknown[] = []) =>
    queryRows<Row>(berth.database.dataSource.manager, sql, parameters);
  const reap = (who = berth) => runReaper(who);
  const idOf = (location: string) => String(location.split('/').at(-1));
  const unfinished = () => unfinishedUploads(berth.driver);
  const rowOf = async (location: string) => {
    const sql = 'SELECT state, holds_bytes FROM uploads WHERE id = $1';
    return (await query<{ state: string; holds_bytes: boolean }>(sql, [idOf(location)]))[0];
  };
  const driverStateOf = async (location: string) => {
    const sql = 'SELECT driver_state FROM uploads WHERE id = $1';
    const [row] = await query<{ driver_state: DriverUploadState }>(sql, [idOf(location)]);
    return row?.driver_state ?? {};
  };
  /** Makes a session idle for that long. */
  const age = (location: string, seconds: number) =>
    query(`UPDATE uploads SET updated_at = now() - $2::float8 * interval '1 second' WHERE id = $1`, [
      idOf(location),
      seconds,
    ]);
  const begun = async (content: Uint8Array = LAYER) => {
    const location = await client.startUpload(freshName());
    expect((await client.patch(location, content)).status).toBe(202);
    return location;
  };

  /** Until the returned function is called, commits fail between the storage's part and the database's. */
  const killedAfterFinishing = () => {
    const finish = berth.driver.finishUpload.bind(berth.driver);
    const driver = berth.driver as { finishUpload?: unknown };
    driver.finishUpload = async (...call: Parameters<typeof finish>) => {
      await finish(...call);
      throw new StorageError('the process was killed here');
    };
    return () => {
      delete driver.finishUpload;
    };
  };

  it('expires idle sessions and removes their bytes, and nothing else', async () => {
    const idle = await begun();
    const fresh = await begun();
    await age(idle, 7 * DAY_SECONDS + 60);
    await age(fresh, 7 * DAY_SECONDS - 60);
    await reap();
    expect(await unfinished()).toEqual([idOf(fresh)]);
    expect((await client.fetch(idle)).status).toBe(404);
    expect((await client.patch(idle, 'more')).status).toBe(404);
    expect((await client.fetch(fresh)).status).toBe(204);
    expect(await rowOf(idle)).toEqual({ state: 'expired', holds_bytes: false });
    expect(await eventsOf(berth, idle)).toEqual(['started', 'expired']);
  });

  it('never expires a session with a writer', async () => {
    const probe = await UploadProbe.begin(berth.url, storage.endOf);
    const patch = probe.patch(berth.url);
    await patch.send(patternBytes(1000));
    await probe.bytesWritten(1000);
    await age(probe.location, 8 * DAY_SECONDS);
    await reap();
    await patch.send(patternBytes(1000));
    patch.end();
    expect(await patch.status).toBe(202);
    expect(await probe.offset(berth.url)).toBe(2000);
  });

  it('fences a writer whose lease and session have lapsed', async () => {
    const probe = await UploadProbe.begin(berth.url, storage.endOf);
    const patch = probe.patch(berth.url);
    await patch.send(patternBytes(1000));
    await probe.bytesWritten(1000);
    await age(probe.location, 8 * DAY_SECONDS);
    await query(`UPDATE uploads SET lease_expires_at = now() - interval '1 s'`);
    await reap();
    patch.end();
    expect(await patch.status).toBe(429);
    expect((await client.fetch(probe.location)).status).toBe(404);
    expect(await unfinished()).toEqual([]);
  });

  it('expires each session once, even if several runs overlap', async () => {
    const idle = await Promise.all(Array.from({ length: 20 }, () => begun()));
    await query(`UPDATE uploads SET updated_at = now() - interval '8 days'`);
    await Promise.all([reap(), reap(other), reap(), reap(other)]);
    const [counted] = await query<{ count: string }>(
      `SELECT count(*) FROM upload_events WHERE kind = 'expired'`,
    );
    expect(Number(counted?.count)).toBe(idle.length);
    expect(await unfinished()).toEqual([]);
  });

  it('completes a commit that was cut off after the storage’s part', async () => {
    const name = freshName();
    const blob = patternBytes(1000, 21);
    const location = await client.startUpload(name);
    await client.patch(location, blob);
    const repaired = killedAfterFinishing();
    expect((await client.commit(location, digestOf(blob))).status).toBe(500);
    repaired();
    // Its client may retry soon.
    await reap(other);
    expect(await rowOf(location)).toMatchObject({ state: 'committing' });
    await age(location, 60);
    await reap(other);
    expect(await rowOf(location)).toEqual({ state: 'committed', holds_bytes: false });
    expect((await client.blob(name, digestOf(blob))).equals(blob)).toBe(true);
    expect((await client.commit(location, digestOf(blob))).status).toBe(201);
  });

  it('completes a commit that was cut off before the storage’s part', async () => {
    const name = freshName();
    const blob = patternBytes(1000, 22);
    const location = await client.startUpload(name);
    await client.patch(location, blob);
    const driver = berth.driver as { finishUpload?: unknown };
    driver.finishUpload = () => Promise.reject(new StorageError('the process was killed here'));
    expect((await client.commit(location, digestOf(blob))).status).toBe(500);
    delete driver.finishUpload;
    await age(location, 60);
    await reap();
    expect((await client.blob(name, digestOf(blob))).equals(blob)).toBe(true);
  });

  it('retries a commit that keeps failing once per round, and expires it in the end', async () => {
    const location = await begun();
    const driver = berth.driver as { finishUpload?: unknown };
    driver.finishUpload = () => Promise.reject(new UploadStateError('its bytes are lost'));
    expect((await client.commit(location, digestOf(LAYER))).status).toBe(400);
    await age(location, 7 * DAY_SECONDS - 60);
    const tries = async () => {
      const sql = 'SELECT version FROM uploads WHERE id = $1';
      return Number((await query<{ version: string }>(sql, [idOf(location)]))[0]?.version);
    };
    const before = await tries();
    await reap();
    expect([await tries(), await rowOf(location)]).toMatchObject([before + 1, { state: 'committing' }]);
    // The retry did not make the session younger.
    await query(`UPDATE uploads SET updated_at = updated_at - interval '2 minutes'`);
    await reap();
    delete driver.finishUpload;
    expect(await rowOf(location)).toEqual({ state: 'expired', holds_bytes: false });
  });

  it('removes the object of a commit that was cut off and then cancelled', async () => {
    const blob = patternBytes(1000, 23);
    const location = await client.startUpload(freshName());
    await client.patch(location, blob);
    const repaired = killedAfterFinishing();
    expect((await client.commit(location, digestOf(blob))).status).toBe(500);
    repaired();
    // The storage fails once more, while the session is cancelled.
    const driver = berth.driver as { delete?: unknown };
    driver.delete = () => Promise.reject(new StorageError('not now'));
    expect((await client.fetch(location, { method: 'DELETE' })).status).toBe(204);
    delete driver.delete;
    expect(await rowOf(location)).toEqual({ state: 'cancelled', holds_bytes: true });
    await age(location, 60);
    await reap();
    expect(await rowOf(location)).toEqual({ state: 'cancelled', holds_bytes: false });
    const objects = await storedObjects(berth.driver);
    expect(objects.filter((key) => key.endsWith(idOf(location)))).toEqual([]);
  });

  it('removes bytes that the storage could not remove when the session ended', async () => {
    const location = await begun();
    const driver = berth.driver as { abortUpload?: unknown };
    driver.abortUpload = () => Promise.reject(new StorageError('not now'));
    expect((await client.fetch(location, { method: 'DELETE' })).status).toBe(204);
    delete driver.abortUpload;
    expect(await unfinished()).toEqual([idOf(location)]);
    await reap();
    expect(await unfinished()).toEqual([idOf(location)]);
    await age(location, 60);
    await reap();
    expect(await unfinished()).toEqual([]);
  });

  it('removes old bytes without a session', async () => {
    const live = await begun();
    const unknown = await begun();
    await query('DELETE FROM uploads WHERE id = $1', [idOf(unknown)]);
    await reap();
    expect(await unfinished()).toEqual([idOf(live), idOf(unknown)].sort());
    await withAgedUploads(berth.driver, 2 * 3600, reap);
    expect(await unfinished()).toEqual([idOf(live)]);
    expect((await client.commit(live, digestOf(LAYER))).status).toBe(201);
  });

  it('removes the bytes of a writer that was killed before it recorded them', async () => {
    const location = await client.startUpload(freshName());
    const upload = { id: idOf(location), state: await driverStateOf(location) };
    const killed = await berth.driver.openUpload(upload, 0);
    for (let part = 0; part < 3; part += 1) await killed.write(randomBytes(4_000_000));
    await killed.flush();
    await killed.close();
    expect(await unfinished()).toEqual([upload.id]);
    await age(location, 7 * DAY_SECONDS + 60);
    await withAgedUploads(berth.driver, 2 * 3600, reap);
    expect(await unfinished()).toEqual([]);
  });

  it('removes bytes that a frozen writer writes after the session has expired', async () => {
    const location = await client.startUpload(freshName());
    const upload = { id: idOf(location), state: await driverStateOf(location) };
    const frozen = await berth.driver.openUpload(upload, 0);
    await frozen.write(randomBytes(6_000_000));
    await age(location, 7 * DAY_SECONDS + 60);
    await withAgedUploads(berth.driver, 2 * 3600, reap);
    expect(await rowOf(location)).toEqual({ state: 'expired', holds_bytes: false });

    // Some storages refuse this, others create the removed bytes again.
    const writes = async () => {
      await frozen.write(randomBytes(6_000_000));
      await frozen.flush();
    };
    await writes().catch(() => undefined);
    await frozen.close();
    await withAgedUploads(berth.driver, 2 * 3600, reap);
    expect(await unfinished()).toEqual([]);
    expect((await storedObjects(berth.driver)).filter((key) => key.endsWith(upload.id))).toEqual([]);
  });

  it('deletes finished sessions and old events after their retention', async () => {
    const location = await client.startUpload(freshName());
    await client.patch(location, 'content');
    await client.commit(location, digestOf('content'));
    await reap();
    // A client whose response was lost may retry.
    expect((await client.commit(location, digestOf('content'))).status).toBe(201);
    await age(location, 7 * DAY_SECONDS + 60);
    await reap();
    expect(await rowOf(location)).toBeUndefined();
    expect(await eventsOf(berth, location)).toEqual(['started', 'committed']);
    await query(`UPDATE upload_events SET happened_at = now() - interval '31 days'`);
    await reap();
    expect(await eventsOf(berth, location)).toEqual([]);
  });

  it('continues after a session that it cannot clean up', async () => {
    const [broken, fine] = [await begun(), await begun()];
    await query(`UPDATE uploads SET updated_at = now() - interval '8 days'`);
    await query(`UPDATE uploads SET driver_state = '"nonsense"' WHERE id = $1`, [idOf(broken)]);
    await reap();
    expect(await rowOf(fine)).toEqual({ state: 'expired', holds_bytes: false });
    expect(await rowOf(broken)).toEqual({ state: 'expired', holds_bytes: true });
  });
}
