import { setTimeout as delay } from 'node:timers/promises';
import { AccessFixtures, type Login } from '../support/access-fixtures.js';
import { chaosRequest } from './client-request.js';
import type { Cluster } from './cluster.js';
import type { Deadline } from './deadline.js';
import type { RunResults } from './run-results.js';

/** Tokens name it, too, for mounts. */
const COMMON = 'images/common';
/** A client gets another token after so long, and may use the old one meanwhile. */
const RENEW_MS = 3_000;
/** An older token is not used: its key may be deleted. */
const USED_MS = 10_000;
const IDLE_TIMEOUT_MS = 4_000;
const PAUSE_MS = 200;
/** A change acts on each request that begins later after it. */
const SEEN_MS = 1_000;
/** So long after a key began to sign, no token in use is signed with the one before. */
const KEY_PAUSE_MS = 30_000;

interface Held {
  readonly token: string;
  readonly since: number;
}

/**
 * Access control of a run. Its clients get tokens by the secret of a robot. Meanwhile keys rotate, grants and
 * secrets of others change, and accounts are disabled, which must be refused a second later.
 */
export class ChaosAccess {
  private readonly tokens = new Map<string, Held>();
  private readonly renewals = new Map<string, Promise<Held>>();
  private readonly fixtures: AccessFixtures;
  private robot: Login | undefined;
  private counts = { changes: 0, revocations: 0, refusals: 0, keys: 0 };

  constructor(
    private readonly cluster: Cluster,
    private readonly results: RunResults,
    private readonly deadline: Deadline,
  ) {
    this.fixtures = new AccessFixtures((sql, parameters) => cluster.postgres.query(sql, parameters));
  }

  /** Makes the account of the clients. Before that, requests have no credentials. */
  async prepare(url: string): Promise<void> {
    const grants = { '**': 'maintain' } as const;
    this.robot = await this.fixtures.account('chaos-robot', { kind: 'robot', grants });
    await this.fixtures.account('other-robot', { kind: 'robot' });
    await this.token(url, COMMON);
  }

  /** The header of a request of a client, if access is not open. */
  async headers(url: string, path: string): Promise<Record<string, string>> {
    const [, repository] = /^\/v2\/(.+?)\/(?:blobs|manifests|tags|referrers)\//.exec(path) ?? [];
    if (this.robot === undefined || repository === undefined) return {};
    return { Authorization: `Bearer ${await this.token(url, repository)}` };
  }

  /** Changes access until `isOver`. */
  async run(isOver: () => boolean): Promise<void> {
    if (this.robot === undefined) return;
    await Promise.all([this.rotateKeys(isOver), this.changeOthers(isOver), this.revoke(isOver)]);
    const { changes, revocations, refusals, keys } = this.counts;
    this.results.rows.push(
      ['changes of access of others', String(changes)],
      ['accounts disabled, requests refused', `${revocations}, ${refusals}`],
      ['signing keys', String(keys)],
    );
    if (revocations === 0 || refusals === 0)
      this.results.problem('did not occur: a refusal after a revocation');
    if (keys < 2) this.results.problem('did not occur: a rotation of the signing keys');
  }

  private async token(url: string, repository: string): Promise<string> {
    const held = this.tokens.get(repository);
    const ageMs = performance.now() - (held?.since ?? -Infinity);
    const renewal = ageMs > RENEW_MS ? this.renewOnce(url, repository) : undefined;
    if (held !== undefined && ageMs <= USED_MS) return held.token;
    return (await (renewal ?? this.renewOnce(url, repository))).token;
  }

  private renewOnce(url: string, repository: string): Promise<Held> {
    const running = this.renewals.get(repository);
    if (running !== undefined) return running;
    const renewal = this.issue(url, repository).finally(() => this.renewals.delete(repository));
    // The clients of older tokens do not wait for it.
    renewal.catch(() => undefined);
    this.renewals.set(repository, renewal);
    return renewal;
  }

  private async issue(url: string, repository: string): Promise<Held> {
    const scopes = [`repository:${repository}:*`, `repository:${COMMON}:pull`].map(
      (scope) => `scope=${scope}`,
    );
    for (;;) {
      const { status, text } = await chaosRequest('GET', new URL(`/auth/token?${scopes.join('&')}`, url), {
        headers: { Authorization: this.robot?.authorization ?? '' },
        idleTimeoutMs: IDLE_TIMEOUT_MS,
      });
      if (status === 200) {
        const held = { token: (JSON.parse(text) as { token: string }).token, since: performance.now() };
        this.tokens.set(repository, held);
        return held;
      }
      if (status !== undefined && ![429, 502, 503].includes(status))
        this.results.problem(`/auth/token returned ${status}: ${text.slice(0, 300)}`);
      if (this.deadline.isOver) throw this.deadline.error(`a token for ${repository}`);
      await delay(PAUSE_MS);
    }
  }

  /**
   * Ages the keys, so that the next one is made by the next process that starts, then signs, and then the
   * first one is deleted.
   */
  private async rotateKeys(isOver: () => boolean): Promise<void> {
    const age = async (days: number) => {
      const sql = `UPDATE signing_keys SET signs_from = signs_from - ${days} * interval '1 day'`;
      while (!isOver() && !(await this.change(sql))) await delay(PAUSE_MS);
    };
    await age(29);
    while (!isOver() && this.counts.keys < 2) {
      await delay(PAUSE_MS);
      this.counts.keys = await this.countKeys();
    }
    await age(1);
    const end = performance.now() + KEY_PAUSE_MS;
    while (!isOver() && performance.now() < end) await delay(PAUSE_MS);
    await age(28);
  }

  private async countKeys(): Promise<number> {
    const sql = 'SELECT count(*)::int AS keys FROM signing_keys';
    const [row] = await this.cluster.postgres.query<{ keys: number }>(sql).catch(() => []);
    return row?.keys ?? 0;
  }

  /** Each statement raises the epoch: what processes know of rights is read again. */
  private async changeOthers(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const n = this.counts.changes;
      const other = `(SELECT id FROM accounts WHERE name = 'other-robot')`;
      const statements = [
        `INSERT INTO grants (subject, account_id, pattern, role)
         SELECT 'account', ${other}, 'other/${n}', 'pull'`,
        `DELETE FROM grants WHERE account_id = ${other}`,
        `UPDATE access_tokens SET ceiling = 'pull' WHERE account_id = ${other}`,
      ];
      if (await this.change(statements[n % statements.length] ?? '')) this.counts.changes += 1;
      await delay(PAUSE_MS);
    }
  }

  /** Disables accounts that every replica knows, and sends their tokens afterwards. */
  private async revoke(isOver: () => boolean): Promise<void> {
    for (let n = 0; !isOver(); n += 1) {
      const name = `leaving-${n}`;
      const login = await this.fixtures
        .account(name, { grants: { [COMMON]: 'pull' } })
        .catch(() => undefined);
      await delay(PAUSE_MS);
      if (login === undefined) continue;
      const path = `/auth/token?scope=repository:${COMMON}:pull`;
      const issued = await Promise.all(
        this.cluster.replicas.map(({ url }) => this.send(url, path, login.authorization)),
      );
      const token = issued.find((outcome) => outcome?.status === 200)?.text;
      const isDisabled = await this.change(`UPDATE accounts SET disabled = true WHERE name = '${name}'`);
      if (token === undefined || !isDisabled) continue;
      const since = performance.now();
      this.counts.revocations += 1;
      const bearer = `Bearer ${(JSON.parse(token) as { token: string }).token}`;
      while (performance.now() - since <= SEEN_MS) await delay(50);
      await Promise.all(this.cluster.replicas.map(({ url }) => this.expectRefusal(url, bearer, name)));
    }
  }

  private async expectRefusal(url: string | undefined, authorization: string, name: string): Promise<void> {
    const outcome = await this.send(url, `/v2/${COMMON}/tags/list`, authorization);
    if (outcome?.status === 401) this.counts.refusals += 1;
    else if (outcome?.status !== undefined && outcome.status < 500)
      this.results.problem(`${outcome.status} for ${name}, which was disabled more than a second before`);
  }

  private async send(url: string | undefined, path: string, authorization: string) {
    if (url === undefined) return undefined;
    const headers = { Authorization: authorization };
    return chaosRequest('GET', new URL(path, url), { headers, idleTimeoutMs: IDLE_TIMEOUT_MS });
  }

  /** Returns false if the database is away, or the statement waits too long for a frozen replica. */
  private change(sql: string): Promise<boolean> {
    return this.cluster.postgres.query(`SET LOCAL lock_timeout = '2s'; ${sql}`).then(
      () => true,
      () => false,
    );
  }
}
