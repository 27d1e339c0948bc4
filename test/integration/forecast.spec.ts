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

/** These go with manifests without a tag, and with what follows them. */
const OWN = {
  child: layer('0', 10),
  late: layer('1', 20),
  referrer: layer('2', 40),
  signature: layer('3', 80),
  image: layer('4', 160),
  twoImages: layer('5', 320),
};
/** These stay, because something with a tag needs them, in the last case in another repository. */
const [KEPT, OF_SHARED_CHILD, ELSEWHERE] = [layer('k', 640), layer('x', 5), layer('e', 1280)];

describe('what collections will delete', () => {
  let berth: TestBerth;
  let client: RegistryClient;
  let admin: AdminClient;

  beforeAll(async () => {
    // The collector runs only when a test asks for it.
    berth = await startTestBerth({ GC_INTERVAL_SECONDS: '0', MANIFEST_MISSING_REFERENCES: 'accept' });
    listen();
    await makeGarbage();
    await makeUntagged();
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
    const index = await pushIndex('index', children, 'latest');
    await remove('index', index);
    await remove('index', String(children[0]));
  }

  /** Pushes an index, without a tag if none is given. */
  async function pushIndex(name: string, children: readonly string[], tag?: string): Promise<string> {
    const manifests = children.map((digest) => ({ mediaType: OCI_MANIFEST, digest, size: 1 }));
    const index = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
    const headers = { 'Content-Type': OCI_INDEX };
    expect((await client.putManifest(name, tag ?? digestOf(index), index, headers)).status).toBe(201);
    return digestOf(index);
  }

  async function pushUntagged(layers: readonly string[], extra: Record<string, unknown> = {}) {
    const image = JSON.stringify(await client.makeImage('untagged', layers, extra));
    expect((await client.putManifest('untagged', digestOf(image), image)).status).toBe(201);
    return digestOf(image);
  }

  /** What is collected only if GC_UNTAGGED_SECONDS says so. */
  async function makeUntagged(): Promise<void> {
    await pushImage('shares', '2.0', [SHARED, SHARED]);
    await remove('shares', '2.0');
    await pushImage('elsewhere', '1.0', [ELSEWHERE]);
    await pushImage('untagged', 'kept', [KEPT]);
    const child = await pushUntagged([OWN.child, KEPT, ELSEWHERE]);
    const shared = await pushUntagged([KEPT, OF_SHARED_CHILD]);
    await pushIndex('untagged', [shared], 'index');
    const late = digestOf(JSON.stringify(await client.makeImage('untagged', [OWN.late])));
    const index = await pushIndex('untagged', [child, shared, late]);
    await pushUntagged([OWN.late]);
    await pushUntagged([OWN.referrer], { subject: { mediaType: OCI_INDEX, digest: index, size: 1 } });
    await pushImage('untagged', `${index.replace(':', '-')}.sig`, [OWN.signature]);
    await pushUntagged([OWN.image, OWN.twoImages]);
    await pushUntagged([OWN.twoImages]);
  }

  /** The image of `shares`, the index, and the two that share a layer; the others follow the index. */
  const UNTAGGED = { count: 4, bytes: Object.values(OWN).join('').length };

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
      untagged: { enabled: false, ...UNTAGGED },
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

  /** What the registry has. */
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

  it('is what a run then does, to the byte', async () => {
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

  it('is what a run then does with manifests without a tag, to the byte', async () => {
    await berth.restart({ ...NO_WINDOWS, GC_UNTAGGED_SECONDS: '1' });
    listen();
    expect((await garbage()).stages.untagged).toEqual({ enabled: true, ...UNTAGGED });
    // As if a second had passed.
    await query(`UPDATE manifests SET pushed_at = pushed_at - interval '1 s'`);
    await query(`UPDATE tag_events SET happened_at = happened_at - interval '1 s'`);
    const before = await stored();
    expect(await collect()).toMatchObject({ untagged: UNTAGGED.count, followers: 4, followerTags: 1 });
    expect(before.bytesFreed - (await stored()).bytesFreed).toBe(UNTAGGED.bytes);
    expect((await garbage()).stages.untagged).toEqual({ enabled: true, count: 0, bytes: 0 });
  });
});
