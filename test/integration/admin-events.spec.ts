import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AdminClient } from '../support/admin-client.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';

interface Event {
  kind: string;
  tag: string;
  fromDigest: string | null;
  toDigest: string | null;
  actor: string | null;
  clientAddress: string;
  happenedAt: string;
}

interface UploadEvent extends Event {
  offsetBytes: number;
  replica: string;
  durationSeconds: number | null;
  detail: string | null;
}

describe('admin API: events', () => {
  let berth: TestBerth;
  let client: RegistryClient;
  let admin: AdminClient;
  const name = 'team/app';
  const path = '/repositories/team%2Fapp';
  let first: string;
  let second: string;

  /** `latest` is pushed, moved and deleted together with its manifest; `1.0` stays. Then they get times. */
  beforeAll(async () => {
    berth = await startTestBerth();
    client = new RegistryClient(berth.url);
    admin = new AdminClient(client);
    const [one, two] = [
      JSON.stringify(await client.makeImage(name, ['one'])),
      JSON.stringify(await client.makeImage(name, ['two'])),
    ];
    [first, second] = [digestOf(one), digestOf(two)];
    for (const [tag, manifest] of [
      ['latest', one],
      ['1.0', one],
      ['latest', two],
      // Nothing changes.
      ['latest', two],
    ] as const)
      expect((await client.putManifest(name, tag, manifest)).status).toBe(201);
    const deletion = await client.fetch(`/v2/${name}/manifests/${second}`, { method: 'DELETE' });
    expect(deletion.status).toBe(202);
    expect((await client.putManifest('other/app', '1.0', await client.makeImage('other/app'))).status).toBe(
      201,
    );
  });
  afterAll(() => berth.dispose());

  const kinds = async (of: string, limit = 100) =>
    (await admin.pages<Event>(`${path}${of}`, limit)).flat().map(({ tag, kind }) => `${tag} ${kind}`);

  it("returns a tag's history, newest first: from what to what, by whom and from where", async () => {
    const { items, nextCursor } = await admin.get<{ items: Event[]; nextCursor: null }>(
      `${path}/tags/latest/events`,
    );
    const from = {
      tag: 'latest',
      actor: null,
      clientAddress: expect.stringMatching(/127\.0\.0\.1$/) as unknown,
    };
    expect(items).toMatchObject([
      { kind: 'deleted', fromDigest: second, toDigest: null, ...from },
      { kind: 'moved', fromDigest: first, toDigest: second, ...from },
      { kind: 'created', fromDigest: null, toDigest: first, ...from },
    ]);
    expect(nextCursor).toBeNull();
    const shown = ['actor', 'clientAddress', 'fromDigest', 'happenedAt', 'kind', 'tag', 'toDigest'];
    expect(Object.keys(items[0]!).sort()).toEqual(shown);
    const times = items.map(({ happenedAt }) => Date.parse(happenedAt));
    expect(times).toEqual([...times].sort((a, b) => b - a));
  });

  it.each([1, 2, 3, 4])("returns a repository's history in pages of %d", async (limit) => {
    expect(await kinds('/events', limit)).toEqual([
      'latest deleted',
      'latest moved',
      '1.0 created',
      'latest created',
    ]);
  });

  it('filters by time: from since on, before until', async () => {
    const { items } = await admin.get<{ items: Event[] }>(`${path}/events`);
    // Two events have the same time: the pages between them must not miss one.
    const sql = `UPDATE tag_events SET happened_at = '2026-01-01T00:00:00Z'::timestamptz + interval '1 day' *
                   CASE WHEN to_digest IS NULL THEN 3 WHEN from_digest IS NOT NULL THEN 2 ELSE 1 END
                  WHERE repository_id = (SELECT id FROM repositories WHERE name = $1)`;
    await berth.query(sql, [name]);
    expect(items).toHaveLength(4);
    const created = ['1.0 created', 'latest created'];
    for (const limit of [1, 100]) {
      expect(await kinds('/events?since=2026-01-03T00:00:00Z', limit)).toEqual([
        'latest deleted',
        'latest moved',
      ]);
      expect(await kinds('/events?until=2026-01-03T00:00:00Z', limit)).toEqual(created);
      const oneDay = 'since=2026-01-02T00:00:00Z&until=2026-01-03T00:00:00Z';
      expect(await kinds(`/events?${oneDay}`, limit)).toEqual(created);
      expect(await kinds(`/tags/latest/events?${oneDay}`, limit)).toEqual(['latest created']);
      // An unencoded + is a space in a query.
      expect(await kinds('/events?until=2026-01-03T01:00:00+01:00', limit)).toEqual(created);
    }
    expect(await kinds('/events?since=2026-01-05T00:00:00Z')).toEqual([]);
  });

  it("returns an upload's history, also after its end", async () => {
    const location = await client.startUpload('a/b');
    await client.patch(location, 'hello');
    const id = location.split('/').at(-1)!;
    const wrong = await client.commit(location, digestOf('other'));
    expect(wrong.status).toBe(400);
    expect((await client.commit(location, digestOf('hello'))).status).toBe(201);
    const { items } = await admin.get<{ items: UploadEvent[] }>(`/uploads/${id}/events`);
    expect(items.map(({ kind, offsetBytes }) => [kind, offsetBytes])).toEqual([
      ['committed', 5],
      ['digest_mismatch', 5],
      ['started', 0],
    ]);
    expect(items[0]).toMatchObject({
      actor: null,
      clientAddress: expect.stringMatching(/127\.0\.0\.1$/),
      detail: null,
      durationSeconds: expect.any(Number),
      replica: expect.any(String),
    });
    expect(items[2]).toMatchObject({ durationSeconds: null });
    const pages = await admin.pages<UploadEvent>(`/uploads/${id}/events`, 1);
    expect(pages.flat()).toEqual(items);
    expect(await admin.get(`/uploads/${id}/events?until=2026-01-01T00:00:00Z`)).toEqual({
      items: [],
      nextCursor: null,
    });
  });

  it.each([`${path}/tags/never-there/events`, `/uploads/${crypto.randomUUID()}/events`])(
    '%s has no events',
    async (events) => {
      expect(await admin.get(events)).toEqual({ items: [], nextCursor: null });
    },
  );

  it.each([`${path}/events`, `${path}/tags/latest/events`, `/uploads/${crypto.randomUUID()}/events`])(
    '%s: 400 for a malformed time, cursor or sort',
    async (events) => {
      const foreign = Buffer.from('tags:-happenedAt:1:1').toString('base64url');
      for (const query of ['since=yesterday', 'until=2026-02-30T00:00:00Z', `cursor=${foreign}`, 'sort=id'])
        await admin.problem(`${events}?${query}`, 400);
    },
  );

  it.each([`${path}/tags/.hidden/events`, `${path}/tags/%00/events`, '/uploads/no-id/events'])(
    '%s: 400 for a malformed tag or id',
    async (events) => {
      await admin.problem(events, 400);
    },
  );

  it.each([`${path}/events`, `${path}/tags/latest/events`, `/uploads/${crypto.randomUUID()}/events`])(
    'DELETE %s: 405',
    async (events) => {
      await admin.problem(events, 405, { method: 'DELETE' });
    },
  );
});
