import { randomUUID } from 'node:crypto';
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { UploadClock1764240000000 } from '../../src/database/migrations/1764240000000-upload-clock.js';
import { queryRows } from '../../src/database/query-rows.js';
import { abortable } from '../../src/storage/abortable.js';
import type { IoOptions } from '../../src/storage/storage-driver.js';
import { StorageError } from '../../src/storage/storage.errors.js';
import { UploadClock } from '../../src/maintenance/upload-clock.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { describeOn } from '../support/storages.js';
import { freshName } from '../support/fresh-name.js';
import { reap as runReaper, TestRun } from '../support/run-job.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { eventsOf } from '../support/upload-events.js';
import { patternBytes, UploadProbe } from '../support/upload-probe.js';
import { StorageObserver } from './support/storage-observer.js';
import { reaperContract } from './reaper.contract.js';

const DAY_SECONDS = 24 * 60 * 60;

describeOn('filesystem', 'the reaper', reaperContract);

describe('the reaper of files', () => {
  it('removes old files without a session, and no file of anything else', async () => {
    const berth = await startTestBerth();
    try {
      const client = new RegistryClient(berth.url);
      const uploads = join(berth.dataDir, 'storage/uploads');
      const location = await client.startUpload(freshName());
      await client.patch(location, 'never finished');
      const live = String(location.split('/').at(-1));
      const put = async (name: string, ageSeconds: number) => {
        const path = join(uploads, name);
        await writeFile(path, 'bytes');
        const then = Date.now() / 1000 - ageSeconds;
        await utimes(path, then, then);
        return name;
      };
      await utimes(join(uploads, live), 0, 0);
      await put(randomUUID(), 2 * 3600);
      const young = await put(randomUUID(), 60);
      const foreign = await put('notes-of-an-operator', 30 * DAY_SECONDS);
      await runReaper(berth);
      expect((await readdir(uploads)).sort()).toEqual([live, young, foreign].sort());
      expect(await readFile(join(uploads, live), 'utf8')).toBe('never finished');
    } finally {
      await berth.dispose();
    }
  });
});

describe('the reaper of one registry', () => {
  let berth: TestBerth;
  let client: RegistryClient;

  beforeAll(async () => {
    berth = await startTestBerth({ UPLOAD_TTL_SECONDS: '600', UPLOAD_EVENT_RETENTION_SECONDS: '3600' });
    client = new RegistryClient(berth.url);
  });
  afterAll(() => berth.dispose());
  beforeEach(async () => {
    for (const table of ['uploads', 'upload_events', 'upload_clock']) await query(`DELETE FROM ${table}`);
    // The clock was correct until now.
    await query(
      `INSERT INTO upload_clock (seconds, seen_at)
       VALUES ($1, now() - $2::float8 * interval '1 s'), (0, now())`,
      [-30 * DAY_SECONDS, 30 * DAY_SECONDS],
    );
  });

  const query = <Row>(sql: string, parameters: unknown[] = []) =>
    queryRows<Row>(berth.database.dataSource.manager, sql, parameters);
  const reap = (run?: TestRun) => runReaper(berth, run);
  const count = async (table: string) => {
    const [row] = await query<{ count: string }>(`SELECT count(*) FROM ${table}`);
    return Number(row?.count);
  };
  /** Moves all times of the database, as if its clock had been advanced. */
  const advanceClock = async (seconds: number) => {
    const earlier = (column: string) => `${column} = ${column} - $1::float8 * interval '1 second'`;
    await query(`UPDATE uploads SET ${earlier('updated_at')}, ${earlier('lease_expires_at')}`, [seconds]);
    await query(`UPDATE upload_events SET ${earlier('happened_at')}`, [seconds]);
    await query(`UPDATE upload_clock SET ${earlier('seen_at')}`, [seconds]);
  };

  it('neither expires nor deletes anything because the database’s clock jumps', async () => {
    const idle = await client.startUpload(freshName());
    expect((await client.patch(idle, 'some')).status).toBe(202);
    await reap();
    for (const seconds of [30 * DAY_SECONDS, -60 * DAY_SECONDS, 30 * DAY_SECONDS]) {
      await advanceClock(seconds);
      await reap();
      await reap();
      expect((await client.fetch(idle)).status).toBe(204);
      expect(await eventsOf(berth, idle)).toEqual(['started']);
    }
    expect((await client.patch(idle, 'more')).status).toBe(202);
  });

  it('lets a writer continue when the clock jumps past its lease', async () => {
    const probe = await UploadProbe.begin(berth.url, new StorageObserver(berth.driver).endOf);
    const patch = probe.patch(berth.url);
    await patch.send(patternBytes(1000));
    await probe.bytesWritten(1000);
    await advanceClock(30 * DAY_SECONDS);
    await reap();
    await patch.send(patternBytes(1000));
    patch.end();
    expect(await patch.status).toBe(202);
    expect(await probe.offset(berth.url)).toBe(2000);
  });

  it('expires a session after its idle time, also across a clock jump', async () => {
    const idle = await client.startUpload(freshName());
    await reap();
    await advanceClock(30 * DAY_SECONDS);
    // A jump counts for at most two minutes.
    for (let minutes = 0; minutes < 7; minutes += 1) {
      await reap();
      await advanceClock(60);
    }
    expect((await client.fetch(idle)).status).toBe(204);
    for (let minutes = 0; minutes < 4; minutes += 1) {
      await reap();
      await advanceClock(60);
    }
    await reap();
    expect((await client.fetch(idle)).status).toBe(404);
  });

  it('counts idle time once for several replicas, and none while no replica ran', async () => {
    const idle = await client.startUpload(freshName());
    for (let minutes = 0; minutes < 8; minutes += 1) {
      await Promise.all([
        reap(),
        berth.app.get(UploadClock).observe(60),
        berth.app.get(UploadClock).observe(60),
      ]);
      await advanceClock(60);
    }
    await berth.restart();
    client = new RegistryClient(berth.url);
    await advanceClock(DAY_SECONDS);
    await reap();
    expect((await client.fetch(idle)).status).toBe(204);
  });

  it('cleans up thousands of rows', async () => {
    const SESSIONS = 2_050;
    const ROWS = 20_500;
    const location = await client.startUpload(freshName());
    const copy = (state: string, holdsBytes: boolean, rows: number) =>
      query(
        `INSERT INTO uploads (id, repository, state, midstates, driver_state, holds_bytes, updated_at)
         SELECT gen_random_uuid(), repository, $2, midstates, driver_state, $3, now() - interval '1 hour'
           FROM uploads, generate_series(1, $4) WHERE id = $1`,
        [location.split('/').at(-1), state, holdsBytes, rows],
      );
    await copy('open', true, SESSIONS);
    await copy('committed', false, ROWS);
    await query(
      `INSERT INTO upload_events (upload_id, kind, offset_bytes, replica, happened_at)
       SELECT gen_random_uuid(), 'started', 0, 'a', now() - interval '1 day' FROM generate_series(1, $1)`,
      [ROWS],
    );
    await reap();
    const [left] = await query<{ open: string; holding: string }>(
      `SELECT count(*) FILTER (WHERE state = 'open') AS open,
              count(*) FILTER (WHERE holds_bytes) AS holding
         FROM uploads`,
    );
    // The copied one.
    expect(left).toEqual({ open: '1', holding: '1' });
    // What was expired is forgotten after its time.
    expect(await count('uploads')).toBeLessThanOrEqual(1 + SESSIONS);
    expect(await count(`upload_events WHERE kind = 'started'`)).toBe(1);
  });

  it('corrects times that a fast clock left, so that the session can expire', async () => {
    await advanceClock(-30 * DAY_SECONDS);
    const abandoned = await client.startUpload(freshName());
    const over = await client.startUpload(freshName());
    await client.fetch(over, { method: 'DELETE' });
    // The process that wrote to it has ended.
    await query(
      `UPDATE uploads SET lease_holder = 'gone', lease_expires_at = now() + interval '15 s' WHERE id = $1`,
      [abandoned.split('/').at(-1)],
    );
    await advanceClock(-30 * DAY_SECONDS);
    await reap();
    const [ahead] = await query<{ count: string }>(
      `SELECT count(*) FROM uploads
        WHERE updated_at > now() OR lease_expires_at > now() + interval '1 minute'`,
    );
    expect(ahead).toEqual({ count: '0' });
    for (let minutes = 0; minutes < 9; minutes += 1) {
      await advanceClock(60);
      await reap();
    }
    expect((await client.fetch(abandoned)).status).toBe(204);
    for (let minutes = 0; minutes < 3; minutes += 1) {
      await advanceClock(60);
      await reap();
    }
    expect((await client.fetch(abandoned)).status).toBe(404);
    expect(await count(`uploads WHERE id = '${over.split('/').at(-1)}'`)).toBe(0);
  });

  it('keeps a session that was written to while the clock was behind', async () => {
    await reap();
    await advanceClock(-60 * DAY_SECONDS);
    const written = await client.startUpload(freshName());
    await reap();
    await advanceClock(60 * DAY_SECONDS);
    await reap();
    await reap();
    expect((await client.fetch(written)).status).toBe(204);
  });

  it('repairs a few commits at a time, each once', async () => {
    const name = freshName();
    const driver = berth.driver as { finishUpload?: unknown };
    const finish = berth.driver.finishUpload.bind(driver);
    driver.finishUpload = () => Promise.reject(new StorageError('the process was killed here'));
    const blobs = Array.from({ length: 9 }, (_, seed) => patternBytes(1000, 100 + seed));
    for (const blob of blobs) {
      const location = await client.startUpload(name);
      await client.patch(location, blob);
      expect((await client.commit(location, digestOf(blob))).status).toBe(500);
    }
    await query(`UPDATE uploads SET updated_at = now() - interval '1 minute'`);
    const figures = { calls: 0, busy: 0, most: 0 };
    driver.finishUpload = async (...call: Parameters<typeof finish>) => {
      figures.calls += 1;
      figures.busy += 1;
      figures.most = Math.max(figures.most, figures.busy);
      await sleep(200);
      figures.busy -= 1;
      return finish(...call);
    };
    try {
      await reap();
    } finally {
      delete driver.finishUpload;
    }
    expect(figures.calls).toBe(9);
    expect([2, 3, 4]).toContain(figures.most);
    for (const blob of blobs) expect((await client.blob(name, digestOf(blob))).equals(blob)).toBe(true);
  });

  it('does not wait forever for a storage that hangs', async () => {
    const driver = berth.driver as { readIdentity?: unknown };
    const timeout = jest.spyOn(AbortSignal, 'timeout').mockImplementation(() => {
      const given = new AbortController();
      setTimeout(() => given.abort(new DOMException('too late', 'TimeoutError')), 50);
      return given.signal;
    });
    driver.readIdentity = (options: IoOptions = {}) => abortable(options, () => new Promise(() => undefined));
    try {
      await expect(reap()).rejects.toThrow(/did not return its identity within 30 s/);
      expect(timeout).toHaveBeenCalledWith(30_000);
    } finally {
      timeout.mockRestore();
      delete driver.readIdentity;
    }
    const idle = await client.startUpload(freshName());
    await query(`UPDATE uploads SET updated_at = now() - interval '1 hour'`);
    await reap();
    expect((await client.fetch(idle)).status).toBe(404);
  });

  it('expires sessions that were idle before idle time was counted', async () => {
    const idle = await client.startUpload(freshName());
    await query('DROP TABLE upload_clock');
    await berth.database.dataSource.transaction(async (manager) => {
      if (manager.queryRunner !== undefined) await new UploadClock1764240000000().up(manager.queryRunner);
    });
    await query(`UPDATE uploads SET updated_at = now() - interval '1 hour'`);
    const clock = berth.app.get(UploadClock);
    await clock.observe(60);
    await advanceClock(60);
    await clock.observe(60);
    await reap();
    expect((await client.fetch(idle)).status).toBe(404);
  });

  it('gives every part its turn, and stops at once', async () => {
    const location = await client.startUpload(freshName());
    await query(
      `INSERT INTO uploads (id, repository, state, midstates, driver_state, holds_bytes, updated_at)
       SELECT gen_random_uuid(), repository, 'open', midstates, driver_state, true, now() - interval '1 hour'
         FROM uploads, generate_series(1, 1000) WHERE id = $1`,
      [location.split('/').at(-1)],
    );
    await query(
      `INSERT INTO upload_events (upload_id, kind, offset_bytes, replica, happened_at)
       SELECT gen_random_uuid(), 'started', 0, 'a', now() - interval '1 day' FROM generate_series(1, 10)`,
    );
    const run = new TestRun();
    const driver = berth.driver as { abortUpload?: unknown };
    const abort = berth.driver.abortUpload.bind(driver);
    let aborted = 0;
    let eventsLeft = Infinity;
    driver.abortUpload = async (...call: Parameters<typeof abort>) => {
      aborted += 1;
      // The second batch of sessions: the events had their turn before it.
      if (aborted === 150)
        eventsLeft = await count(`upload_events WHERE happened_at < now() - interval '1 hour'`);
      if (aborted === 250) run.stop();
      return abort(...call);
    };
    try {
      await reap(run);
    } finally {
      delete driver.abortUpload;
    }
    expect(eventsLeft).toBe(0);
    expect(aborted).toBeLessThan(300);
    await berth.restart();
    client = new RegistryClient(berth.url);
    await reap();
    expect(await count(`uploads WHERE state = 'open'`)).toBe(1);
  });
});
