import { randomBytes } from 'node:crypto';
import { hash as bcrypt } from '@node-rs/bcrypt';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { TooManyLoginsError, UnauthorizedError } from '../../src/accounts/logins/login.errors.js';
import { createSecret, type NewSecret } from '../../src/accounts/secrets/secret.js';
import { queryRows } from '../../src/database/query-rows.js';
import { loginReplica, type LoginReplica } from '../support/login-replica.js';
import { createTestDataSource, type TestDataSource } from '../support/test-data-source.js';

const PASSWORD = 'correct horse battery';
const WRONG = 'correct horse staple';
const HOME = '192.0.2.1';
const ELSEWHERE = '192.0.2.2';

describe('logins', () => {
  let test: TestDataSource;
  let cheapHash: string;
  let one: LoginReplica;
  let other: LoginReplica;
  let name: string;

  beforeAll(async () => {
    test = await createTestDataSource();
    cheapHash = await bcrypt(PASSWORD, 4);
  });
  afterAll(() => test.dispose());

  beforeEach(async () => {
    await query('DELETE FROM login_failures');
    [one, other] = [newReplica(), newReplica()];
    name = await newAccount();
  });

  const query = <Row>(sql: string, parameters: unknown[] = []) =>
    queryRows<Row>(test.dataSource.manager, sql, parameters);

  const replicas: LoginReplica[] = [];
  const newReplica = () => {
    const replica = loginReplica(test.dataSource);
    replicas.push(replica);
    return replica;
  };
  afterEach(async () => {
    for (const { uses } of replicas.splice(0)) await uses.onModuleDestroy();
  });

  /** A user whose hash is cheap to verify; it is replaced by the first login. */
  async function newAccount(
    passwordHash: string | null = cheapHash,
    kind = 'user',
    fresh = `user-${randomBytes(6).toString('hex')}`,
  ): Promise<string> {
    const sql = `INSERT INTO accounts (name, kind, password_hash) VALUES ($1, $2, $3)`;
    await query(sql, [fresh, kind, passwordHash]);
    return fresh;
  }

  async function newSecret(owner = name, columns: { ceiling?: string } = {}): Promise<NewSecret> {
    const secret = createSecret();
    const sql = `INSERT INTO access_tokens (id, account_id, name, sha256, ceiling)
                 SELECT $1, id, 'test', $2, $4 FROM accounts WHERE name = $3`;
    await query(sql, [secret.id, secret.sha256, owner, columns.ceiling ?? null]);
    return secret;
  }

  /** Changes rows as the services do: at once for this replica. */
  const change = (sql: string, parameters: unknown[] = [name]) =>
    one.changes.run((transaction) => queryRows(transaction, sql, parameters));

  const origin = (clientAddress: string) => ({ clientAddress, userAgent: 'test', requestId: 'r' });
  const login = (replica: LoginReplica, password = PASSWORD, address = HOME, as = name) =>
    replica.logins.login(as, password, origin(address));
  const loginWithSecret = (text: string) => one.logins.loginWithSecret(text, origin(HOME));
  const outcome = (attempt: Promise<unknown>) =>
    attempt.then(
      () => 'logged in',
      (error: unknown) => {
        if (error instanceof UnauthorizedError) return 'refused';
        if (error instanceof TooManyLoginsError) return 'too many';
        throw error;
      },
    );
  const fail = async (times: number, address = HOME, as = name) => {
    for (let n = 0; n < times; n += 1) {
      const password = `${WRONG} ${n}`;
      expect(await outcome(login(n % 2 === 0 ? one : other, password, address, as))).toBe('refused');
    }
  };
  const failuresElsewhere = (count: number, network = HOME) =>
    query(`INSERT INTO login_failures VALUES ($1, -1, date_trunc('minute', now()), $2, false)`, [
      network,
      count,
    ]);

  describe('with a password', () => {
    it('returns the account', async () => {
      const { account, via, ceiling } = await login(one);
      expect([account.name, via, ceiling]).toEqual([name, { kind: 'password', generation: 0 }, null]);
    });

    it('says the same, whatever is wrong', async () => {
      const robot = await newAccount(null, 'robot');
      const disabled = await newAccount();
      const expired = await newAccount();
      const deleted = await newAccount();
      await change('UPDATE accounts SET disabled = true WHERE name = $1', [disabled]);
      await change('UPDATE accounts SET expires_at = now() WHERE name = $1', [expired]);
      await change('UPDATE accounts SET deleted_at = now() WHERE name = $1', [deleted]);
      const verify = jest.spyOn(one.hasher, 'verify');
      const attempts = [
        ...[robot, disabled, expired, deleted, 'unknown', name.toUpperCase(), ` ${name}`, '', 'a\0b'].map(
          (as) => login(one, PASSWORD, HOME, as),
        ),
        ...[WRONG, '', ` ${PASSWORD}`, PASSWORD.toUpperCase()].map((password) => login(one, password)),
      ];
      const errors = await Promise.all(attempts.map((attempt) => attempt.catch((error: unknown) => error)));
      expect(errors.every((error) => error instanceof UnauthorizedError)).toBe(true);
      expect(new Set(errors.map((error) => (error as Error).message)).size).toBe(1);
      expect(new Set(errors).size).toBe(errors.length);
      // All but those without a name or a password cost a hash.
      expect(verify).toHaveBeenCalledTimes(errors.length - 2);
    });

    it('verifies a password once a minute, and once for concurrent requests', async () => {
      const verify = jest.spyOn(one.hasher, 'verify');
      await Promise.all(Array.from({ length: 10 }, () => login(one)));
      const queries = jest.spyOn(test.dataSource.manager, 'query');
      await Promise.all(Array.from({ length: 10 }, () => login(one)));
      expect(verify).toHaveBeenCalledTimes(1);
      // The epoch is read again after a second.
      const others = queries.mock.calls.filter((call) => !JSON.stringify(call).includes('access_state'));
      expect(others).toEqual([]);
      queries.mockRestore();
    });

    it('shares the verification of a wrong password between requests, and keeps nothing', async () => {
      const verify = jest.spyOn(one.hasher, 'verify');
      const burst = await Promise.all(Array.from({ length: 20 }, () => outcome(login(one, WRONG))));
      expect(new Set(burst)).toEqual(new Set(['refused']));
      expect(verify).toHaveBeenCalledTimes(1);
      await change('UPDATE accounts SET password_hash = $2 WHERE name = $1', [name, await bcrypt(WRONG, 4)]);
      expect(await outcome(login(one, WRONG))).toBe('logged in');
    });

    it.each([
      ['a new password', `password_hash = 'none', password_generation = password_generation + 1`],
      ['a new generation', `password_generation = password_generation + 1, password_hash = NULL`],
      ['a disabled account', 'disabled = true'],
      ['an expired account', 'expires_at = now()'],
      ['a deleted account', 'deleted_at = now()'],
    ])('forgets it after a change: %s', async (_, columns) => {
      await login(one);
      expect(await outcome(login(one))).toBe('logged in');
      await change(`UPDATE accounts SET ${columns} WHERE name = $1`);
      expect(await outcome(login(one))).toBe('refused');
    });

    it('keeps it after a change of something else', async () => {
      await login(one);
      const verify = jest.spyOn(one.hasher, 'verify');
      await change(`UPDATE accounts SET registry_role = 'reader' WHERE name = $1`);
      expect((await login(one)).account.registryRole).toBe('reader');
      expect(verify).not.toHaveBeenCalled();
    });

    it('replaces a bcrypt hash, without a change of rights', async () => {
      const state = async () => {
        const sql = `SELECT epoch, password_generation, password_hash FROM access_state, accounts
                      WHERE name = $1`;
        return (await query<Record<string, unknown>>(sql, [name]))[0]!;
      };
      const before = await state();
      await login(one);
      const after = await state();
      expect(after).toEqual({
        ...before,
        password_hash: expect.stringContaining('$argon2id$v=19$m=32768,t=3,p=1$'),
      });
      expect(await outcome(login(other))).toBe('logged in');
      expect(await state()).toEqual(after);
    });
  });

  describe('with a secret', () => {
    it('returns the account and the ceiling', async () => {
      const { id, text } = await newSecret(name, { ceiling: 'pull' });
      for (const { account, via, ceiling } of [await login(one, text), await loginWithSecret(text)]) {
        expect([account.name, via, ceiling]).toEqual([name, { kind: 'secret', id }, 'pull']);
      }
    });

    it('hashes nothing, right or wrong', async () => {
      const verify = jest.spyOn(one.hasher, 'verify');
      const { text } = await newSecret();
      expect(await outcome(login(one, text))).toBe('logged in');
      expect(await outcome(login(one, createSecret().text))).toBe('refused');
      expect(verify).not.toHaveBeenCalled();
    });

    it.each([
      ['revoked', 'UPDATE access_tokens SET revoked_at = now() WHERE id = $1'],
      ['expired', 'UPDATE access_tokens SET expires_at = now() WHERE id = $1'],
      ['of other bytes', `UPDATE access_tokens SET sha256 = sha256('') WHERE id = $1`],
      [
        'of a disabled account',
        'UPDATE accounts SET disabled = true WHERE id = (SELECT account_id FROM access_tokens WHERE id = $1)',
      ],
      [
        'of a deleted account',
        `UPDATE accounts SET deleted_at = now()
          WHERE id = (SELECT account_id FROM access_tokens WHERE id = $1)`,
      ],
    ])('is refused if the secret is %s', async (_, sql) => {
      const { id, text } = await newSecret();
      expect(await outcome(login(one, text))).toBe('logged in');
      await change(sql, [id]);
      expect(await outcome(login(one, text))).toBe('refused');
      expect(await outcome(loginWithSecret(text))).toBe('refused');
    });

    it('is refused with the name of another account', async () => {
      const { text } = await newSecret(await newAccount());
      expect(await outcome(login(one, text))).toBe('refused');
    });

    it('says that a secret is mistyped, and does not count it', async () => {
      const { text } = await newSecret();
      for (const mistyped of [text.slice(0, -1), `${text}a`, 'berth_']) {
        await expect(login(one, mistyped)).rejects.toThrow('mistyped or incomplete');
      }
      expect(await query('SELECT FROM login_failures')).toEqual([]);
    });

    it('records the minute of its last use, without a change of rights', async () => {
      const { id, text } = await newSecret();
      const epoch = await query('SELECT epoch FROM access_state');
      await Promise.all([login(one, text), login(one, text)]);
      await one.uses.flush();
      const rows = await query<{ seconds: number; age: number }>(
        `SELECT extract(second FROM last_used_at)::int AS seconds,
                extract(epoch FROM now() - last_used_at)::int AS age FROM access_tokens WHERE id = $1`,
        [id],
      );
      expect(rows[0]?.seconds).toBe(0);
      expect(rows[0]?.age).toBeLessThan(300);
      expect(await query('SELECT epoch FROM access_state')).toEqual(epoch);
    });
  });

  describe('that fail', () => {
    it('are limited to 10 per name and address, on all replicas, before any hash', async () => {
      await fail(10);
      const verify = jest.spyOn(one.hasher, 'verify');
      expect(await outcome(login(one))).toBe('too many');
      expect(await outcome(login(other))).toBe('too many');
      expect(verify).not.toHaveBeenCalled();
      expect(await outcome(login(one, PASSWORD, ELSEWHERE))).toBe('logged in');
      expect(await outcome(login(one, PASSWORD, HOME, await newAccount()))).toBe('logged in');
    });

    it('say when to retry, and are forgotten then', async () => {
      await fail(10);
      const error = await login(one).catch((thrown: unknown) => thrown);
      const { retryAfterSeconds } = error as TooManyLoginsError;
      expect(retryAfterSeconds).toBeGreaterThan(9 * 60);
      expect(retryAfterSeconds).toBeLessThanOrEqual(11 * 60);
      const age = (seconds: number) =>
        query(`UPDATE login_failures SET minute = minute - $1 * interval '1 s'`, [seconds]);
      await age(retryAfterSeconds - 60);
      expect(await outcome(login(newReplica()))).toBe('too many');
      await age(60);
      expect(await outcome(login(newReplica()))).toBe('logged in');
    });

    it.each([
      ['2001:db8:1:2::1', '2001:db8:1:2:ffff::', 'too many'],
      ['2001:db8:1:2::1', '2001:db8:1:3::1', 'logged in'],
      ['192.0.2.9', '::ffff:192.0.2.9', 'too many'],
    ])('from %s count for %s: %s', async (address, next, expected) => {
      await fail(10, address);
      expect(await outcome(login(other, PASSWORD, next))).toBe(expected);
    });

    it('do not refuse a password that was verified before', async () => {
      await login(one);
      await fail(10);
      expect(await outcome(login(one))).toBe('logged in');
      expect(await outcome(login(newReplica()))).toBe('too many');
    });

    it('do not refuse a good secret, but bad ones', async () => {
      const { id, text } = await newSecret();
      await change('UPDATE access_tokens SET revoked_at = now() WHERE id = $1', [id]);
      for (let n = 0; n < 10; n += 1) expect(await outcome(login(one, text))).toBe('refused');
      expect(await outcome(login(one, text))).toBe('too many');
      expect(await outcome(loginWithSecret(text))).toBe('too many');
      expect(await outcome(login(one, (await newSecret()).text))).toBe('logged in');
    });

    it('are tried one after the other, so that a burst is limited too', async () => {
      const verify = jest.spyOn(one.hasher, 'verify');
      const passwords = Array.from({ length: 16 }, (_, n) => `${WRONG} ${n}`);
      const outcomes = await Promise.all(passwords.map((password) => outcome(login(one, password))));
      expect(outcomes.filter((each) => each === 'refused')).toHaveLength(10);
      expect(verify).toHaveBeenCalledTimes(10);
    });

    it('are limited to 100 per address, whatever the names', async () => {
      await failuresElsewhere(98);
      await fail(1);
      await fail(1, HOME, 'unknown');
      expect(await outcome(login(one, PASSWORD, HOME, await newAccount()))).toBe('too many');
      expect(await outcome(login(one, PASSWORD, HOME, 'never heard of'))).toBe('too many');
      expect(await outcome(login(one, PASSWORD, ELSEWHERE))).toBe('logged in');
    });

    it('do not lock out names that have logged in from the address, up to their own limit', async () => {
      await login(one);
      await failuresElsewhere(100);
      await fail(9);
      expect(await outcome(login(newReplica()))).toBe('logged in');
      await fail(1);
      expect(await outcome(login(other))).toBe('too many');
    });

    it('do not count for the address if the name has logged in from there', async () => {
      await login(one);
      await failuresElsewhere(99);
      await fail(5);
      expect(await outcome(login(one, PASSWORD, HOME, await newAccount()))).toBe('logged in');
    });

    it('count for the address again after two days without a login', async () => {
      await login(one);
      await query(`UPDATE logins SET last_at = last_at - interval '2 days'`);
      await failuresElsewhere(100);
      expect(await outcome(login(other))).toBe('too many');
    });

    it('leave no old rows, and no names', async () => {
      await query(
        `INSERT INTO login_failures
         SELECT 'old', n, now() - interval '12 min', 1, false FROM generate_series(1, 10) n`,
      );
      await fail(1, HOME, 'my-own-password');
      const rows = await query<Record<string, unknown>>('SELECT * FROM login_failures');
      expect(rows).toEqual([
        {
          network: HOME,
          name_hash: expect.any(Number),
          minute: expect.any(Date),
          failures: 1,
          is_exempt: false,
        },
      ]);
      expect(rows[0]?.name_hash).toBeLessThan(65_536);
    });
  });

  describe('in the audit log', () => {
    const events = (subject: string) =>
      query(
        `SELECT action, actor, client_address, request_id, after FROM audit_events
          WHERE subject = $1 ORDER BY id`,
        [subject],
      );
    const event = { action: 'login', actor: expect.anything(), client_address: HOME, request_id: 'r' };

    it('are there once a day for each account, address and credential', async () => {
      const { id, text } = await newSecret();
      for (const replica of [one, other, newReplica()]) {
        await login(replica);
        await login(replica, text);
      }
      const expected = ['password', id].map((credential) => ({
        ...event,
        actor: name,
        after: { credential },
      }));
      expect(await events(name)).toEqual(expected);
      await query(`UPDATE logins SET last_at = last_at - interval '1 day'`);
      await login(newReplica());
      expect(await events(name)).toHaveLength(3);
    });

    it('have failures once a minute, without names that do not exist', async () => {
      await fail(4);
      await fail(4, HOME, 'my-own-password');
      // The id of a secret may look like the name of an account.
      const { id, text } = createSecret();
      const namesake = await newAccount(null, 'robot', id);
      expect(await outcome(loginWithSecret(text))).toBe('refused');
      expect(await events(namesake)).toEqual([]);
      const minutes = await query('SELECT FROM login_failures WHERE failures > 0 GROUP BY minute');
      const failure = { ...event, action: 'login.failure', actor: null, after: null };
      const found = await events(name);
      expect(found.length).toBeGreaterThan(0);
      expect(found.length).toBeLessThanOrEqual(minutes.length);
      expect(found[0]).toEqual(failure);
      expect(await events('my-own-password')).toEqual([]);
    });
  });
});
