import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { AccessFixtures, basic, type Login } from '../support/access-fixtures.js';
import { AdminClient } from '../support/admin-client.js';
import { runDirectory } from '../support/once-per-run.js';
import { RegistryClient } from '../support/registry-client.js';
import { OwnBerth } from '../support/running-berth.js';
import { useTestDatabase } from '../support/set-up.js';
import { eventually } from '../support/until.js';

/** What is promised: a change acts on each request that begins more than a second after it. */
const MAX_MS = 1_000;
/** Of each kind. */
const REVOCATIONS = 20;
const ROUNDS = 2;
const PASSWORD = 'correct horse battery';
/** Too many failed logins are a refusal, too. */
const REFUSALS = [401, 403, 429];

const database = useTestDatabase({ migrated: true });
let changing: OwnBerth;
let seeing: OwnBerth;
let fixtures: AccessFixtures;
let admin: AdminClient;

beforeAll(async () => {
  const shared = await mkdtemp(join(runDirectory(), 'shared-'));
  await mkdir(join(shared, 'storage'));
  const settings = {
    ACCESS_MODE: 'token',
    TRUSTED_PROXIES: '127.0.0.1',
    DATABASE_URL: database.url,
    STORAGE_FILESYSTEM_ROOT: join(shared, 'storage'),
  };
  changing = await OwnBerth.start(settings);
  seeing = await OwnBerth.start(settings);
  fixtures = new AccessFixtures((sql, parameters) => changing.query(sql, parameters));
  const login = await fixtures.account('the-admin', { role: 'admin' });
  admin = new AdminClient(new RegistryClient(changing.url, login.authorization));
});
afterAll(async () => {
  await changing.dispose();
  await seeing.dispose();
});

/** Somebody who has access, and the change that ends it. */
interface Revocable {
  readonly name: string;
  /** Basic. */
  readonly authorization: string;
  readonly revoke: () => Promise<unknown>;
}

const KINDS: Readonly<Record<string, (name: string) => Promise<Revocable>>> = {
  'a secret is revoked': async (name) => {
    const { authorization, secretId } = await robot(name);
    const revoke = () => admin.call('DELETE', `/robots/${name}/tokens/${secretId}`, 204);
    return { name, authorization, revoke };
  },
  'a grant is deleted': async (name) => {
    const { authorization } = await fixtures.account(name);
    const grant = { subject: 'account', name, pattern: 'team/**', role: 'pull' };
    const { id } = await admin.call<{ id: string }>('POST', '/grants', 201, grant);
    return { name, authorization, revoke: () => admin.call('DELETE', `/grants/${id}`, 204) };
  },
  'a member is removed': async (name) => {
    const { authorization } = await fixtures.account(name);
    const [group, member] = [`of-${name}`, `/groups/of-${name}/members/${name}`];
    await admin.call('POST', '/groups', 201, { name: group });
    await admin.call('PUT', member, 204);
    const grant = { subject: 'group', name: group, pattern: 'team/**', role: 'pull' };
    await admin.call('POST', '/grants', 201, grant);
    return { name, authorization, revoke: () => admin.call('DELETE', member, 204) };
  },
  'an account is disabled': async (name) => {
    const { authorization } = await robot(name);
    const revoke = () => admin.call('PATCH', `/robots/${name}`, 200, { disabled: true });
    return { name, authorization, revoke };
  },
  'a password is changed': async (name) => {
    await admin.call('POST', '/users', 201, { name, password: PASSWORD });
    await fixtures.grant(name, 'team/**', 'pull');
    const revoke = () => admin.call('PATCH', `/users/${name}`, 200, { password: `${PASSWORD} 2` });
    return { name, authorization: basic(name, PASSWORD), revoke };
  },
};

function robot(name: string): Promise<Login> {
  return fixtures.account(name, { kind: 'robot', grants: { 'team/**': 'pull' } });
}

/** Of a request that began so long after the acknowledgement of the change. */
interface Answer {
  readonly beganMs: number;
  readonly status: number;
}

describe.each([
  ['', false],
  [', while connections that listen are cut', true],
])('100 revocations in another process%s', (what, isCut) => {
  it('act on each request that begins more than a second later', async () => {
    const kinds = Object.entries(KINDS);
    const seen: number[] = [];
    const late: string[] = [];
    const cutting = new AbortController();
    const cut = isCut ? cutListeners(cutting.signal) : Promise.resolve(0);
    for (let n = 0; n < REVOCATIONS; n += ROUNDS) {
      // At several moments between two readings of the epoch, and some at the same time.
      await delay(37 * n);
      const round = kinds.flatMap(([kind, make]) =>
        Array.from({ length: ROUNDS }, async (_, each) => {
          const name = `r${kinds.findIndex(([other]) => other === kind)}-${n + each}${isCut ? '-cut' : ''}`;
          // Tokens of /auth/token and Basic, in turn.
          const answers = await revoke(await make(name), each % 2 === 0);
          const accepted = answers.filter(({ status }) => !REFUSALS.includes(status));
          seen.push(Math.max(0, ...accepted.map(({ beganMs }) => beganMs)));
          const tooLate = accepted.filter(({ beganMs }) => beganMs > MAX_MS);
          late.push(...tooLate.map(({ beganMs, status }) => `${kind}: ${status} after ${beganMs} ms`));
          expect(answers.some(({ beganMs }) => beganMs > MAX_MS)).toBe(true);
          expect(REFUSALS).toContain(answers.at(-1)?.status);
        }),
      );
      await Promise.all(round);
    }
    cutting.abort();
    const cuts = await cut;
    seen.sort((a, b) => a - b);
    const figures = { revocations: seen.length, slowestMs: seen.at(-1), medianMs: seen[seen.length >> 1] };
    console.log(`revocations${what}: ${JSON.stringify({ ...figures, cuts })}`);
    expect(late).toEqual([]);
    expect(seen).toHaveLength(kinds.length * REVOCATIONS);
    if (isCut) expect(cuts).toBeGreaterThan(0);
  });
});

/** Sends requests to the other process, of which at least the first one is allowed, and revokes meanwhile. */
async function revoke(revocable: Revocable, byToken: boolean): Promise<Answer[]> {
  const { name, authorization } = revocable;
  const address = `10.${name.length}.0.${Number(/\d+$/.exec(name.replace('-cut', ''))?.[0]) + 1}`;
  const headers = (value: string) => ({ headers: { Authorization: value, 'X-Forwarded-For': address } });
  // The account may be too new for the other process.
  const scope = 'repository:team/app:pull';
  const issued = async () => {
    const response = await fetch(`${seeing.url}/auth/token?scope=${scope}`, headers(authorization));
    return (await response.json()) as { token?: string; scope?: string };
  };
  const { token } = await eventually(issued, (body) => body.scope === scope);
  const used = byToken ? `Bearer ${token}` : authorization;
  const probe = async () => {
    const response = await fetch(`${seeing.url}/v2/team/app/tags/list`, headers(used));
    await response.arrayBuffer();
    return response.status;
  };
  // The repository does not exist, which only those learn who may pull it.
  expect(await probe()).toBe(404);

  let acknowledged = Infinity;
  const requests: { began: number; status: number }[] = [];
  const revoked = revocable.revoke().then(() => (acknowledged = performance.now()));
  // However slow the machine is, one request begins after the second.
  for (let began = 0; !(began > acknowledged + MAX_MS); await delay(5)) {
    began = performance.now();
    requests.push({ began, status: await probe() });
  }
  await revoked;
  return requests.map(({ began, status }) => ({ beganMs: Math.ceil(began - acknowledged), status }));
}

/** Returns how many connections it has cut. */
async function cutListeners(signal: AbortSignal): Promise<number> {
  let cuts = 0;
  while (!signal.aborted) {
    const sql = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                  WHERE datname = current_database() AND application_name = 'berth-listener'`;
    cuts += (await changing.query(sql)).length;
    await delay(50);
  }
  return cuts;
}
