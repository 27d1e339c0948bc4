import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { NO_REQUEST } from '../../src/audit/audit-event.js';
import { AuditLog } from '../../src/audit/audit-log.js';
import { AuditRetention } from '../../src/audit/audit-retention.js';
import { queryRows } from '../../src/database/query-rows.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { freshName } from '../support/fresh-name.js';
import { runJob } from '../support/run-job.js';
import { digestOf, OCI_MANIFEST, RegistryClient } from '../support/registry-client.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';

const DAY_SECONDS = 24 * 60 * 60;
const RETENTION = 30 * DAY_SECONDS;

interface Row {
  readonly action: string;
  readonly [column: string]: unknown;
}

describe('the audit log', () => {
  let berth: TestBerth;
  let client: RegistryClient;

  beforeAll(async () => {
    berth = await startTestBerth({ AUDIT_RETENTION_SECONDS: String(RETENTION) });
    client = new RegistryClient(berth.url);
  });
  afterAll(() => berth.dispose());

  const query = <Result>(sql: string, parameters: unknown[] = []) =>
    queryRows<Result>(berth.database.dataSource.manager, sql, parameters);
  const record = (subject: string, fail = false) =>
    berth.app.get(UnitOfWork).run(async (transaction) => {
      const event = { action: 'group.create', subject, after: { description: 'a group' } } as const;
      await berth.app.get(AuditLog).record(transaction, event, NO_REQUEST);
      if (fail) throw new Error('the change failed');
    });
  const subjects = async (prefix: string) => {
    const sql = `SELECT subject FROM audit_events WHERE starts_with(subject, $1) ORDER BY id`;
    return (await query<{ subject: string }>(sql, [prefix])).map(({ subject }) => subject);
  };
  const insertAged = (subject: string, seconds: number) =>
    query(
      `INSERT INTO audit_events (action, subject, happened_at)
       VALUES ('login', $1, now() - $2::float8 * interval '1 second')`,
      [subject, seconds],
    );

  it('is rolled back with its change, and committed with it', async () => {
    await expect(record('failed', true)).rejects.toThrow('the change failed');
    await record('succeeded');
    expect(await subjects('failed')).toEqual([]);
    expect(await query<Row>(`SELECT * FROM audit_events WHERE subject = 'succeeded'`)).toMatchObject([
      { action: 'group.create', before: null, after: { description: 'a group' }, actor: null },
    ]);
  });

  it('has fields of a bounded size', async () => {
    await berth.app.get(UnitOfWork).run((transaction) =>
      berth.app.get(AuditLog).record(
        transaction,
        {
          action: 'group.update',
          subject: 'long'.repeat(1000),
          before: { description: 'ä'.repeat(8_000) },
          after: { description: 'a'.repeat(20_000) },
        },
        NO_REQUEST,
      ),
    );
    const [row] = await query<Row>(`SELECT * FROM audit_events WHERE action = 'group.update'`);
    expect(row).toMatchObject({
      subject: expect.stringMatching(/^(long){64}$/),
      before: { description: expect.stringMatching(/^ä{8000}$/) },
      after: { omitted: expect.stringMatching(/^20\d{3} characters, more than 16384$/) },
    });
  });

  describe('refuses', () => {
    beforeAll(() => record('kept'));

    const setting = (seconds: number) =>
      `SELECT set_config('berth.audit_retention_seconds', '${seconds}', true)`;

    it.each([
      ['UPDATE', `UPDATE audit_events SET actor = 'else'`, /never changed: UPDATE is refused/],
      ['UPDATE of no row', `UPDATE audit_events SET actor = 'else' WHERE false`, /UPDATE is refused/],
      ['TRUNCATE', 'TRUNCATE audit_events', /never changed: TRUNCATE is refused/],
      ['DELETE', `DELETE FROM audit_events WHERE subject = 'kept'`, /deleted by retention only/],
      [
        'DELETE of a younger event by retention',
        `${setting(RETENTION)}; DELETE FROM audit_events WHERE subject = 'kept'`,
        /not old enough/,
      ],
      [
        'DELETE within a day, whatever the retention',
        `${setting(0)}; DELETE FROM audit_events WHERE subject = 'kept'`,
        /not old enough/,
      ],
    ])('%s', async (_, sql, message) => {
      await expect(query(sql)).rejects.toThrow(message);
      expect(await subjects('kept')).toEqual(['kept']);
    });
  });

  describe('retention', () => {
    const expire = () => runJob(berth.app.get(AuditRetention));
    /** The clock was observed for so long. */
    const observe = async (seconds: number) => {
      await query('DELETE FROM upload_clock');
      await query(
        `INSERT INTO upload_clock (seconds, seen_at)
         VALUES (0, now() - $1::float8 * interval '1 second'), ($1::float8, now())`,
        [seconds],
      );
    };

    beforeEach(() => observe(2 * RETENTION));

    it('deletes events that are older, in batches, and no others', async () => {
      await query(
        `INSERT INTO audit_events (action, subject, happened_at)
         SELECT 'login', 'old', now() - ($1::float8 + n) * interval '1 second'
           FROM generate_series(60, 2500) AS n`,
        [RETENTION],
      );
      await insertAged('young', RETENTION - 60);
      expect(await expire()).toEqual({ deletedEvents: 2441 });
      expect(await subjects('old')).toEqual([]);
      expect(await subjects('young')).toEqual(['young']);
      await expect(query(`DELETE FROM audit_events WHERE subject = 'young'`)).rejects.toThrow(
        /by retention only/,
      );
    });

    it('deletes nothing after a jump of the clock', async () => {
      await insertAged('before the jump', 2 * RETENTION);
      await observe(RETENTION / 2);
      await expire();
      expect(await subjects('before the jump')).toEqual(['before the jump']);
      await observe(2 * RETENTION + 60);
      await expire();
      expect(await subjects('before the jump')).toEqual([]);
    });
  });

  describe('has an event of', () => {
    let name: string;
    const requestId = 'request-1';
    const origin = {
      actor: null,
      client_address: '127.0.0.1',
      user_agent: 'tester/1',
      request_id: requestId,
    };

    beforeEach(() => void (name = freshName()));

    const eventsOf = (repository: string) =>
      query<Row>('SELECT * FROM audit_events WHERE repository = $1 ORDER BY id', [repository]);
    const send = async (method: string, path: string, status: number) => {
      const headers = { 'X-Request-Id': requestId, 'User-Agent': 'tester/1' };
      const response = await client.fetch(path, { method, headers });
      expect([response.status, await response.text()]).toMatchObject([status, expect.anything()]);
    };

    it('a deleted manifest, with its tags', async () => {
      const image = JSON.stringify(await client.makeImage(name));
      for (const tag of ['1.0', 'latest']) await client.putManifest(name, tag, image);
      await send('DELETE', `/v2/${name}/manifests/${digestOf(image)}`, 202);
      await send('DELETE', `/v2/${name}/manifests/${digestOf(image)}`, 404);
      expect(await eventsOf(name)).toMatchObject([
        {
          ...origin,
          action: 'manifest.delete',
          subject: digestOf(image),
          before: { mediaType: OCI_MANIFEST, tagCount: 2, tags: ['1.0', 'latest'] },
          after: null,
        },
      ]);
    });

    it('a deleted manifest without tags', async () => {
      const image = JSON.stringify(await client.makeImage(name));
      await client.putManifest(name, digestOf(image), image);
      await send('DELETE', `/v2/${name}/manifests/${digestOf(image)}`, 202);
      expect(await eventsOf(name)).toMatchObject([{ before: { tagCount: 0, tags: [] } }]);
    });

    it('a deleted tag', async () => {
      const image = JSON.stringify(await client.makeImage(name));
      await client.putManifest(name, 'latest', image);
      await send('DELETE', `/v2/${name}/manifests/latest`, 202);
      await send('DELETE', `/v2/${name}/manifests/latest`, 404);
      expect(await eventsOf(name)).toMatchObject([
        { ...origin, action: 'tag.delete', subject: 'latest', before: { digest: digestOf(image) } },
      ]);
    });

    it('a deleted blob', async () => {
      const digest = await client.pushBlob(name, 'a blob');
      await send('DELETE', `/v2/${name}/blobs/${digest}`, 202);
      await send('DELETE', `/v2/${name}/blobs/${digest}`, 404);
      expect(await eventsOf(name)).toMatchObject([{ ...origin, action: 'blob.delete', subject: digest }]);
    });

    it('a mount, unless the repository has the blob', async () => {
      const source = freshName();
      const digest = await client.pushBlob(source, 'a blob to mount');
      for (const from of [`&from=${source}`, `&from=${source}`, ''])
        await send('POST', `/v2/${name}/blobs/uploads/?mount=${digest}${from}`, 201);
      expect(await eventsOf(name)).toMatchObject([
        { ...origin, action: 'blob.mount', subject: digest, before: null, after: { from: source } },
      ]);
      expect(await eventsOf(source)).toEqual([]);
    });

    it('nothing else: a push is in the history of tags', async () => {
      await client.putManifest(name, 'latest', await client.makeImage(name));
      await client.putManifest(name, 'latest', await client.makeImage(name, ['else']));
      expect(await eventsOf(name)).toEqual([]);
    });
  });
});
