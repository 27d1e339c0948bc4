import { createPublicKey } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import { TokenLogin } from '../../src/access/token-login.js';
import { AccessChanges } from '../../src/accounts/rights/access-changes.js';
import { AccessEpoch } from '../../src/accounts/rights/access-epoch.js';
import { LiveRights } from '../../src/accounts/rights/live-rights.js';
import { RightsStore } from '../../src/accounts/rights/rights.store.js';
import { Configuration } from '../../src/config/configuration.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { parseRepositoryName } from '../../src/oci/repository-name.js';
import { KeyRing } from '../../src/tokens/key-ring.js';
import { KeyRotation } from '../../src/tokens/key-rotation.js';
import type { ScopeAccess } from '../../src/tokens/scope.js';
import { SigningKeyStore } from '../../src/tokens/signing-key.store.js';
import { TokenIssuer } from '../../src/tokens/token-issuer.js';
import { TokenVerifier } from '../../src/tokens/token-verifier.js';
import { AccessFixtures } from '../support/access-fixtures.js';
import { claimsOf, signedToken, type TokenChanges } from '../support/signed-token.js';
import { createTestDataSource, type TestDataSource } from '../support/test-data-source.js';

const ORIGIN = { kind: 'password', accountId: '7', generation: 3 } as const;
const ACCESS: ScopeAccess[] = [{ type: 'repository', name: parseRepositoryName('a/b'), actions: ['pull'] }];
const DAY_SECONDS = 24 * 60 * 60;

/** The parts of one process that deal with tokens. */
class Process {
  readonly rotation: KeyRotation;
  readonly keys: KeyRing;
  readonly issuer: TokenIssuer;
  readonly verifier: TokenVerifier;
  readonly login: TokenLogin;
  /** Statements that read keys. */
  reads = 0;
  /** How many of the next ones fail. */
  outages = 0;
  private readonly epoch: AccessEpoch;
  private readonly changes: AccessChanges;

  constructor({ dataSource }: TestDataSource) {
    const configuration = Object.assign(new Configuration(), { accessMode: 'token' });
    const store = new SigningKeyStore(dataSource);
    const read = store.read.bind(store);
    store.read = () => {
      this.reads += 1;
      this.outages -= 1;
      return this.outages < 0
        ? read()
        : Promise.reject(Object.assign(new Error('terminating'), { code: '57P01', severity: 'FATAL' }));
    };
    this.changes = new AccessChanges(new UnitOfWork(dataSource));
    const rights = new RightsStore(dataSource);
    this.epoch = new AccessEpoch(rights, configuration, this.changes);
    this.keys = new KeyRing(store, this.epoch);
    this.rotation = new KeyRotation(store, this.changes, configuration);
    this.issuer = new TokenIssuer(this.keys, this.rotation, configuration);
    this.verifier = new TokenVerifier(this.keys, configuration);
    this.login = new TokenLogin(this.verifier, new LiveRights(this.epoch, rights), this.epoch);
  }

  issue = async () => (await this.issuer.issue('alice', ORIGIN, ACCESS)).token;

  /** As a change of access in this process does: its epoch is read at once. */
  noticeChanges = () => this.changes.run(() => Promise.resolve());
}

describe('tokens', () => {
  let test: TestDataSource;
  let berth: Process;

  const query = <Row extends object>(sql: string, parameters: unknown[] = []) =>
    test.dataSource.query<Row[]>(sql, parameters);
  const kids = async () =>
    (await query<{ kid: string }>('SELECT kid FROM signing_keys ORDER BY signs_from')).map(({ kid }) => kid);
  const age = (days: number) =>
    query(`UPDATE signing_keys SET signs_from = signs_from - $1::float8 * interval '1 day'`, [days]);
  const signed = (changes: TokenChanges) => signedToken(query, changes);

  beforeAll(async () => {
    Logger.overrideLogger(false);
    test = await createTestDataSource();
  });
  afterAll(() => test.dispose());
  beforeEach(async () => {
    await query('DELETE FROM signing_keys');
    berth = new Process(test);
    await berth.rotation.run();
  });

  it('issues what another process verifies', async () => {
    const token = await berth.issue();
    const { claims, isLate } = await new Process(test).verifier.verify(token);
    expect(claims).toMatchObject({ sub: 'alice', origin: ORIGIN, access: ACCESS });
    expect([claims.exp - claims.iat, claims.iat - claims.nbf]).toEqual([3600, 60]);
    expect(isLate).toBe(false);
  });

  it('remembers verified tokens, and reads the keys once', async () => {
    const token = await berth.issue();
    const other = new Process(test);
    for (let times = 0; times < 5; times += 1) await other.verifier.verify(token);
    expect(other.reads).toBe(1);
  });

  it('waits for a database that is away when it reads the keys', async () => {
    const other = new Process(test);
    other.outages = 2;
    await other.verifier.verify(await berth.issue());
    expect(other.reads).toBe(3);
  });

  it('gives tokens ids of their own', async () => {
    expect(await berth.issue()).not.toBe(await berth.issue());
  });

  it.each<[string, TokenChanges, boolean]>([
    ['in its time', {}, false],
    ['a minute after its end, by clocks that differ', { ageSeconds: 3600 + 50 }, false],
    ['an hour after its end', { ageSeconds: 2 * 3600 }, true],
    ['nearly a day after its end', { ageSeconds: 3600 + DAY_SECONDS }, true],
    ['a minute before its beginning, by clocks that differ', { ageSeconds: -100 }, false],
  ])('accepts a token %s', async (_when, changes, isLate) => {
    expect((await berth.verifier.verify(await signed(changes))).isLate).toBe(isLate);
  });

  it.each<[string, TokenChanges, string]>([
    ['a day and more after its end', { ageSeconds: 3600 + DAY_SECONDS + 61 }, 'has expired'],
    ['before its beginning', { ageSeconds: -200 }, 'not valid yet'],
    ['without an end', { claims: { exp: undefined } }, 'exp'],
    ['of another installation', { claims: { iss: 'other' } }, 'another installation'],
    ['for another service', { claims: { aud: 'other' } }, 'another service'],
    ['for several services', { claims: { aud: ['berth', 'other'] } }, 'another service'],
    ['with a key in its header', { header: { jwk: { kty: 'EC' } } }, 'more parameters'],
    ['with the URL of keys in its header', { header: { jku: 'https://example.com' } }, 'more parameters'],
    ['with a certificate in its header', { header: { x5u: 'https://example.com' } }, 'more parameters'],
    ['with an extension', { header: { crit: ['b64'], b64: true } }, 'more parameters'],
    ['of another type', { header: { typ: 'at+jwt' } }, 'malformed'],
    ['with an unknown key', { header: { kid: 'other' } }, 'unknown key'],
    ['that is too long', { claims: { more: 'x'.repeat(8000) } }, 'too long'],
  ])('refuses a token %s', async (_what, changes, message) => {
    const token = await signed(changes);
    await expect(berth.verifier.verify(token)).rejects.toThrow(message);
    await expect(berth.verifier.verify(token)).rejects.toThrow(message);
  });

  it.each<[string, (kid: string) => Promise<string>, string]>([
    ['no algorithm', () => Promise.resolve(new UnsecuredJWT({}).encode()), 'not signed with ES256'],
    ['the public key as a secret', (kid) => signedWithPublicKey(kid), 'not signed with ES256'],
    ['a foreign key under the known id', (kid) => signedWithForeignKey(kid), 'signature'],
  ])('refuses a token with %s', async (_what, make, message) => {
    const [kid = ''] = await kids();
    await expect(berth.verifier.verify(await make(kid))).rejects.toThrow(message);
  });

  async function signedWithPublicKey(kid: string): Promise<string> {
    const [jwk] = await berth.keys.publicKeys();
    const pem = createPublicKey({ key: { ...jwk }, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
    const claims = claimsOf(await berth.keys.issuer(), {});
    return new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid, typ: 'JWT' }).sign(Buffer.from(pem));
  }

  async function signedWithForeignKey(kid: string): Promise<string> {
    const { privateKey } = await generateKeyPair('ES256');
    const claims = claimsOf(await berth.keys.issuer(), {});
    return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid, typ: 'JWT' }).sign(privateKey);
  }

  it.each(['', '.', '..', 'a.b.c', 'e30.e30.e30', '.'.repeat(100), 'eyJhbGciOiJFUzI1NiJ9..', '\0.\0.\0'])(
    'refuses garbage: %j',
    async (token) => {
      await expect(berth.verifier.verify(token)).rejects.toThrow('the token is');
    },
  );

  it('refuses a token that was changed by one character anywhere', async () => {
    const token = await berth.issue();
    // The last character has bits that belong to no byte.
    for (let at = 0; at < token.length - 1; at += 7) {
      const changed = `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`;
      await expect(berth.verifier.verify(changed)).rejects.toThrow('the token');
    }
  });

  it('refuses a token of 60 long names', async () => {
    const access = Array.from({ length: 60 }, (_, index) => ({
      ...{ type: 'repository', actions: ['pull', 'push', 'delete'] },
      name: parseRepositoryName(`${'a'.repeat(200)}/${index}`),
    })) as ScopeAccess[];
    await expect(berth.issuer.issue('alice', ORIGIN, access)).rejects.toThrow('ask for fewer scopes');
  });

  it('reads the table at most once a few seconds for unknown keys', async () => {
    const token = await signed({ header: { kid: 'other' } });
    for (let times = 0; times < 20; times += 1) await berth.verifier.verify(token).catch(() => undefined);
    expect(berth.reads).toBeLessThan(10);
  });

  it('finds a key that another process has made, before it hears of it', async () => {
    await berth.keys.publicKeys();
    await query('DELETE FROM signing_keys');
    const other = new Process(test);
    const token = await other.issue();
    await berth.noticeChanges();
    expect((await berth.verifier.verify(token)).claims.sub).toBe('alice');
  });

  it('refuses the tokens of a deleted key, and signs with a new one', async () => {
    const token = await berth.issue();
    await berth.verifier.verify(token);
    await query('DELETE FROM signing_keys');
    await berth.noticeChanges();
    await expect(berth.verifier.verify(token)).rejects.toThrow('unknown key');
    const next = await berth.issue();
    await berth.noticeChanges();
    expect((await berth.verifier.verify(next)).claims.sub).toBe('alice');
  });

  it('makes one key in several processes that start at once', async () => {
    await query('DELETE FROM signing_keys');
    const processes = Array.from({ length: 3 }, () => new Process(test));
    const tokens = await Promise.all(processes.map(({ issue }) => issue()));
    expect(await kids()).toHaveLength(1);
    for (const token of tokens) await berth.noticeChanges().then(() => berth.verifier.verify(token));
  });

  describe('their caller', () => {
    afterEach(() => void jest.restoreAllMocks());

    const DAY_MS = DAY_SECONDS * 1000;
    let next = 0;
    const inHours = (hours: number) => new Date(Date.now() + hours * 60 * 60 * 1000);

    /** A token for an hour of a new account whose secret, or itself, ends. */
    async function tokenOf(ends: { account?: Date; secret?: Date }) {
      const { name, secretId } = await new AccessFixtures(query).account(`ada-${(next += 1)}`);
      await query('UPDATE accounts SET expires_at = $1 WHERE name = $2', [ends.account ?? null, name]);
      await query('UPDATE access_tokens SET expires_at = $1 WHERE id = $2', [ends.secret ?? null, secretId]);
      return signed({ claims: { sub: name, cid: `secret:${secretId}` } });
    }
    const pass = (ms: number) => jest.spyOn(Date, 'now').mockReturnValue(Date.now() + ms);

    it('is late when its time is over, and refused a day after', async () => {
      const token = await tokenOf({});
      const isLate = async () => {
        const { credential } = await berth.login.callerOf(token);
        return credential.kind === 'token' && credential.isLate;
      };
      expect([await isLate(), await isLate()]).toEqual([false, false]);
      pass(2 * 60 * 60 * 1000);
      expect([await isLate(), await isLate()]).toEqual([true, true]);
      pass(DAY_MS);
      await expect(isLate()).rejects.toThrow('the token has expired');
    });

    it.each([
      ['account', { account: inHours(0.5) }, 'the account has expired'],
      ['secret', { secret: inHours(0.5) }, 'the secret has expired'],
    ])('is refused when its %s ends, by the clock', async (_what, ends, message) => {
      const token = await tokenOf(ends);
      expect((await berth.login.callerOf(token)).name).toMatch(/^ada-/);
      pass(0.6 * 60 * 60 * 1000);
      await expect(berth.login.callerOf(token)).rejects.toThrow(message);
    });

    it('is found without a statement while nothing changes', async () => {
      const token = await tokenOf({});
      const first = await berth.login.callerOf(token);
      expect(await berth.login.callerOf(token)).toBe(first);
      await berth.noticeChanges();
      expect((await berth.login.callerOf(token)).name).toBe(first.name);
    });
  });

  describe('rotation', () => {
    /** What happens to the first key when it is so old. */
    it.each<[number, { keys: number; signer: 'first' | 'last' }]>([
      [1, { keys: 1, signer: 'first' }],
      [28.9, { keys: 1, signer: 'first' }],
      [29.1, { keys: 2, signer: 'first' }],
      [100, { keys: 2, signer: 'first' }],
    ])('after %d days', async (days, expected) => {
      await age(days);
      await Promise.all([berth.rotation.run(), new Process(test).rotation.run()]);
      await berth.noticeChanges();
      expect(await berth.keys.publicKeys()).toHaveLength(expected.keys);
      expect((await berth.keys.signer())?.kid).toBe((await kids()).at(expected.signer === 'first' ? 0 : -1));
    });

    it('publishes a key, signs with it after a day, and accepts the old one three days more', async () => {
      const token = await berth.issue();
      await age(29.5);
      await berth.rotation.run();
      const [first, second] = await kids();
      await age(1.1);
      await berth.noticeChanges();
      expect((await berth.keys.signer())?.kid).toBe(second);
      await berth.rotation.run();
      expect((await berth.verifier.verify(token)).claims.sub).toBe('alice');
      await age(2.5);
      await berth.rotation.run();
      expect(await kids()).toEqual([first, second]);
      await age(0.6);
      await berth.rotation.run();
      expect(await kids()).toEqual([second]);
      await expect(berth.verifier.verify(token)).rejects.toThrow('unknown key');
    });
  });
});
