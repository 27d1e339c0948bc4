import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Forecast, RepositoryForecast } from '../../src/collection/forecast/forecast.js';
import { queryRows } from '../../src/database/query-rows.js';
import { AdminClient } from '../support/admin-client.js';
import { digestOf, OCI_INDEX, OCI_MANIFEST, RegistryClient } from '../support/registry-client.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { until } from '../support/until.js';

const DAY_MS = 24 * 60 * 60 * 1000;
const NO_WINDOWS = { GC_UNDELETE_SECONDS: '0', GC_GRACE_SECONDS: '0', GC_READ_WINDOW_SECONDS: '0' };

/** Layers of different sizes, so that sums tell which of them they have. */
const layer = (letter: string, size: number) => letter.repeat(size);
const [SHARED, LIVE, DELETED, UNNEEDED, OF_DELETED_REPOSITORY, CHILD, OTHER_CHILD] = [
  ...[layer('s', 100), layer('l', 200), layer('d', 400), layer('u', 800)],
  ...[layer('r', 1600), layer('c', 3200), layer('o', 6400)],
] as const;
/** The config of each image: `{}`. */
const CONFIG = 2;

describe('what collections will delete', () => {
  let berth: TestBerth;
  let client: RegistryClient;
  let admin: AdminClient;

  beforeAll(async () => {
    // The collector runs only when a test asks for it.
    berth = await startTestBerth({ GC_INTERVAL_SECONDS: '0' });
    listen();
    await makeGarbage();
    await collect();
  });
  afterAll(() => berth.dispose());

  function listen(): void {
    client = new RegistryClient(berth.url);
    admin = new AdminClient(client);
  }

  const garbage = () => admin.get<Forecast>('/garbage');
  const query = <Row>(sql: string, parameters: unknown[] = []) =>
    queryRows<Row>(berth.database.dataSource.manager, sql, parameters);

  /** Runs the collector and returns its progress. */
  async function collect(dryRun = false): Promise<Record<string, number>> {
    const { id } = await admin.call<{ id: string }>('POST', '/jobs/collect/runs', 202, { dryRun });
    let run: { state: string; endedAt: string | null; progress: Record<string, number> } | undefined;
    await until('the run has ended', async () => {
      run = await admin.get(`/job-runs/${id}`);
      return run?.endedAt !== null;
    });
    expect(run).toMatchObject({ state: 'succeeded', error: null });
    return run?.progress ?? {};
  }

  async function pushImage(name: string, tag: string, layers: readonly string[]): Promise<string> {
    const image = JSON.stringify(await client.makeImage(name, layers));
    expect((await client.putManifest(name, tag, image)).status).toBe(201);
    return digestOf(image);
  }

  async function remove(name: string, reference: string): Promise<void> {
    const { status } = await client.fetch(`/v2/${name}/manifests/${reference}`, { method: 'DELETE' });
    expect(status).toBe(202);
  }

  async function makeGarbage(): Promise<void> {
    await pushImage('live', '1.0', [SHARED, LIVE]);
    await remove('live', await pushImage('live', '2.0', [LIVE, DELETED]));
    await client.pushBlob('live', UNNEEDED);
    await pushImage('shares', '1.0', [SHARED]);
    await pushImage('gone', '1.0', [SHARED, OF_DELETED_REPOSITORY]);
    await admin.call('DELETE', '/repositories/gone', 200);
    // An index, a child that was deleted after it, and another one that follows it.
    const children = await Promise.all(
      [CHILD, OTHER_CHILD].map(async (text) => pushImage('index', `of-${text[0]}`, [text])),
    );
    for (const text of [CHILD, OTHER_CHILD]) await remove('index', `of-${text[0]}`);
    const manifests = children.map((digest) => ({ mediaType: OCI_MANIFEST, digest, size: 1 }));
    const index = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
    await client.putManifest('index', 'latest', index, { 'Content-Type': OCI_INDEX });
    await remove('index', digestOf(index));
    await remove('index', String(children[0]));
    // Lost its tag, and is collected only if GC_UNTAGGED_SECONDS says so.
    await pushImage('shares', '2.0', [SHARED, SHARED]);
    await remove('shares', '2.0');
  }

  const unlinkedBytes = {
    live: DELETED.length + UNNEEDED.length,
    gone: CONFIG + SHARED.length + OF_DELETED_REPOSITORY.length,
    index: CONFIG + CHILD.length + OTHER_CHILD.length,
  };
  const AFTER = {
    links: 2 + 3 + 3,
    bytesUnlinked: unlinkedBytes.live + unlinkedBytes.gone + unlinkedBytes.index,
    blobs: 5,
    objects: 5,
    bytesFreed: [DELETED, UNNEEDED, OF_DELETED_REPOSITORY, CHILD, OTHER_CHILD].join('').length,
  };
  const NOTHING = { links: 0, bytesUnlinked: 0, blobs: 0, objects: 0, bytesFreed: 0 };

  it('tells how much goes, why and when, per stage and per repository', async () => {
    const { now, afterWindows, stages, repositories, isComplete, measuredAt } = await garbage();
    expect({ isComplete, now, afterWindows }).toEqual({
      isComplete: true,
      now: NOTHING,
      afterWindows: AFTER,
    });
    const none = { count: 0, bytes: 0, nextAt: null, lastAt: null };
    expect(stages).toMatchObject({
      untagged: { enabled: false, count: 1 },
      followers: { count: 0 },
      deletions: { count: 4, bytes: AFTER.bytesUnlinked - UNNEEDED.length },
      links: { count: 1, bytes: UNNEEDED.length },
      blobs: none,
      objects: { ...none, failing: 0, lastError: null },
    });
    const daysUntil = (time: string | null) =>
      Math.round((Date.parse(String(time)) - Date.parse(measuredAt)) / DAY_MS);
    expect([stages.deletions.nextAt, stages.deletions.lastAt, stages.links.nextAt].map(daysUntil)).toEqual([
      7, 7, 1,
    ]);

    const of = (name: string): RepositoryForecast | undefined =>
      repositories.find(({ repository }) => repository === name);
    expect(repositories.map(({ repository }) => repository)).toEqual(['index', 'gone', 'live']);
    expect(of('live')).toMatchObject({
      isDeleted: false,
      now: { links: 0, bytesUnlinked: 0, bytesFreed: 0 },
      afterWindows: { links: 2, bytesUnlinked: unlinkedBytes.live, bytesFreed: unlinkedBytes.live },
      reasons: { unneeded: UNNEEDED.length, deleted: DELETED.length, repository: 0 },
    });
    expect(of('gone')).toMatchObject({
      isDeleted: true,
      afterWindows: { bytesUnlinked: unlinkedBytes.gone, bytesFreed: OF_DELETED_REPOSITORY.length },
      reasons: { unneeded: 0, deleted: 0, repository: unlinkedBytes.gone },
    });
    expect(of('index')).toMatchObject({
      afterWindows: { bytesUnlinked: unlinkedBytes.index, bytesFreed: CHILD.length + OTHER_CHILD.length },
    });
    // The grace of what only a deletion keeps begins when that ends.
    expect([of('live')?.nextAt, of('live')?.lastAt].map((time) => daysUntil(time ?? null))).toEqual([1, 8]);
    expect(daysUntil(of('gone')?.lastAt ?? null)).toBe(7);
  });

  it('is what a run then does, to the byte', async () => {
    const stored = async () => {
      const [links] = await query<{ n: number; bytes: number }>(
        `SELECT count(*)::float8 AS n, sum(b.size_bytes)::float8 AS bytes
           FROM repository_blobs l JOIN blobs b ON b.id = l.blob_id`,
      );
      const [blobs] = await query<{ n: number }>('SELECT count(*)::float8 AS n FROM blobs');
      const root = join(berth.dataDir, 'storage', 'blobs');
      const entries = await readdir(root, { recursive: true, withFileTypes: true });
      const files = entries.filter((entry) => entry.isFile());
      const sizes = await Promise.all(files.map(({ parentPath, name }) => stat(join(parentPath, name))));
      return {
        links: links?.n ?? 0,
        bytesUnlinked: links?.bytes ?? 0,
        blobs: blobs?.n ?? 0,
        objects: files.length,
        bytesFreed: sizes.reduce((sum, { size }) => sum + size, 0),
      };
    };
    const before = await stored();
    await berth.restart(NO_WINDOWS);
    listen();
    const { now, afterWindows } = await garbage();
    expect([now, afterWindows]).toEqual([AFTER, AFTER]);
    const progress = await collect(true);
    expect(progress).toMatchObject({
      'now.bytesUnlinked': AFTER.bytesUnlinked,
      'now.bytesFreed': AFTER.bytesFreed,
      'afterWindows.bytesFreed': AFTER.bytesFreed,
    });
    expect(await stored()).toEqual(before);

    await collect();
    const after = await stored();
    const names = Object.keys(NOTHING) as (keyof typeof NOTHING)[];
    expect(Object.fromEntries(names.map((name) => [name, before[name] - after[name]]))).toEqual(AFTER);
    expect(await garbage()).toMatchObject({ now: NOTHING, afterWindows: NOTHING, repositories: [] });
  });
});
