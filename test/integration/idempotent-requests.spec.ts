import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { requestKey } from '../../src/idempotency/request-key.js';
import { RequestRetention } from '../../src/idempotency/request-retention.js';
import { AccessFixtures, type AccountOptions } from '../support/access-fixtures.js';
import { AdminClient } from '../support/admin-client.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { freshName } from '../support/fresh-name.js';
import { type Statement, waitingFor } from '../support/held-transaction.js';
import { NAME_CHANGES, type NameChange, sendChange } from '../support/name-changes.js';
import { contentHeaders, digestOf, refusal, RegistryClient } from '../support/registry-client.js';
import { rowsOf } from '../support/repository-rows.js';
import { runJob, stopJobs } from '../support/run-job.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { StoredObjects } from './support/stored-objects.js';

const HOUR_SECONDS = 3600;

describe('requests with an Idempotency-Key', () => {
  let berth: TestBerth;
  let other: TestBerth;
  let clients: [RegistryClient, RegistryClient];
  let key: string;

  beforeAll(async () => {
    berth = await startTestBerth();
    other = await startTestBerth({
      DATABASE_URL: berth.databaseUrl,
      STORAGE_FILESYSTEM_ROOT: berth.driver.location,
    });
    // The collector would change rows that the tests compare.
    for (const each of [berth, other]) await stopJobs(each);
    clients = [new RegistryClient(berth.url), new RegistryClient(other.url)];
  });
  afterAll(async () => {
    await other.dispose();
    await berth.dispose();
  });
  beforeEach(() => void (key = randomUUID()));

  const query = <Row>(sql: string, parameters: unknown[] = []) => berth.query<Row>(sql, parameters);
  const rows = (repository: string) => rowsOf(query, repository);
  const recorded = async () => Number((await query<{ n: string }>(COUNT))[0]?.n);
  const COUNT = 'SELECT count(*) AS n FROM idempotent_requests';
  const answerOf = async (response: Response) => ({
    status: response.status,
    headers: contentHeaders(response),
    body: await response.text(),
  });
  const doLater = async ({ later }: NameChange) => {
    for (const change of later) expect((await sendChange(clients[0], change)).ok).toBe(true);
  };

  describe.each(Object.entries(NAME_CHANGES))('%s', (_, prepare) => {
    let change: NameChange;
    beforeEach(async () => void (change = await prepare(clients[0])));

    it('has the same response again, on another replica, and no second effect', async () => {
      const first = await answerOf(await sendChange(clients[0], change, key));
      expect(first.status).toBe(change.status);
      const effect = await rows(change.repository);
      expect(await answerOf(await sendChange(clients[1], change, key))).toEqual(first);
      expect(await rows(change.repository)).toEqual(effect);
    });

    it('does not undo what somebody else did meanwhile', async () => {
      const first = await answerOf(await sendChange(clients[0], change, key));
      expect(first.status).toBe(change.status);
      await doLater(change);
      const later = await rows(change.repository);
      expect(await answerOf(await sendChange(clients[1], change, key))).toEqual(first);
      expect(await rows(change.repository)).toEqual(later);
    });

    it('is another request with another key', async () => {
      expect((await sendChange(clients[0], change, key)).status).toBe(change.status);
      await doLater(change);
      const later = await rows(change.repository);
      const again = await sendChange(clients[1], change, randomUUID());
      // The source of a mount may be gone: then there is nothing to do again.
      if (again.status === change.status) expect(await rows(change.repository)).not.toEqual(later);
      else expect(change.path).toContain('mount=');
    });

    it('has one effect if it arrives ten times at once', async () => {
      const twin = await prepare(clients[0]);
      expect((await sendChange(clients[0], twin)).status).toBe(change.status);
      const all = Array.from({ length: 10 }, (_, n) => sendChange(clients[n % 2 ? 1 : 0], change, key));
      const statuses = (await Promise.all(all)).map(({ status }) => status);
      expect(statuses).toEqual(all.map(() => change.status));
      expect(await counts(change.repository)).toEqual(await counts(twin.repository));
    });

    it('has one effect if its response was lost', async () => {
      const proxy = await FaultProxy.start(berth.url);
      proxy.inject({ method: change.method, fault: { kind: 'lose response' } });
      await expect(sendChange(new RegistryClient(proxy.endpoint), change, key)).rejects.toThrow();
      const effect = await rows(change.repository);
      expect((await sendChange(clients[1], change, key)).status).toBe(change.status);
      expect(await rows(change.repository)).toEqual(effect);
      await proxy.close();
    });

    it('writes no row without a key', async () => {
      const before = await recorded();
      expect((await sendChange(clients[0], change)).status).toBe(change.status);
      expect(await recorded()).toBe(before);
    });
  });

  /** How many rows a repository has, by table. */
  const counts = async (repository: string) =>
    Object.fromEntries(Object.entries(await rows(repository)).map(([table, { length }]) => [table, length]));

  describe('that fail are not recorded', () => {
    const unknown = digestOf('unknown');
    it.each<[string, string, string, string]>([
      ['PUT', 'manifests/latest', '', '400 MANIFEST_INVALID'],
      ['DELETE', 'manifests/latest', '', '404 NAME_UNKNOWN'],
      ['DELETE', `manifests/${unknown}`, '', '404 NAME_UNKNOWN'],
      ['DELETE', `blobs/${unknown}`, '', '404 BLOB_UNKNOWN'],
    ])('%s …/%s', async (method, path, body, expected) => {
      const before = await recorded();
      const change = { method, path: `/v2/${freshName()}/${path}`, body };
      expect(await refusal(await sendChange(clients[0], change, key))).toBe(expected);
      expect(await recorded()).toBe(before);
    });

    it('a manifest whose blob is missing succeeds later with the same key', async () => {
      const name = freshName();
      const image = await clients[0].makeImage(name);
      const body = JSON.stringify({ ...image, layers: [{ ...image.config, digest: digestOf('late') }] });
      const change = { method: 'PUT', path: `/v2/${name}/manifests/latest`, body };
      const refused = await sendChange(clients[0], change, key);
      expect(await refusal(refused)).toBe('404 MANIFEST_BLOB_UNKNOWN');
      await clients[0].pushBlob(name, 'late');
      expect((await sendChange(clients[1], change, key)).status).toBe(201);
      expect((await rows(name)).tag_events).toHaveLength(1);
    });

    it('what is needed is deleted later with the same key', async () => {
      const name = freshName();
      const image = await clients[0].makeImage(name, []);
      const manifest = { method: 'PUT', path: `/v2/${name}/manifests/latest`, body: JSON.stringify(image) };
      expect((await sendChange(clients[0], manifest)).status).toBe(201);
      const change = { method: 'DELETE', path: `/v2/${name}/blobs/${image.config.digest}` };
      expect(await refusal(await sendChange(clients[0], change, key))).toBe('405 DENIED');
      const digest = digestOf(JSON.stringify(image));
      await clients[0].fetch(`/v2/${name}/manifests/${digest}`, { method: 'DELETE' });
      expect((await sendChange(clients[1], change, key)).status).toBe(202);
    });

    it('a mount that starts an upload', async () => {
      const before = await recorded();
      const change = { method: 'POST', path: `/v2/${freshName()}/blobs/uploads/?mount=${unknown}&from=none` };
      const locations = await Promise.all(
        [0, 1].map(async () => {
          const response = await sendChange(clients[0], change, key);
          expect(response.status).toBe(202);
          return response.headers.get('location');
        }),
      );
      expect(new Set(locations).size).toBe(2);
      expect(await recorded()).toBe(before);
    });
  });

  it('a repeat succeeds though the object of a blob was lost since', async () => {
    const name = freshName();
    const image = await clients[0].makeImage(name, ['soon lost']);
    const change = { method: 'PUT', path: `/v2/${name}/manifests/latest`, body: JSON.stringify(image) };
    expect((await sendChange(clients[0], change, key)).status).toBe(201);
    const logged = jest.spyOn(Logger.prototype, 'error').mockReturnValue(undefined);
    await new StoredObjects(berth).lose(digestOf('soon lost'));
    // The other replica has not seen the object.
    expect((await sendChange(clients[1], change, key)).status).toBe(201);
    expect(await refusal(await sendChange(clients[1], change))).toBe('404 MANIFEST_BLOB_UNKNOWN');
    expect(logged).toHaveBeenCalled();
    logged.mockRestore();
  });

  describe('that arrive while the first one runs', () => {
    let change: NameChange;
    let bytes: Buffer;
    beforeEach(async () => {
      change = await NAME_CHANGES['DELETE of a tag']!(clients[0]);
      bytes = requestKey({
        ...{ caller: null, method: 'DELETE', target: change.path, contentType: null, idempotencyKey: key },
      });
    });
    const repeatAfter = (...functions: string[]) =>
      waitingFor(
        berth,
        functions.map((name): Statement => [`SELECT ${name}($1)`, [bytes]]),
        () => sendChange(clients[0], change, key),
      );

    it('wait for it, and have its response if it succeeds', async () => {
      expect((await repeatAfter('claim_request')).status).toBe(202);
      expect((await rows(change.repository)).tags).toHaveLength(1);
    });

    it('do what it has not done if it fails', async () => {
      expect((await repeatAfter('claim_request', 'release_request')).status).toBe(202);
      expect((await rows(change.repository)).tags).toEqual([]);
    });
  });

  describe('are not confused with', () => {
    let name: string;
    let bodies: [string, string];
    beforeEach(async () => {
      name = freshName();
      const image = await clients[0].makeImage(name);
      bodies = [JSON.stringify(image), JSON.stringify({ ...image, annotations: { version: '2' } })];
      expect((await put('latest', bodies[0])).status).toBe(201);
    });
    const put = (reference: string, body: string) =>
      sendChange(clients[0], { method: 'PUT', path: `/v2/${name}/manifests/${reference}`, body }, key);
    const tagsOf = async () => (await rows(name)).tags.map((tag) => tag['name']);

    it('those of another body', async () => {
      expect((await put('latest', bodies[1])).status).toBe(201);
      expect((await rows(name)).tag_events).toHaveLength(2);
    });

    it('those of another path, query or method', async () => {
      expect((await put('other', bodies[0])).status).toBe(201);
      const digest = digestOf(bodies[0]);
      for (const tag of ['a', 'b']) expect((await put(`${digest}?tag=${tag}`, bodies[0])).status).toBe(201);
      expect(await tagsOf()).toEqual(['a', 'b', 'latest', 'other']);
      const deletion = { method: 'DELETE', path: `/v2/${name}/manifests/latest` };
      expect((await sendChange(clients[0], deletion, key)).status).toBe(202);
      expect(await tagsOf()).toEqual(['a', 'b', 'other']);
    });
  });

  describe('are forgotten', () => {
    const forget = () => runJob(berth.app.get(RequestRetention));
    /** The clock was observed for so long. */
    const observe = async (seconds: number) => {
      await query('DELETE FROM upload_clock');
      await query(
        `INSERT INTO upload_clock (seconds, seen_at)
         VALUES (0, now() - $1::float8 * interval '1 second'), ($1::float8, now())`,
        [seconds],
      );
    };
    const age = (seconds: number) =>
      query(`UPDATE idempotent_requests SET recorded_at = now() - $1::float8 * interval '1 second'`, [
        seconds,
      ]);

    afterEach(() => observe(0));

    it('after an hour, and not before', async () => {
      const change = await NAME_CHANGES['DELETE of a tag']!(clients[0]);
      expect((await sendChange(clients[0], change, key)).status).toBe(202);
      await observe(2 * HOUR_SECONDS);
      await age(HOUR_SECONDS - 60);
      expect(await forget()).toEqual({});
      await doLater(change);
      expect((await sendChange(clients[0], change, key)).status).toBe(202);
      expect((await rows(change.repository)).tags).toHaveLength(1);

      await age(HOUR_SECONDS + 60);
      expect((await forget())['deletedRequests']).toBeGreaterThan(0);
      expect((await sendChange(clients[0], change, key)).status).toBe(202);
      expect((await rows(change.repository)).tags).toEqual([]);
    });

    it('in batches', async () => {
      await observe(2 * HOUR_SECONDS);
      await query('DELETE FROM idempotent_requests');
      await query(`INSERT INTO idempotent_requests (key, recorded_at)
                   SELECT decode(md5(n::text), 'hex'), now() - interval '2 hours'
                     FROM generate_series(1, 2500) AS n`);
      expect(await forget()).toEqual({ deletedRequests: 2500 });
      expect(await recorded()).toBe(0);
    });

    it('never because the clock jumps ahead', async () => {
      await query(`INSERT INTO idempotent_requests (key) VALUES ('before the jump')`);
      await age(2 * HOUR_SECONDS);
      await observe(HOUR_SECONDS / 2);
      expect(await forget()).toEqual({});
    });
  });
});

describe('an Idempotency-Key with access control', () => {
  let berth: TestBerth;
  let accounts: AccessFixtures;
  beforeAll(async () => {
    berth = await startTestBerth({ ACCESS_MODE: 'token' });
    accounts = new AccessFixtures((sql, parameters) => berth.query(sql, parameters));
  });
  afterAll(() => berth.dispose());

  const clientOf = async (name: string, options: AccountOptions) => {
    const { authorization } = await accounts.account(name, options);
    return new RegistryClient(berth.url, authorization);
  };

  it('belongs to its caller, and rights are checked on each repeat', async () => {
    const [name, key] = [freshName(), randomUUID()];
    const alice = await clientOf('alice', { grants: { [name]: 'maintain' } });
    const bob = await clientOf('bob', { grants: { [name]: 'maintain' } });
    const stranger = await clientOf('stranger', {});
    const admin = new AdminClient(await clientOf('root', { role: 'admin' }));
    const image = await alice.makeImage(name);
    const push = { method: 'PUT', path: `/v2/${name}/manifests/latest`, body: JSON.stringify(image) };
    const deletion = { method: 'DELETE', path: push.path };
    const tags = async () => (await rowsOf((...call) => berth.query(...call), name)).tags.length;

    expect((await sendChange(alice, push, key)).status).toBe(201);
    expect((await sendChange(alice, deletion, key)).status).toBe(202);
    expect((await sendChange(alice, push, key)).status).toBe(201);
    expect(await tags()).toBe(0);
    expect(await refusal(await sendChange(stranger, push, key))).toBe('403 DENIED');
    expect((await sendChange(bob, push, key)).status).toBe(201);
    expect(await tags()).toBe(1);

    const { items } = await admin.get<{ items: { id: string }[] }>('/grants?subject=account&name=alice');
    await admin.call('DELETE', `/grants/${items[0]?.id}`, 204);
    expect(await refusal(await sendChange(alice, push, key))).toBe('403 DENIED');
  });
});
