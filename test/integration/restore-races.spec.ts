import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { queryRows } from '../../src/database/query-rows.js';
import { DeletionStore } from '../../src/deletions/deletion.store.js';
import { RestoreJob } from '../../src/deletions/restore-job.js';
import { AdminClient } from '../support/admin-client.js';
import { freshName } from '../support/fresh-name.js';
import { untilSessionsWait } from '../support/lock-waits.js';
import { digestOf, OCI_INDEX, OCI_MANIFEST, RegistryClient } from '../support/registry-client.js';
import { runJob } from '../support/run-job.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { until } from '../support/until.js';

interface Deletion {
  readonly id: string;
  readonly state: string;
  readonly detail?: string;
  readonly restoration: { readonly manifests: number; readonly tags: number; readonly notRestored: object[] };
}

type Outcome = readonly [status: number, body: Deletion];

const WEEK_SECONDS = 7 * 24 * 60 * 60;
const BATCH = 3;

/** As a replica would: `restore_deletion` and `request_purge` of a deletion. */
const RESTORE = `SELECT restore_deletion($1, NULL, ${WEEK_SECONDS}, 500, NULL)`;
const PURGE = `SELECT request_purge($1, ${WEEK_SECONDS}, NULL)`;

describe('a restore', () => {
  let berth: TestBerth;
  let client: RegistryClient;
  let admin: AdminClient;
  let name: string;

  beforeAll(async () => {
    // The collector runs only when a test asks for it.
    berth = await startTestBerth({ GC_INTERVAL_SECONDS: '0', GC_BATCH_ROWS: String(BATCH) });
    client = new RegistryClient(berth.url);
    admin = new AdminClient(client);
  });
  afterAll(() => berth.dispose());
  beforeEach(async () => {
    name = freshName();
    // A purge would start a run of the collector.
    await pause('collect', true);
  });

  const query = <Row>(sql: string, parameters: unknown[] = []) =>
    queryRows<Row>(berth.database.dataSource.manager, sql, parameters);

  const pushImage = async (tag: string, layer = 'a layer') => {
    const image = JSON.stringify(await client.makeImage(name, [layer]));
    expect((await client.putManifest(name, tag, image)).status).toBe(201);
    return digestOf(image);
  };
  const pause = (job: string, paused: boolean) => admin.call('PUT', `/jobs/${job}/paused`, 200, { paused });
  const remove = async (reference: string): Promise<string> => {
    const { status } = await client.fetch(`/v2/${name}/manifests/${reference}`, { method: 'DELETE' });
    expect(status).toBe(202);
    const { items } = await admin.get<{ items: Deletion[] }>(`/deletions?repository=${name}&limit=1`);
    return String(items[0]?.id);
  };
  const post = async (path: string): Promise<Outcome> => {
    const response = await admin.send('POST', path);
    return [response.status, (await response.json()) as Deletion];
  };
  const restore = (id: string) => post(`/deletions/${id}/restore`);
  const statusOf = async (reference: string) =>
    (await client.fetch(`/v2/${name}/manifests/${reference}`)).status;
  const stateOf = async (id: string) => (await admin.get<Deletion>(`/deletions/${id}`)).state;

  /**
   * Runs a statement in a transaction of another session, and `work` before that commits. Waits until the
   * work waits for a lock.
   */
  const whileOpen = async <T>(sql: string, parameters: unknown[], work: () => Promise<T>): Promise<T> => {
    const other = new pg.Client({ connectionString: berth.databaseUrl });
    await other.connect();
    try {
      await other.query('BEGIN');
      await other.query(sql, parameters);
      const begun = work();
      await untilSessionsWait(berth.database.dataSource.manager);
      await other.query('COMMIT');
      return await begun;
    } finally {
      await other.end();
    }
  };

  describe('beside the collector, which purges', () => {
    const expire = async () => (await query<{ n: number }>('SELECT expire_deletions(0, 10) AS n'))[0]?.n;

    it('comes first: the collector skips the deletion, and then finds it restored', async () => {
      const digest = await pushImage('1.0');
      const id = await remove(digest);
      await query('UPDATE deletions SET followed = true');
      const other = new pg.Client({ connectionString: berth.databaseUrl });
      await other.connect();
      await other.query('BEGIN');
      await other.query(RESTORE, [id]);
      expect(await expire()).toBe(0);
      await other.query('COMMIT');
      await other.end();
      expect([await expire(), await stateOf(id), await statusOf('1.0')]).toEqual([0, 'restored', 200]);
    });

    it('comes second: it waits, and is refused', async () => {
      const digest = await pushImage('1.0');
      const id = await remove(digest);
      await query('UPDATE deletions SET followed = true');
      const [status, { detail }] = await whileOpen('SELECT expire_deletions(0, 10)', [], () => restore(id));
      expect([status, detail]).toEqual([409, `the deletion ${id} is being purged`]);
      expect(await statusOf(digest)).toBe(404);
    });
  });

  it('beside a request to purge: one of them is refused', async () => {
    const digest = await pushImage('1.0');
    const first = await remove(digest);
    expect(await whileOpen(PURGE, [first], () => restore(first))).toMatchObject([409, {}]);
    await pushImage('1.0');
    const second = await remove(digest);
    const [status, { detail }] = await whileOpen(RESTORE, [second], () => post(`/deletions/${second}/purge`));
    expect([status, detail]).toEqual([409, `the deletion ${second} was restored already`]);
    expect(await statusOf('1.0')).toBe(200);
    // A request to purge can be repeated.
    const third = await remove(digest);
    for (let n = 0; n < 2; n += 1) expect((await post(`/deletions/${third}/purge`))[0]).toBe(202);
  });

  it('gives way to a purge, which begins when the collector is resumed', async () => {
    const id = await remove(await pushImage('1.0'));
    expect((await post(`/deletions/${id}/purge`))[0]).toBe(202);
    expect(await stateOf(id)).toBe('purging');
    await pause('collect', false);
    await until('it is purged', async () => (await stateOf(id)) === 'purged');
  });

  it('beside another restore: one of them is refused', async () => {
    await pushImage('1.0');
    const id = await remove('1.0');
    expect(await whileOpen(RESTORE, [id], () => restore(id))).toMatchObject([409, {}]);
  });

  it('beside the deletion of its repository: it is refused, or comes first', async () => {
    const digest = await pushImage('1.0');
    const id = await remove(digest);
    const [status, { detail = '' }] = await whileOpen('SELECT delete_repository($1, NULL)', [name], () =>
      restore(id),
    );
    expect([status, detail]).toEqual([
      409,
      expect.stringContaining('is deleted itself: restore the deletion'),
    ]);
    const [, ofRepository = ''] = /restore the deletion (\d+) first/.exec(detail) ?? [];
    expect((await restore(ofRepository))[0]).toBe(200);

    const deletion = await whileOpen(RESTORE, [id], () => admin.send('DELETE', `/repositories/${name}`));
    expect(deletion.status).toBe(200);
    expect(await statusOf('1.0')).toBe(404);
    expect((await restore(((await deletion.json()) as Deletion).id))[0]).toBe(200);
    expect(await statusOf('1.0')).toBe(200);
  });

  it('of a repository, beside a first push to its name: it is refused', async () => {
    await pushImage('1.0');
    const { id } = await admin.call<Deletion>('DELETE', `/repositories/${name}`, 200);
    const [status, { detail }] = await whileOpen('INSERT INTO repositories (name) VALUES ($1)', [name], () =>
      restore(id),
    );
    expect([status, detail]).toEqual([409, expect.stringContaining(`the repository ${name} exists`)]);
    expect(await stateOf(id)).toBe('restorable');
  });

  it('of a tag, beside a push of the tag: it is refused', async () => {
    const digest = await pushImage('1.0');
    const other = await pushImage('2.0', 'another layer');
    const id = await remove('1.0');
    const [code, body] = await whileOpen(
      `INSERT INTO tags (repository_id, name, manifest_id)
       SELECT repository_id, '1.0', id FROM manifests WHERE digest = $1
          AND repository_id = (SELECT id FROM repositories WHERE name = $2)`,
      [other, name],
      () => restore(id),
    );
    expect([code, body]).toEqual([
      409,
      expect.objectContaining({ detail: expect.stringMatching(/^the tag 1.0 points at/) }),
    ]);
    expect([await statusOf(digest), await stateOf(id)]).toEqual([200, 'restorable']);
  });

  it('of a tag, beside the deletion of its manifest: it is refused, or the tag is deleted', async () => {
    const digest = await pushImage('1.0');
    const first = await remove('1.0');
    const [code, body] = await whileOpen('SELECT soft_delete_manifest($1, $2, NULL)', [name, digest], () =>
      restore(first),
    );
    expect([code, body]).toEqual([
      409,
      expect.objectContaining({
        detail: expect.stringMatching(/^the manifest of the tag 1.0 is deleted itself/),
      }),
    ]);

    await pushImage('1.0');
    const second = await remove('1.0');
    const path = `/v2/${name}/manifests/${digest}`;
    const { status } = await whileOpen(RESTORE, [second], () => client.fetch(path, { method: 'DELETE' }));
    expect([status, await statusOf('1.0')]).toEqual([202, 404]);
    const tags = await query(
      'SELECT FROM tags WHERE repository_id = (SELECT id FROM repositories WHERE name = $1)',
      [name],
    );
    expect(tags).toEqual([]);
  });

  it('of a tag whose manifest only the collector deleted brings the manifest back', async () => {
    const digest = await pushImage('1.0');
    const id = await remove('1.0');
    await query(
      `WITH deletion AS (
         INSERT INTO deletions (repository_id, repository, kind, reference)
         SELECT id, name, 'untagged', $2 FROM repositories WHERE name = $1 RETURNING *)
       UPDATE manifests m SET deletion_id = d.id, is_follower = true
         FROM deletion d WHERE m.repository_id = d.repository_id AND m.digest = $2`,
      [name, digest],
    );
    expect([await statusOf(digest), (await restore(id))[0], await statusOf('1.0')]).toEqual([404, 200, 200]);
  });

  describe('of many manifests', () => {
    /** Deletes an index of eleven images with its children, as the collector does, and with eleven tags. */
    const removeLargeIndex = async () => {
      const manifests = [];
      for (let n = 0; n < 11; n += 1) {
        const digest = await pushImage(`image-${n}`, `layer ${n}`);
        await client.fetch(`/v2/${name}/manifests/image-${n}`, { method: 'DELETE' });
        manifests.push({ mediaType: OCI_MANIFEST, digest, size: 100 });
      }
      const index = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
      for (let n = 0; n < 11; n += 1)
        await client.putManifest(name, `v${n}`, index, { 'Content-Type': OCI_INDEX });
      const id = await remove(digestOf(index));
      await query(
        `UPDATE manifests SET deletion_id = $1, is_follower = true
          WHERE repository_id = (SELECT id FROM repositories WHERE name = $2) AND deletion_id IS NULL`,
        [id, name],
      );
      return { id, references: ['v0', 'v10', ...manifests.map(({ digest }) => digest)] };
    };

    it('goes through a job', async () => {
      const { id, references } = await removeLargeIndex();
      await pushImage('v3', 'in between');
      const [status, { state }] = await restore(id);
      expect([status, state]).toEqual([202, 'restoring']);
      await until('it is restored', async () => (await stateOf(id)) === 'restored');
      expect(await admin.get(`/deletions/${id}`)).toMatchObject({
        restoration: { manifests: 12, tags: 10, tagsNotRestored: 1, notRestored: [{ tag: 'v3' }] },
      });
      for (const reference of references)
        expect([reference, await statusOf(reference)]).toEqual([reference, 200]);
    });

    it('can be interrupted: meanwhile nothing purges it, and the rest follows', async () => {
      await pause('restore', true);
      const { id, references } = await removeLargeIndex();
      expect((await restore(id))[0]).toBe(202);
      expect(await berth.app.get(DeletionStore).restoreBatch(id)).toBe(true);
      expect(await stateOf(id)).toBe('restoring');
      for (const action of ['restore', 'purge'])
        expect(await post(`/deletions/${id}/${action}`)).toMatchObject([
          409,
          { detail: `the deletion ${id} is being restored` },
        ]);
      await query('UPDATE deletions SET followed = true');
      await query('SELECT expire_deletions(0, 100)');
      expect(await stateOf(id)).toBe('restoring');
      // It begins at once.
      await pause('restore', false);
      await until('it is restored', async () => (await stateOf(id)) === 'restored');
      for (const reference of references)
        expect([reference, await statusOf(reference)]).toEqual([reference, 200]);
    });

    it('does not wait for an earlier one that fails', async () => {
      await pause('restore', true);
      const failing = (await removeLargeIndex()).id;
      expect((await restore(failing))[0]).toBe(202);
      name = freshName('another');
      const { id } = await removeLargeIndex();
      expect((await restore(id))[0]).toBe(202);
      await query(`CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$`);
      await query(`CREATE TRIGGER fail BEFORE UPDATE ON deletions FOR EACH ROW
                     WHEN (OLD.id = ${Number(failing)}) EXECUTE FUNCTION fail()`);
      await expect(runJob(berth.app.get(RestoreJob))).rejects.toThrow('no');
      expect([await stateOf(failing), await stateOf(id)]).toEqual(['restoring', 'restored']);
      await query('DROP TRIGGER fail ON deletions');
      await runJob(berth.app.get(RestoreJob));
      expect(await stateOf(failing)).toBe('restored');
      await pause('restore', false);
    });
  });
});
