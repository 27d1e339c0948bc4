import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AdminClient } from '../support/admin-client.js';
import { errorCode, RegistryClient } from '../support/registry-client.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';

interface Upload extends Record<string, unknown> {
  id: string;
  ageSeconds: number;
  startedAt: string;
  lastActivityAt: string;
}

const SHOWN = [
  'ageSeconds',
  'beingWritten',
  'clientAddress',
  'createdBy',
  'id',
  'lastActivityAt',
  'offsetBytes',
  'repository',
  'startedAt',
  'state',
  'userAgent',
];

describe('admin API: uploads', () => {
  let berth: TestBerth;
  let client: RegistryClient;
  let admin: AdminClient;

  beforeAll(async () => {
    berth = await startTestBerth();
    client = new RegistryClient(berth.url);
    admin = new AdminClient(client);
  });
  afterAll(() => berth.dispose());

  const idOf = (location: string) => location.split('/').at(-1)!;
  const setRow = (id: string, assignment: string) =>
    berth.query(`UPDATE uploads SET ${assignment} WHERE id = $1`, [id]);

  it('shows a session in progress, and nothing of its midstate or the driver', async () => {
    const location = await client.startUpload('a/b');
    await client.fetch(location, { method: 'PATCH', body: 'hello', headers: { 'User-Agent': 'tester/1' } });
    const upload = await admin.get<Upload>(`/uploads/${idOf(location)}`);
    expect(Object.keys(upload).sort()).toEqual(SHOWN);
    expect(upload).toMatchObject({
      id: idOf(location),
      repository: 'a/b',
      state: 'open',
      offsetBytes: 5,
      beingWritten: false,
      createdBy: null,
    });
    expect(upload.clientAddress).toMatch(/127\.0\.0\.1$/);
    expect(upload.userAgent).toEqual(expect.any(String));
    expect(upload.ageSeconds).toBeGreaterThanOrEqual(0);
    expect(Date.parse(upload.lastActivityAt)).toBeGreaterThanOrEqual(Date.parse(upload.startedAt));
    await setRow(upload.id, "lease_expires_at = now() + interval '1 minute', lease_holder = 'other'");
    expect(await admin.get(`/uploads/${upload.id}`)).toMatchObject({ beingWritten: true });
    await setRow(upload.id, "lease_expires_at = now() - interval '1 minute'");
    expect(await admin.get(`/uploads/${upload.id}`)).toMatchObject({ beingWritten: false });
  });

  it('lists those that are open or being committed, page by page', async () => {
    const locations = [];
    for (let n = 0; n < 6; n++) locations.push(await client.startUpload(`list/r${n}`));
    const ids = locations.map(idOf);
    for (const id of [ids[1]!, ids[4]!]) await setRow(id, "state = 'committing'");
    await setRow(ids[2]!, "state = 'expired'");
    const pages = await admin.pages<Upload>('/uploads', 2);
    const listed = pages.flat().map(({ id }) => id);
    expect(listed).toEqual([...listed].sort());
    const expected = ids.filter((_, n) => n !== 2);
    expect(listed.filter((id) => ids.includes(id))).toEqual(expected.sort());
    expect(new Set(listed).size).toBe(listed.length);
    expect(pages.slice(0, -1).every((page) => page.length === 2)).toBe(true);
    await admin.problem(`/uploads/${ids[2]!}`, 404);
  });

  it('sorts them by start and by size, page by page', async () => {
    const uploads = [
      { bytes: 'xx', second: 2 },
      { bytes: 'xxxx', second: 3 },
      { bytes: '', second: 1 },
      { bytes: 'xx', second: 4 },
    ];
    const ids: string[] = [];
    for (const { bytes, second } of uploads) {
      const location = await client.startUpload('sort/me');
      if (bytes !== '') await client.patch(location, bytes);
      ids.push(idOf(location));
      await setRow(ids.at(-1)!, `created_at = '2000-01-01T00:00:00.00000${second}Z'`);
    }
    await setRow(ids[1]!, "state = 'committing'");
    const sorted = async (sort: string) => {
      const listed = (await admin.pages<Upload>(`/uploads?sort=${sort}`, 3)).flat().map(({ id }) => id);
      expect(new Set(listed).size).toBe(listed.length);
      return listed.filter((id) => ids.includes(id)).map((id) => ids.indexOf(id));
    };
    const sameSize = ids[0]! < ids[3]! ? [0, 3] : [3, 0];
    const byId = [0, 1, 2, 3].sort((a, b) => (ids[a]! < ids[b]! ? -1 : 1));
    for (const [sort, expected] of [
      ['id', byId],
      ['startedAt', [2, 0, 1, 3]],
      ['size', [2, ...sameSize, 1]],
    ] as const) {
      expect([sort, ...(await sorted(sort))]).toEqual([sort, ...expected]);
      expect([sort, ...(await sorted(`-${sort}`))]).toEqual([sort, ...[...expected].reverse()]);
    }
    const { nextCursor } = await admin.get<{ nextCursor: string }>('/uploads?sort=size&limit=1');
    await admin.problem(`/uploads?cursor=${nextCursor}`, 400);
    await admin.problem('/uploads?sort=ageSeconds', 400);
  });

  it('cancels a session: its client is told, its bytes are gone', async () => {
    const location = await client.startUpload('c/d');
    await client.fetch(location, { method: 'PATCH', body: 'bytes in flight' });
    const id = idOf(location);
    const files = () => readdir(join(berth.dataDir, 'storage', 'uploads'));
    expect((await files()).filter((name) => name.startsWith(id))).not.toEqual([]);

    const response = await admin.fetch(`/uploads/${id}`, { method: 'DELETE' });
    expect(response.status).toBe(204);
    expect(await response.text()).toBe('');
    expect((await files()).filter((name) => name.startsWith(id))).toEqual([]);
    expect(await errorCode(await client.fetch(location))).toBe('BLOB_UPLOAD_UNKNOWN');
    await admin.problem(`/uploads/${id}`, 404);
    await admin.problem(`/uploads/${id}`, 404, { method: 'DELETE' });
  });

  it('shows one whose commit was interrupted', async () => {
    const id = idOf(await client.startUpload('e/f'));
    await setRow(id, "state = 'committing', digest = 'sha256:00'");
    expect(await admin.get(`/uploads/${id}`)).toMatchObject({ state: 'committing', beingWritten: false });
  });

  it.each([
    ['00000000-0000-4000-8000-000000000000', 404],
    ['not-an-id', 400],
    ['%00', 400],
    ['..%2F..%2Fetc', 400],
  ])('%s: %d', async (id, status) => {
    await admin.problem(`/uploads/${id}`, status);
    await admin.problem(`/uploads/${id}`, status, { method: 'DELETE' });
  });
});
