import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AdminClient } from '../support/admin-client.js';
import { RegistryClient } from '../support/registry-client.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';

interface AuditEvent {
  readonly action: string;
  readonly subject: string;
  readonly actor: string | null;
  readonly [field: string]: unknown;
}

describe('admin API: the audit log', () => {
  let berth: TestBerth;
  let client: RegistryClient;
  let admin: AdminClient;
  let digest: string;

  /** Events of two repositories, and some of 2026-01-01 to 2026-01-05. */
  beforeAll(async () => {
    berth = await startTestBerth();
    client = new RegistryClient(berth.url);
    admin = new AdminClient(client);
    digest = await client.pushBlob('team/app', 'a layer');
    const path = `/v2/team/other/blobs/uploads/?mount=${digest}&from=team/app`;
    const headers = { 'X-Request-Id': 'mount-1', 'User-Agent': 'tester/1' };
    expect((await client.fetch(path, { method: 'POST', headers })).status).toBe(201);
    const deletion = await client.fetch(`/v2/team/app/blobs/${digest}`, { method: 'DELETE' });
    expect(deletion.status).toBe(202);
    await berth.query(
      `INSERT INTO audit_events (action, subject, actor, repository, happened_at) VALUES
         ('account.create', 'ann', 'admin', NULL, '2026-01-01T00:00:00Z'),
         ('grant.create', 'ann', 'admin', NULL, '2026-01-02T00:00:00Z'),
         ('login', 'ann', 'ann', NULL, '2026-01-03T00:00:00Z'),
         ('login.failure', 'ann', NULL, NULL, '2026-01-03T00:00:00Z'),
         ('tag.delete', 'latest', 'ann', 'team/app', '2026-01-04T00:00:00Z'),
         ('tag.delete', '1.0', 'admin', 'team/app', '2026-01-05T00:00:00Z')`,
    );
  });
  afterAll(() => berth.dispose());

  const list = async (query = '', limit = 100) =>
    (await admin.pages<AuditEvent>(`/audit?${query}`, limit)).flat();

  it('shows who did what, from where, with what changed', async () => {
    const [deleted, mounted] = await list();
    expect(deleted).toMatchObject({ action: 'blob.delete', subject: digest, repository: 'team/app' });
    expect(mounted).toEqual({
      action: 'blob.mount',
      subject: digest,
      repository: 'team/other',
      actor: null,
      clientAddress: '127.0.0.1',
      userAgent: 'tester/1',
      requestId: 'mount-1',
      before: null,
      after: { from: 'team/app' },
      happenedAt: expect.stringMatching(/^20/),
    });
  });

  const ALL = [
    'blob.delete',
    'blob.mount',
    'tag.delete 1.0',
    'tag.delete latest',
    'login.failure ann',
    'login ann',
    'grant.create ann',
    'account.create ann',
  ];
  const days = (from: number, to: number) =>
    `since=2026-01-0${from}T00:00:00Z&until=2026-01-0${to}T00:00:00Z`;

  it.each([
    ['', ALL],
    ['action=tag', ['tag.delete 1.0', 'tag.delete latest']],
    ['action=login', ['login.failure ann', 'login ann']],
    ['action=login.failure', ['login.failure ann']],
    ['action=blob', ['blob.delete', 'blob.mount']],
    ['actor=admin', ['tag.delete 1.0', 'grant.create ann', 'account.create ann']],
    ['actor=admin&action=grant', ['grant.create ann']],
    ['actor=nobody', []],
    ['repository=team/app', ['blob.delete', 'tag.delete 1.0', 'tag.delete latest']],
    ['repository=team/app&action=blob', ['blob.delete']],
    ['repository=team%2Fapp&actor=ann', ['tag.delete latest']],
    ['repository=team/app&actor=ann&action=blob', []],
    ['repository=team', []],
    [days(2, 4), ['login.failure ann', 'login ann', 'grant.create ann']],
    [`${days(3, 5)}&action=login`, ['login.failure ann', 'login ann']],
    [`${days(3, 5)}&repository=team/app`, ['tag.delete latest']],
    [`${days(1, 2)}&actor=admin`, ['account.create ann']],
  ])('lists %s, newest first, in pages of any size', async (query, expected) => {
    for (const limit of [1, 3, 100]) {
      const items = await list(query, limit);
      const shown = items.map(({ action, subject }) =>
        subject === digest ? action : `${action} ${subject}`,
      );
      expect(shown).toEqual(expected);
    }
  });

  it.each([
    ['action=lgin', /^action: expected an action or its first part: account, group, /],
    ['action=account.', /expected an action/],
    ['action=login&action=blob', /expected an action/],
    ['actor=Not%20a%20name', /actor: expected the name of an account/],
    ['actor=%00', /actor: expected/],
    ['repository=UPPER', /repository name/],
    ['repository=%00', /repository name/],
    ['since=yesterday', /since: expected a time/],
    [`cursor=${Buffer.from('tag-events:-happenedAt:1:1').toString('base64url')}`, /cursor: expected/],
    ['subject=ann', /unknown parameter "subject"/],
  ])('%s: 400', async (query, message) => {
    expect((await admin.problem(`/audit?${query}`, 400)).detail).toMatch(message);
  });

  it('is only read: 405', async () => {
    for (const method of ['DELETE', 'POST', 'PATCH']) await admin.problem('/audit', 405, { method });
  });
});
