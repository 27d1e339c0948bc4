import { hash } from '@node-rs/bcrypt';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { AccessFixtures, basic, type Login } from '../support/access-fixtures.js';
import { refusal, RegistryClient, specErrors } from '../support/registry-client.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';

const PASSWORD = 'correct horse battery';
const WRONG = 'wrong and typed into the log?';

describe('logins', () => {
  let berth: TestBerth;
  let client: RegistryClient;
  let accounts: AccessFixtures;
  let alice: Login;
  let robot: Login;
  let addresses = 0;

  beforeAll(async () => {
    // Each test has a client address of its own, since failed logins are counted by address.
    const environment = { ACCESS_MODE: 'token', TRUSTED_PROXIES: '127.0.0.1,::1', LOG_LEVEL: 'info' };
    berth = await startTestBerth(environment);
    client = new RegistryClient(berth.url);
    accounts = new AccessFixtures((sql, parameters) => berth.query(sql, parameters));
    alice = await accounts.account('alice');
    robot = await accounts.account('ci', { kind: 'robot' });
    await berth.query(`UPDATE accounts SET password_hash = $1 WHERE name = 'alice'`, [
      await hash(PASSWORD, 4),
    ]);
  });
  afterAll(() => berth.dispose());

  const newAddress = () => `2001:db8:${(addresses += 1).toString(16)}::1`;
  const get = (path: string, authorization: string | undefined, from = newAddress()) => {
    const headers = { 'X-Forwarded-For': from, ...(authorization !== undefined && { authorization }) };
    return client.fetch(path, { headers });
  };
  const bearer = (token: string) => `Bearer ${token}`;

  it.each([
    ['a password', () => basic('alice', PASSWORD)],
    ['a secret as password', () => basic('alice', alice.secret)],
    ['a secret of a robot', () => basic('ci', robot.secret)],
    ['a secret alone', () => bearer(alice.secret)],
    ['another spelling of the scheme', () => basic('alice', PASSWORD).replace('Basic ', 'bAsIC   ')],
  ])('accept %s, on /v2/ and on the admin API', async (_, authorization) => {
    expect((await get('/v2/', authorization())).status).toBe(200);
    expect((await get('/api/v1/me', authorization())).status).toBe(200);
  });

  it.each<[string, () => string | undefined]>([
    ['nothing', () => undefined],
    ['a wrong password', () => basic('alice', WRONG)],
    ['an unknown name', () => basic('nobody', PASSWORD)],
    ['a name in capitals', () => basic('Alice', PASSWORD)],
    ['a robot with a password', () => basic('ci', PASSWORD)],
    ['a secret of another account', () => basic('alice', robot.secret)],
    ['a mistyped secret', () => bearer(`${alice.secret}x`)],
    ['a password alone', () => bearer(PASSWORD.replaceAll(' ', ''))],
    ['an unknown scheme', () => `Digest ${basic('alice', PASSWORD).slice(6)}`],
    ['no scheme', () => basic('alice', PASSWORD).slice(6)],
    ['an empty header', () => ''],
    ['text in place of base64', () => `Basic alice:${PASSWORD}`],
    ['a name without a password', () => basic('alice', '')],
  ])('refuse %s, on /v2/ and on the admin API', async (_, authorization) => {
    const response = await get('/v2/', authorization());
    expect(response.headers.get('www-authenticate')).toMatch(/^Bearer realm=/);
    expect(await refusal(response)).toBe('401 UNAUTHORIZED');
    const problem = await get('/api/v1/me', authorization());
    expect([problem.status, problem.headers.get('content-type')]).toEqual([401, 'application/problem+json']);
  });

  it('refuse everything else without a failure of the server', async () => {
    const scheme = fc.constantFrom('', 'Basic ', 'Bearer ', 'Bearer berth_', 'Bearer eyJ.');
    const text = fc.string({
      unit: fc.integer({ min: 0x21, max: 0xff }).map((code) => String.fromCharCode(code)),
    });
    await fc.assert(
      fc.asyncProperty(scheme, text, async (start, rest) => {
        const latin1 = Array.from(`${start}${rest}`, (char) => (char === '\u007f' ? '~' : char)).join('');
        expect((await get('/v2/', latin1)).status).toBe(401);
      }),
    );
  });

  it('are refused with 429 and a time after ten failures of a name from an address', async () => {
    const from = newAddress();
    for (let n = 0; n < 10; n += 1) {
      expect((await get('/v2/', basic('alice', `${WRONG}${n}`), from)).status).toBe(401);
    }
    const response = await get('/v2/', basic('alice', `${PASSWORD} `), from);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(500);
    const [error] = await specErrors(response);
    expect([response.status, error?.code]).toEqual([429, 'TOOMANYREQUESTS']);
    expect(error?.message).toContain('the password that your client has stored');
    expect((await get('/v2/', basic('alice', alice.secret), from)).status).toBe(200);
  });

  it('leave no password, secret or name of a failure in the log', async () => {
    const typed = 'a-password-typed-as-name';
    for (const authorization of [
      basic(typed, typed),
      basic('alice', WRONG),
      basic('alice', alice.secret),
      bearer(robot.secret),
      bearer(`${robot.secret}x`),
      `Basic ${WRONG}`,
    ]) {
      await (await get('/v2/', authorization)).text();
    }
    const log = JSON.stringify(berth.log());
    expect(log).toContain('/v2/');
    for (const secret of [
      typed,
      WRONG,
      PASSWORD,
      alice.secret,
      robot.secret,
      basic('alice', WRONG).slice(6),
    ]) {
      expect(log).not.toContain(secret);
    }
    const rows = await berth.query('SELECT to_jsonb(e)::text AS row FROM audit_events e');
    expect(JSON.stringify(rows)).not.toMatch(new RegExp([typed, WRONG, PASSWORD, alice.secret].join('|')));
  });
});
