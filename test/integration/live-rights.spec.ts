import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { AccessChanges } from '../../src/accounts/rights/access-changes.js';
import { AccessEpoch } from '../../src/accounts/rights/access-epoch.js';
import { LiveRights } from '../../src/accounts/rights/live-rights.js';
import { RightsStore } from '../../src/accounts/rights/rights.store.js';
import { loadConfiguration } from '../../src/config/load-configuration.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { AccessFixtures, type Login } from '../support/access-fixtures.js';
import { interposedQueries } from '../support/interposed-queries.js';
import { createTestDataSource, type TestDataSource } from '../support/test-data-source.js';
import { eventually } from '../support/until.js';

/** What one process knows of rights. */
class Process {
  readonly sent: readonly string[];
  readonly changes: AccessChanges;
  readonly epoch: AccessEpoch;
  readonly rights: LiveRights;

  constructor(dataSource: DataSource, before?: () => Promise<void>) {
    const interposed = interposedQueries(dataSource, before);
    this.sent = interposed.sent;
    this.changes = new AccessChanges(new UnitOfWork(dataSource));
    const store = new RightsStore(interposed.dataSource);
    this.epoch = new AccessEpoch(store, loadConfiguration({ ACCESS_MODE: 'token' }), this.changes);
    this.rights = new LiveRights(this.epoch, store);
  }

  readings(): number {
    return this.sent.filter((sql) => sql.includes('FROM access_state')).length;
  }
}

describe('live rights', () => {
  let test: TestDataSource;
  let accounts: AccessFixtures;
  let ada: Login;
  let here: Process;
  const query = (sql: string, parameters: unknown[] = []): Promise<unknown> =>
    test.dataSource.query(sql, parameters);

  beforeAll(async () => {
    test = await createTestDataSource();
    accounts = new AccessFixtures(query);
  });
  beforeEach(async () => {
    await query('TRUNCATE accounts, groups, grants CASCADE');
    ada = await accounts.account('ada', { grants: { 'team/**': 'push' } });
    here = new Process(test.dataSource);
  });
  afterEach(() => {
    jest.restoreAllMocks();
    here.epoch.onModuleDestroy();
  });
  afterAll(() => test.dispose());

  const reads = async (who = here) =>
    (await who.rights.accountNamed('ada'))?.grants.allows('team/app', 'push');

  it('are read once per epoch, by requests that come together too', async () => {
    await Promise.all([reads(), reads(), reads()]);
    await reads();
    expect(here.sent).toHaveLength(2);
    await accounts.grant('ada', 'other', 'pull');
    jest.spyOn(performance, 'now').mockReturnValue(performance.now() + 1_001);
    await Promise.all([reads(), reads()]);
    expect(here.sent).toHaveLength(4);
  });

  it('are read without a statement per request, twice a second', async () => {
    here.epoch.onModuleInit();
    await eventually(
      () => Promise.resolve(here.readings()),
      (count) => count > 2,
    );
    expect(here.epoch.fresh).toBeDefined();
  });

  it('are not used if the epoch was last read more than a second ago', async () => {
    await reads();
    expect(here.epoch.fresh).toBeDefined();
    jest.spyOn(performance, 'now').mockReturnValue(performance.now() + 1_001);
    expect(here.epoch.fresh).toBeUndefined();
  });

  it('wait for a database that is away', async () => {
    let outages = 3;
    const waiting = new Process(test.dataSource, () => {
      if (outages === 0) return Promise.resolve();
      outages -= 1;
      return Promise.reject(Object.assign(new Error('terminating'), { code: '57P01', severity: 'FATAL' }));
    });
    expect(await reads(waiting)).toBe(true);
    expect(outages).toBe(0);
  });

  it('are read from a database that responds only after a second, too', async () => {
    let now = performance.now();
    jest.spyOn(performance, 'now').mockImplementation(() => now);
    const slow = new Process(test.dataSource, () => {
      now += 1_500;
      return Promise.resolve();
    });
    expect(await reads(slow)).toBe(true);
  });

  it('are not those of an equal epoch that a failover has lost', async () => {
    let now = performance.now();
    jest.spyOn(performance, 'now').mockImplementation(() => now);
    expect(await reads()).toBe(true);
    await query('UPDATE access_state SET epoch = epoch - 1');
    now += 1_001;
    await here.epoch.current();
    // A change, which raises the epoch to what it was.
    await query('DELETE FROM grants');
    now += 1_001;
    expect(await reads()).toBe(false);
  });

  it('are never of before a change that this process acknowledged', async () => {
    expect(await reads()).toBe(true);
    await here.changes.run(async (transaction) => {
      await transaction.query('DELETE FROM grants');
    });
    expect(await reads()).toBe(false);
  });

  it('stay as they were if a change fails', async () => {
    const failing = here.changes.run(async (transaction) => {
      await transaction.query('DELETE FROM grants');
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(await reads()).toBe(true);
  });

  const setGroup = async () => {
    await query(`INSERT INTO groups (name) VALUES ('team')`);
    await query(
      'INSERT INTO group_members (group_id, account_id) SELECT g.id, a.id FROM groups g, accounts a',
    );
    await query(
      `INSERT INTO grants (subject, group_id, pattern, role) SELECT 'group', id, 'g', 'pull' FROM groups`,
    );
  };
  const account = () => here.rights.accountNamed('ada');
  const isSeenAfterASecond = async (change: string, ask: () => Promise<unknown>) => {
    const before = await ask();
    await query(change);
    jest.spyOn(performance, 'now').mockReturnValue(performance.now() + 1_001);
    return JSON.stringify(await ask()) !== JSON.stringify(before);
  };

  it.each<[string, string, () => Promise<unknown>]>([
    ['a new grant', `INSERT INTO grants (subject, pattern, role) VALUES ('signed-in', 'x', 'pull')`, account],
    [
      'an anonymous grant',
      `INSERT INTO grants (subject, pattern, role) VALUES ('anonymous', 'x', 'pull')`,
      async () => (await here.rights.anonymous()).grants,
    ],
    ['another role of a grant', `UPDATE grants SET role = 'pull'`, account],
    ['the end of a grant', 'DELETE FROM grants WHERE account_id IS NOT NULL', account],
    ['the end of all grants', 'TRUNCATE grants', account],
    ['the end of a membership', 'DELETE FROM group_members', account],
    ['the end of a group', 'DELETE FROM groups', account],
    ['a registry role', `UPDATE accounts SET registry_role = 'admin'`, account],
    ['a disabled account', 'UPDATE accounts SET disabled = true', account],
    ['an expiry', 'UPDATE accounts SET expires_at = now()', account],
    ['a new password', 'UPDATE accounts SET password_generation = 2', account],
    ['a deleted account', 'UPDATE accounts SET deleted_at = now()', account],
    [
      'a revoked secret',
      'UPDATE access_tokens SET revoked_at = now()',
      () => here.rights.secret(ada.secretId),
    ],
    ['a deleted secret', 'DELETE FROM access_tokens', () => here.rights.secret(ada.secretId)],
  ])('see %s of another process', async (_, change, ask) => {
    await setGroup();
    expect(await isSeenAfterASecond(change, ask)).toBe(true);
  });

  it.each([
    ['a use of a secret', 'UPDATE access_tokens SET last_used_at = now()'],
    ['a new hash of the same password', `UPDATE accounts SET password_hash = 'x'`],
  ])('need not be read again after %s', async (_, change) => {
    const before = await here.epoch.current();
    await query(change);
    jest.spyOn(performance, 'now').mockReturnValue(performance.now() + 1_001);
    expect(await here.epoch.current()).toBe(before);
  });

  it('name the group of a grant, and leave out deleted accounts', async () => {
    await setGroup();
    const grants = (await account())?.grants.grants ?? [];
    expect(grants.map(({ subject, group, pattern }) => [subject, group, pattern])).toEqual(
      expect.arrayContaining([
        ['account', null, 'team/**'],
        ['group', 'team', 'g'],
      ]),
    );
    expect(await here.rights.account((await account())?.id ?? '')).toMatchObject({ name: 'ada' });
    await here.changes.run((transaction) => transaction.query('UPDATE accounts SET deleted_at = now()'));
    expect(await account()).toBeUndefined();
  });
});
