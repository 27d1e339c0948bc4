import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { AccessChanges } from '../../src/accounts/rights/access-changes.js';
import { AdminStore } from '../../src/accounts/first-run/admin.store.js';
import { FirstRun } from '../../src/accounts/first-run/first-run.js';
import { PasswordHasher } from '../../src/accounts/passwords/password-hasher.js';
import { AuditLog } from '../../src/audit/audit-log.js';
import { loadConfiguration } from '../../src/config/load-configuration.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { createTestDataSource, type TestDataSource } from '../support/test-data-source.js';

const PASSWORD = 'correct horse battery';
const OTHER = 'another password';

describe('FirstRun', () => {
  const hasher = new PasswordHasher();
  let test: TestDataSource;
  let dataDir: string;

  beforeAll(async () => void (test = await createTestDataSource()));
  afterAll(() => test.dispose());
  beforeEach(async () => void (dataDir = await mkdtemp(join(tmpdir(), 'berth-first-run-'))));
  afterEach(async () => {
    await rm(dataDir, { recursive: true });
    await test.dataSource.query('DELETE FROM accounts');
  });

  /** What a start with these settings does. */
  function run(settings: NodeJS.ProcessEnv = {}) {
    const configuration = loadConfiguration({ ACCESS_MODE: 'token', DATA_DIR: dataDir, ...settings });
    const changes = new AccessChanges(new UnitOfWork(test.dataSource));
    const admins = new AdminStore(test.dataSource);
    return new FirstRun(configuration, changes, admins, hasher, new AuditLog(test.dataSource)).run();
  }

  const accounts = () =>
    test.dataSource.query<
      { name: string; role: string; disabled: boolean; hash: string; generation: number }[]
    >(
      `SELECT name, registry_role AS role, disabled, password_hash AS hash, password_generation AS generation
         FROM accounts WHERE deleted_at IS NULL ORDER BY name`,
    );

  const actions = async () => {
    const rows = await test.dataSource.query<{ action: string }[]>(
      'SELECT action FROM audit_events ORDER BY id',
    );
    return rows.map(({ action }) => action);
  };

  async function matches(password: string): Promise<boolean> {
    const [account] = await accounts();
    return (await hasher.verify(account?.hash ?? null, password)).matches;
  }

  const passwordFile = () => join(dataDir, 'initial-admin-password');

  it('does nothing where access is open', async () => {
    expect(await run({ ACCESS_MODE: 'open', ADMIN_PASSWORD: PASSWORD })).toBeUndefined();
    expect(await run({ ACCESS_MODE: '', ADMIN_PASSWORD: PASSWORD })).toBeUndefined();
    expect(await accounts()).toEqual([]);
  });

  it('makes an admin with a random password, in a file that others cannot read', async () => {
    const before = (await actions()).length;
    const made = await run();
    expect(made).toMatchObject({
      name: 'admin',
      initial: { text: expect.stringMatching(/^(\w{5}-){4}\w{5}$/) },
    });
    expect(await readFile(passwordFile(), 'utf8')).toBe(`${made?.initial?.text}\n`);
    expect((await stat(passwordFile())).mode & 0o777).toBe(0o600);
    expect(await accounts()).toMatchObject([{ name: 'admin', role: 'admin', disabled: false }]);
    expect(await matches(made?.initial?.text ?? '')).toBe(true);
    expect((await actions()).slice(before)).toEqual(['account.create']);
  });

  it('makes one admin, however many processes start at once', async () => {
    const made = (await Promise.all(Array.from({ length: 8 }, () => run()))).filter(
      (each) => each?.initial !== undefined,
    );
    expect(await accounts()).toHaveLength(1);
    expect(made).toHaveLength(1);
    expect(await readdir(dataDir)).toEqual(['initial-admin-password']);
    expect(await readFile(passwordFile(), 'utf8')).toBe(`${made[0]?.initial?.text}\n`);
    expect(await matches(made[0]?.initial?.text ?? '')).toBe(true);
  });

  it('leaves no account with a password that nobody can know', async () => {
    await writeFile(join(dataDir, 'file'), '');
    await expect(run({ DATA_DIR: join(dataDir, 'file/data') })).rejects.toThrow(
      /^The first admin's password can't be written to \S+initial-admin-password \(.*ENOTDIR/,
    );
    expect(await accounts()).toEqual([]);
  });

  it('repeats a password that nobody has taken, and removes one that was replaced', async () => {
    const made = await run();
    expect((await run())?.initial?.text).toBe(made?.initial?.text);
    await made?.initial?.file.remove();
    expect(await run()).toBeUndefined();
    await made?.initial?.file.write(OTHER);
    expect(await run()).toBeUndefined();
    expect(await readdir(dataDir)).toEqual([]);
    expect(await accounts()).toHaveLength(1);
  });

  it.each([
    ['ADMIN_PASSWORD', PASSWORD],
    ['ADMIN_PASSWORD_FILE', 'secret'],
  ])('applies %s, and changes nothing at the next start', async (setting, value) => {
    await writeFile(join(dataDir, 'secret'), `${PASSWORD}\r\nmore\n`);
    const settings = {
      [setting]: setting.endsWith('FILE') ? join(dataDir, value) : value,
      ADMIN_USERNAME: 'root',
    };
    expect(await run(settings)).toEqual({ name: 'root', initial: undefined });
    const first = await accounts();
    expect(first).toMatchObject([{ name: 'root', role: 'admin', generation: 0 }]);
    expect(await matches(PASSWORD)).toBe(true);
    await run(settings);
    expect(await accounts()).toEqual(first);
    expect(await readdir(dataDir)).toEqual(['secret']);
  });

  it('is the way back in', async () => {
    await run();
    await test.dataSource.query(
      `UPDATE accounts SET disabled = true, registry_role = NULL, expires_at = now() - interval '1 day'`,
    );
    const before = (await actions()).length;
    await run({ ADMIN_PASSWORD: PASSWORD });
    expect(await accounts()).toMatchObject([{ role: 'admin', disabled: false, generation: 1 }]);
    expect(await test.dataSource.query('SELECT expires_at FROM accounts')).toEqual([{ expires_at: null }]);
    expect(await matches(PASSWORD)).toBe(true);
    expect((await actions()).slice(before)).toEqual(['account.password', 'account.update']);
    const [update] = await test.dataSource.query<{ before: object; after: object }[]>(
      `SELECT before, after FROM audit_events WHERE action = 'account.update' ORDER BY id DESC LIMIT 1`,
    );
    expect(update?.before).toEqual({ role: null, disabled: true, expiresAt: expect.any(String) });
    expect(update?.after).toEqual({ role: 'admin', disabled: false, expiresAt: null });
    await run({ ADMIN_PASSWORD: OTHER });
    expect(await matches(OTHER)).toBe(true);
  });

  it('sets a password once, however many replicas start with it', async () => {
    await run();
    await Promise.all(Array.from({ length: 4 }, () => run({ ADMIN_PASSWORD: PASSWORD })));
    expect(await accounts()).toMatchObject([{ generation: 1 }]);
  });

  it.each([
    ['a robot', `('admin', 'robot', NULL)`],
    ['deleted', `('admin', 'user', now())`],
  ])('refuses a name that is %s, unless there is another admin', async (_, values) => {
    await test.dataSource.query(`INSERT INTO accounts (name, kind, deleted_at) VALUES ${values}`);
    await expect(run({ ADMIN_PASSWORD: PASSWORD })).rejects.toThrow('Set ADMIN_USERNAME to another name.');
    await expect(run()).rejects.toThrow(/^There is no admin, and the name admin \(ADMIN_USERNAME\) belongs/);
    expect(await readdir(dataDir)).toEqual([]);
    await run({ ADMIN_PASSWORD: PASSWORD, ADMIN_USERNAME: 'root' });
    expect(await run({ ADMIN_PASSWORD: PASSWORD })).toBeUndefined();
    expect(await run()).toBeUndefined();
  });

  it('makes no admin where a robot is one that can sign in', async () => {
    await test.dataSource.query(
      `WITH robot AS (
         INSERT INTO accounts (name, kind, registry_role) VALUES ('terraform', 'robot', 'admin') RETURNING id)
       INSERT INTO access_tokens (id, account_id, name, sha256) SELECT 'a', id, 'a', '' FROM robot`,
    );
    await test.dataSource.query(
      `INSERT INTO accounts (name, kind, deleted_at) VALUES ('admin', 'user', now())`,
    );
    expect(await run()).toBeUndefined();
    await test.dataSource.query('UPDATE access_tokens SET revoked_at = now()');
    expect(await run({ ADMIN_USERNAME: 'root' })).toMatchObject({ name: 'root' });
  });

  it.each([
    ['missing', undefined, /^ADMIN_PASSWORD_FILE \(.+\/secret\) can't be read \(ENOENT\)/],
    [
      'too short',
      'hunter2\n',
      /^The first line of ADMIN_PASSWORD_FILE \(.+\/secret\) is no password: expected/,
    ],
  ])('refuses a password file that is %s', async (_, text, sentence) => {
    if (text !== undefined) await writeFile(join(dataDir, 'secret'), text);
    const start = () => run({ ADMIN_PASSWORD_FILE: join(dataDir, 'secret') });
    await expect(start()).rejects.toThrow(sentence);
    await expect(start()).rejects.not.toThrow('hunter2');
  });
});
