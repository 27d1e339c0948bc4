import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { AccessChanges } from '../../src/accounts/rights/access-changes.js';
import { parseAccountName } from '../../src/accounts/users/account-name.js';
import { type AccountChange, AccountService } from '../../src/accounts/users/account.service.js';
import { AccountStore } from '../../src/accounts/users/account.store.js';
import { LAST_ADMIN } from '../../src/accounts/users/keep-an-admin.js';
import { PasswordHasher } from '../../src/accounts/passwords/password-hasher.js';
import { SecretService } from '../../src/accounts/secrets/secret.service.js';
import { SecretStore } from '../../src/accounts/secrets/secret.store.js';
import { NO_REQUEST } from '../../src/audit/audit-event.js';
import { AuditLog } from '../../src/audit/audit-log.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { untilSessionsWait } from '../support/lock-waits.js';
import { createTestDataSource, type TestDataSource } from '../support/test-data-source.js';

interface Fields {
  readonly kind?: 'user' | 'robot';
  readonly role?: 'reader' | 'admin' | null;
  readonly password?: boolean;
  readonly disabled?: boolean;
  /** SQL of a time. */
  readonly expiresAt?: string;
  readonly secret?: { readonly ceiling?: 'pull'; readonly expiresAt?: string; readonly revokedAt?: string };
}

const [PAST, FUTURE] = ["now() - interval '1 s'", "now() + interval '1 d'"];
const [ALICE, BOB] = [parseAccountName('alice'), parseAccountName('bob')];

describe('the last admin', () => {
  let test: TestDataSource;
  let accounts: AccountService;
  let secrets: SecretService;

  beforeAll(async () => {
    test = await createTestDataSource();
    accounts = replica().accounts;
    secrets = replica().secrets;
  });
  afterAll(() => test.dispose());
  beforeEach(() => test.dataSource.query('DELETE FROM accounts'));

  /** The services of a replica: what they share is the database. */
  function replica() {
    const changes = new AccessChanges(new UnitOfWork(test.dataSource));
    const [accountStore, secretStore] = [new AccountStore(), new SecretStore()];
    const audit = new AuditLog(test.dataSource);
    return {
      accounts: new AccountService(changes, accountStore, secretStore, new PasswordHasher(), audit),
      secrets: new SecretService(changes, accountStore, secretStore, audit),
    };
  }

  async function account(
    name: string,
    {
      kind = 'user',
      role = 'admin',
      password = kind === 'user',
      disabled = false,
      expiresAt = 'NULL',
      secret,
    }: Fields = {},
  ): Promise<void> {
    await test.dataSource.query(
      `INSERT INTO accounts (name, kind, registry_role, password_hash, disabled, expires_at)
       VALUES ($1, $2, $3, $4, $5, ${expiresAt})`,
      [name, kind, role, password ? 'hash' : null, disabled],
    );
    if (secret === undefined) return;
    await test.dataSource.query(
      `INSERT INTO access_tokens (id, account_id, name, sha256, ceiling, expires_at, revoked_at)
       SELECT name, id, '', '', $2, ${secret.expiresAt ?? 'NULL'}, ${secret.revokedAt ?? 'NULL'}
         FROM accounts WHERE name = $1`,
      [name, secret.ceiling ?? null],
    );
  }

  const outcome = (change: Promise<unknown>) =>
    change.then(
      () => 'done',
      (error: unknown) => (error instanceof Error && error.message === LAST_ADMIN ? 'refused' : error),
    );

  const SECRET_ONLY = { password: false } as const;

  it.each<[string, string, Fields | undefined]>([
    ['refused', 'nobody', undefined],
    ['done', 'an admin', {}],
    ['refused', 'a disabled admin', { disabled: true }],
    ['refused', 'a reader', { role: 'reader' }],
    ['refused', 'an expired admin', { expiresAt: PAST }],
    ['refused', 'an admin that will expire', { expiresAt: FUTURE }],
    ['refused', 'an admin that can not sign in', { password: false }],
    ['done', 'an admin with a secret', { ...SECRET_ONLY, secret: {} }],
    ['done', 'a robot', { kind: 'robot', secret: {} }],
    ['refused', 'an admin whose secret may only pull', { ...SECRET_ONLY, secret: { ceiling: 'pull' } }],
    ['refused', 'an admin whose secret expired', { ...SECRET_ONLY, secret: { expiresAt: PAST } }],
    ['refused', 'an admin whose secret will expire', { ...SECRET_ONLY, secret: { expiresAt: FUTURE } }],
    ['refused', 'an admin whose secret was revoked', { ...SECRET_ONLY, secret: { revokedAt: PAST } }],
  ])('deleting an admin is %s if there is %s else', async (expected, _, other) => {
    await account(ALICE);
    if (other !== undefined) await account(BOB, other);
    expect(await outcome(accounts.delete('user', ALICE, NO_REQUEST))).toBe(expected);
    const [row] = await test.dataSource.query<{ gone: boolean }[]>(
      `SELECT deleted_at IS NOT NULL AS gone FROM accounts WHERE name = 'alice'`,
    );
    expect(row?.gone).toBe(expected === 'done');
  });

  it.each<[string, AccountChange]>([
    ['refused', { role: null }],
    ['refused', { role: 'reader' }],
    ['refused', { disabled: true }],
    ['refused', { expiresAt: new Date(Date.now() + 3_600_000) }],
    ['done', { password: 'a long new password', revokeTokens: true }],
  ])('alone: a change is %s: %j', async (expected, change) => {
    await account(ALICE, { secret: {} });
    expect(await outcome(accounts.update('user', ALICE, change, NO_REQUEST))).toBe(expected);
  });

  it('keeps its last secret if it has no password', async () => {
    await account(ALICE, { kind: 'robot', secret: {} });
    const revoke = () => outcome(secrets.revoke({ kind: 'robot', name: ALICE }, 'alice', NO_REQUEST));
    const revokeAll = accounts.update('robot', ALICE, { revokeTokens: true }, NO_REQUEST);
    expect([await revoke(), await outcome(revokeAll)]).toEqual(['refused', 'refused']);
    const options = { name: 'another', expiresAt: null, ceiling: null };
    await secrets.create({ kind: 'robot', name: ALICE }, options, NO_REQUEST);
    expect(await revoke()).toBe('done');
  });

  it('may go if it was only usable for a time, while one without an end stays', async () => {
    await account(ALICE, { expiresAt: FUTURE });
    await account(BOB);
    expect(await outcome(accounts.delete('user', ALICE, NO_REQUEST))).toBe('done');
  });

  it('need not exist: a registry without one, in an open mode, can be changed', async () => {
    await account(ALICE, { role: 'reader' });
    expect(await outcome(accounts.delete('user', ALICE, NO_REQUEST))).toBe('done');
  });

  it('is one of two that are removed at the same time, on two replicas', async () => {
    await account(ALICE);
    await account(BOB);
    const other = replica().accounts;
    let changes: Promise<unknown[]> = Promise.resolve([]);
    // Both wait for the row that all changes lock, and then run one after the other.
    await test.dataSource.transaction(async (blocker) => {
      await blocker.query('SELECT FROM access_state FOR UPDATE');
      changes = Promise.all([
        outcome(accounts.update('user', ALICE, { role: null }, NO_REQUEST)),
        outcome(other.delete('user', BOB, NO_REQUEST)),
      ]);
      // Not on the blocker's connection: a transaction sees one state of the sessions only.
      await untilSessionsWait(test.dataSource.manager, 2);
    });
    expect((await changes).sort()).toEqual(['done', 'refused']);
    expect(await test.dataSource.query(`SELECT FROM accounts WHERE registry_role = 'admin'`)).toHaveLength(1);
  });
});
