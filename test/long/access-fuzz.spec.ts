import { readFileSync } from 'node:fs';
import { Agent, request as sendRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { HttpException } from '@nestjs/common';
import { parseAuthorization } from '../../src/access/authorization.js';
import { GrantSet } from '../../src/accounts/rights/grant-set.js';
import { parsePattern } from '../../src/accounts/grants/pattern.js';
import { createSecret, parseSecret } from '../../src/accounts/secrets/secret.js';
import { REPOSITORY_ACTIONS } from '../../src/accounts/grants/role.js';
import { RegistryError } from '../../src/oci/errors.js';
import { parseRepositoryName } from '../../src/oci/repository-name.js';
import { formatScopes, parseScopes } from '../../src/tokens/scope.js';
import { readClaims } from '../../src/tokens/token-claims.js';
import { TokenRequestError, TokenInvalidError } from '../../src/tokens/token.errors.js';
import { AccessFixtures, basic, type Login } from '../support/access-fixtures.js';
import { OwnBerth } from '../support/running-berth.js';
import { AccessFuzz } from './access-fuzz/inputs.js';

/** `FUZZ_SEED` for other inputs, `FUZZ_RUNS` for more of them: 1 are 103,000, of which 23,000 are sent. */
const SEED = Number(process.env['FUZZ_SEED'] ?? 14);
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 1);
const AT_ONCE = 16;
/** What caches of 10,000 entries and the collector of garbage may take. */
const MAX_GROWTH_BYTES = 96 * 1024 * 1024;
/** In each password and name that is sent, and in nothing else. */
const CANARY = 'Canary7';

/** What is returned, or what one of these errors is instead. */
function unless<T>(errors: readonly (abstract new (...parameters: never[]) => Error)[], work: () => T) {
  try {
    return work();
  } catch (error) {
    if (errors.some((each) => error instanceof each)) return undefined;
    throw error;
  }
}

describe('what is parsed', () => {
  const fuzz = new AccessFuzz(SEED);
  const many = (what: string, count: number, check: (n: number) => void) =>
    it(`${what}: ${count * RUNS} inputs`, () => {
      for (let n = 0; n < count * RUNS; n += 1) check(n);
    });

  many('the header Authorization', 25_000, (n) => {
    const good = basic(fuzz.text(), fuzz.text());
    const header = n % 2 === 0 ? fuzz.mutated(good, true) : fuzz.text(true);
    const parsed = parseAuthorization(header);
    if (parsed?.scheme === 'bearer') expect(header.endsWith(` ${parsed.token}`)).toBe(true);
    // A name has no colon, so this is the only text that it can come from.
    if (parsed?.scheme === 'basic')
      expect(header.replace(/^basic +/i, 'Basic ')).toBe(basic(parsed.name, parsed.password));
  });

  many('scopes', 20_000, (n) => {
    const good = 'repository:team/app:pull,push repository(plugin):a/b:* registry:catalog:*';
    const text = n % 2 === 0 ? fuzz.mutated(good) : fuzz.text();
    const scopes = unless([TokenRequestError], () => parseScopes([text])) ?? [];
    for (const { type, name } of scopes) {
      if (type === 'repository') expect(parseRepositoryName(name)).toBe(name);
      expect(text).toContain(`:${name}:`);
    }
    // What is in a token says the same again.
    expect(parseScopes([formatScopes(scopes)])).toEqual(scopes);
  });

  many('patterns', 15_000, (n) => {
    const text = fuzz.mutated(fuzz.random.pick(['a/b', 'a/b/**', '**', 'team-x/app', 'team/**']));
    const pattern = unless([HttpException], () => parsePattern(text));
    if (pattern === undefined) return;
    const grant = { id: '1', subject: 'account', group: null, pattern, role: 'push' } as const;
    const grants = new GrantSet([grant]);
    const names = [
      text.replace('/**', ''),
      `${text.replace('**', '')}x`,
      'a/b',
      'a/b/c',
      'a/b-c',
      'team-x/app',
    ];
    const name = unless([RegistryError], () => parseRepositoryName(names[n % names.length] ?? ''));
    if (name === undefined) return;
    // The catalogue and the decision are made from it in two ways.
    const isListed = grants.ranges('pull').some(({ from, to }) => name >= from && name < to);
    expect([text, name, grants.allows(name, 'pull')]).toEqual([text, name, isListed]);
    expect(grants.allows(name, 'delete')).toBe(false);
  });

  many('secrets', 10_000, () => {
    const { text } = createSecret();
    const mutated = fuzz.mutated(text);
    if (mutated !== text) expect(parseSecret(mutated)).toBeUndefined();
  });

  many('claims', 10_000, (n) => {
    const good = {
      iss: 'i',
      aud: 'a',
      sub: 's',
      jti: 'j',
      cid: 'anonymous',
      access: [],
      iat: 1,
      nbf: 1,
      exp: 2,
    };
    const claim = fuzz.random.pick(Object.keys(good));
    const claims = n % 3 === 0 ? fuzz.json() : { ...good, [claim]: fuzz.json() };
    const read = unless([TokenInvalidError], () => readClaims(claims, { iss: 'i', aud: 'a' }));
    for (const { actions } of read?.access ?? [])
      for (const action of actions) expect([...REPOSITORY_ACTIONS, '*']).toContain(action);
  });
});

describe('what is sent to a registry', () => {
  const fuzz = new AccessFuzz(SEED + 1);
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const grown: number[] = [];
  let berth: OwnBerth;
  let admin: Login;
  let robot: Login;
  let token: string;

  beforeAll(async () => {
    berth = await OwnBerth.start({
      ...{ ACCESS_MODE: 'token', TRUSTED_PROXIES: '127.0.0.1', LOG_LEVEL: 'trace' },
    });
    const fixtures = new AccessFixtures((sql, parameters) => berth.query(sql, parameters));
    admin = await fixtures.account('the-admin', { role: 'admin' });
    robot = await fixtures.account('robot', { kind: 'robot', grants: { 'team/**': 'push' } });
    const { body } = await send('GET', '/auth/token?scope=repository:team/app:pull', robot.authorization);
    ({ token } = JSON.parse(body) as { token: string });
  });
  afterAll(async () => {
    agent.destroy();
    await berth.dispose();
  });

  let sent = 0;

  /** From an address of its own, so that no limit of failed logins is reached. */
  function send(
    method: string,
    path: string,
    authorization?: string,
    type?: string,
    body = '',
  ): Promise<{ status: number; body: string }> {
    sent += 1;
    const address = `10.${(sent >> 16) & 255}.${(sent >> 8) & 255}.${sent & 255}`;
    const headers = {
      'X-Forwarded-For': address,
      ...(authorization !== undefined && { Authorization: authorization }),
      ...(type !== undefined && { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) }),
    };
    return new Promise((resolve, reject) => {
      const outgoing = sendRequest(new URL(berth.url), { agent, method, path, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
        );
      });
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }

  const many = (what: string, count: number, check: (n: number) => Promise<void>) =>
    it(`${what}: ${count * RUNS} requests`, async () => {
      let next = 0;
      const sender = async () => {
        while (next < count * RUNS) await check((next += 1));
      };
      await Promise.all(Array.from({ length: AT_ONCE }, sender));
      grown.push(berth.residentBytes());
    });

  many('headers', 5_000, async (n) => {
    // A password that is possible costs a hash: a few are enough.
    const password = n % 50 === 0 ? `${CANARY} password` : `berth_${CANARY}`;
    const good = fuzz.random.pick([basic(CANARY, password), robot.authorization, `Bearer ${token}`]);
    const header = n % 3 === 0 ? fuzz.text(true).slice(0, 12_000) : fuzz.mutated(good, true);
    const path = fuzz.random.pick(['/v2/', '/api/v1/me', '/v2/team/app/tags/list']);
    const { status } = await send('GET', path, header);
    const isGood = meansTheSame(header, robot.authorization) || isSameToken(header, token);
    if (!isGood) expectOneOf(status, [400, 401, 429, 431], header);
  });

  many('tokens', 9_000, async () => {
    const mutated = fuzz.token(token);
    const { status } = await send('GET', '/v2/team/app/tags/list', `Bearer ${mutated}`);
    if (!isSameToken(`Bearer ${mutated}`, token)) expectOneOf(status, [400, 401, 431], mutated);
  });

  many('forms', 3_000, async (n) => {
    const grant = fuzz.random.pick(['password', 'refresh_token', fuzz.text(), '']);
    const password = n % 50 === 0 ? `${CANARY} password` : `berth_${CANARY}${fuzz.text()}`;
    const fields = {
      grant_type: grant,
      username: CANARY,
      password,
      refresh_token: fuzz.mutated(robot.secret),
    };
    const form = new URLSearchParams({ ...fields, service: 'berth', scope: fuzz.text() }).toString();
    const type = fuzz.random.chance(0.95)
      ? 'application/x-www-form-urlencoded'
      : fuzz.text(true).slice(0, 99);
    const body = n % 3 === 0 ? fuzz.mutated(form) : form;
    const { status } = await send('POST', '/auth/token', undefined, type || 'x', body);
    if (fields.refresh_token !== robot.secret && !body.includes(robot.secret))
      expectOneOf(status, [400, 401, 413, 415, 429], body);
  });

  many('scopes', 2_000, async (n) => {
    const scope = n % 2 === 0 ? fuzz.mutated('repository:team/app:pull,push,delete') : fuzz.text();
    const query = new URLSearchParams({ scope: scope.slice(0, 4_000), service: fuzz.text().slice(0, 99) });
    const { status, body } = await send('GET', `/auth/token?${query.toString()}`, robot.authorization);
    expectOneOf(status, [200, 400], scope);
    if (status === 200)
      expect((JSON.parse(body) as { scope: string }).scope).toMatch(
        /^(repository:team\/[^:]+:(pull|push|,)+)?$/,
      );
  });

  many('names and patterns of the admin API', 2_500, async (n) => {
    const [name, pattern] = [fuzz.text(), fuzz.mutated('team/**')];
    const grant = { subject: 'account', name: 'robot', pattern, role: 'pull' };
    const mutated =
      n % 4 === 0 ? (fuzz.json() as object) : { ...grant, [fuzz.random.pick(Object.keys(grant))]: name };
    const [path, body] = fuzz.random.pick<readonly [string, unknown]>([
      ['/grants', grant],
      ['/grants', mutated],
      ['/users', { name, password: fuzz.json(1) }],
      ['/robots', { name, grants: fuzz.json(2) }],
      ['/groups', { name, description: fuzz.json(1) }],
      [`/groups/${new URLSearchParams({ name }).toString().slice(5, 999)}/members/x`, {}],
      ['/users/import', { htpasswd: fuzz.text(), existing: 'skip' }],
    ]);
    const json = JSON.stringify(body);
    const { status } = await send('POST', `/api/v1${path}`, admin.authorization, 'application/json', json);
    expectOneOf(status, [200, 201, 400, 404, 405, 409, 413], `${path} ${json}`);
  });

  many('queries of the admin API', 2_000, async (n) => {
    const names = [
      'account',
      'repository',
      'registry',
      'action',
      'actor',
      'since',
      'until',
      'cursor',
      'limit',
      'q',
    ];
    const query = Array.from({ length: fuzz.random.int(0, 4) }, (): [string, string] => [
      fuzz.random.pick(names),
      fuzz.random.chance(0.5)
        ? fuzz.text().slice(0, 999)
        : fuzz.random.pick(['pull', 'robot', 'a/b', 'catalog']),
    ]);
    const path = ['access/explain', 'audit', 'users', 'grants', 'groups'][n % 5];
    const text = new URLSearchParams(query).toString();
    const { status } = await send('GET', `/api/v1/${path}?${text}`, admin.authorization);
    expectOneOf(status, [200, 400, 404], `${path} ${text}`);
  });

  it('takes no more memory for more of it', () => {
    console.log(
      `resident MiB: ${grown.map((bytes) => Math.round(bytes / 2 ** 20)).join(', ')}; ${sent} requests`,
    );
    const [first = 0] = grown;
    expect((grown.at(-1) ?? 0) - first).toBeLessThan(MAX_GROWTH_BYTES);
  });

  it('leaves no secret in the log', () => {
    const log = readFileSync(berth.logFile, 'latin1');
    expect(log.length).toBeGreaterThan(1_000_000);
    const keys = [admin, robot].map(({ secret }) => secret.slice('berth_'.length + 12, -7));
    const [header = '', payload = '', signature = ''] = token.split('.');
    for (const text of [CANARY, ...keys, header, payload, signature, robot.authorization.slice(6)])
      expect([text, log.includes(text)]).toEqual([text, false]);
  });

  it('still serves who has access', async () => {
    const { status } = await send('GET', '/v2/team/app/tags/list', `Bearer ${token}`);
    expect(status).toBe(404);
  });
});

function expectOneOf(status: number, statuses: readonly number[], input: string): void {
  if (!statuses.includes(status)) throw new Error(`${status} for ${JSON.stringify(input).slice(0, 2_000)}`);
}

/** Spaces and the case of the scheme don't matter (RFC 9110, section 11.1). */
function meansTheSame(header: string, good: string): boolean {
  return header.trim().replace(/^basic +/i, 'Basic ') === good;
}

/** Several texts are the same bytes: the last character of a signature has bits that mean nothing. */
function isSameToken(header: string, good: string): boolean {
  const [, text = ''] = /^bearer +(.*)$/i.exec(header.trim()) ?? [];
  const parts = (token: string) => {
    const [head, payload, signature = '', ...more] = token.split('.');
    return [head, payload, Buffer.from(signature, 'base64url').toString('hex'), ...more].join('.');
  };
  return parts(text) === parts(good);
}
