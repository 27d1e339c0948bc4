import { beforeAll, describe, expect, it } from '@jest/globals';
import { AuditLog } from '../../../src/audit/audit-log.js';
import { AdminStore } from '../../../src/accounts/first-run/admin.store.js';
import { RightsStore } from '../../../src/accounts/rights/rights.store.js';
import { SecretUses } from '../../../src/accounts/secrets/secret-uses.js';
import { UnitOfWork, type Transaction } from '../../../src/database/unit-of-work.js';
import { TlsAuthorityStore } from '../../../src/tls/tls-authority.store.js';
import { SigningKeyStore } from '../../../src/tokens/signing-key.store.js';
import { AccessFixtures, basic, type Login } from '../../support/access-fixtures.js';
import { AdminClient } from '../../support/admin-client.js';
import { expectResponse } from '../../support/query-plans/expect-response.js';
import type { PlannedRegistry } from '../../support/query-plans/planned-registry.js';
import { BUSY_NETWORK, FAR_REACHING, ROBOT } from '../../support/query-plans/seed-logins.js';
import { EMPTY_JSON } from '../../support/query-plans/seed-statements.js';
import { digestOf, RegistryClient } from '../../support/registry-client.js';
import { signedToken } from '../../support/signed-token.js';

const PAGE = 100;
/** As many as may reach an account: its own, those of its groups, and those of everybody. */
const GRANTS = 1_000;
/** An account with a few grants of its own and of its groups. */
const SOME_GRANTS = 700;
/** Each failed login forgets so many old ones. */
const FORGOTTEN = 10;
const PASSWORD = 'correct horse battery';
const SETTINGS = { ACCESS_MODE: 'token', TRUSTED_PROXIES: '127.0.0.1' };
/** Of `PASSWORD`, at the least cost. */
const BCRYPT = '$2b$04$sO2kdvWmLK1wCnmL.Qk6IeEcTY6aibZmjQSgJxVVDh3DTiewWBqa.';

export function describeLogins(registry: PlannedRegistry): void {
  describe('access control', () => {
    let admin: Login;
    let far: string;

    beforeAll(async () => {
      const fixtures = new AccessFixtures((sql, parameters) => registry.look(sql, parameters));
      admin = await fixtures.account('the-admin', { role: 'admin' });
      far = await secretOf(registry, fixtures, FAR_REACHING);
      await registry.restart(SETTINGS, admin.authorization);
    });

    describeCatalogue(registry, () => far);
    describeCallers(registry, () => admin);
    describeLists(registry);
    describeChanges(registry);
    describeStores(registry);
  });
}

/** The header of a login by a secret of an account of the seed. */
async function secretOf(registry: PlannedRegistry, fixtures: AccessFixtures, name: string): Promise<string> {
  const { secret, secretId } = await fixtures.account(`${name}-2`);
  await registry.look(
    'UPDATE access_tokens SET account_id = (SELECT id FROM accounts WHERE name = $2) WHERE id = $1',
    [secretId, name],
  );
  return basic(name, secret);
}

function describeCatalogue(registry: PlannedRegistry, authorization: () => string): void {
  const fetchAs = (path: string, method = 'GET') =>
    new RegistryClient(registry.berth.url, authorization()).fetch(path, { method });

  describe('of a caller whom a thousand grants reach', () => {
    it('rights are read', () => registry.expectCost(GRANTS, () => expectResponse(fetchAs('/v2/'), 200)));

    it.each([
      ['the first page of the catalogue', ''],
      ['a page in the middle', '&last=wide/0300'],
      ['the last page', '&last=wide/0980'],
    ])('%s', async (_, last) => {
      const statements = await registry.statementsOf(async () => {
        const response = await expectResponse(fetchAs(`/v2/_catalog?n=${PAGE}${last}`), 200);
        const { repositories } = (await response.json()) as { repositories: string[] };
        expect(repositories.length).toBeGreaterThan(0);
      });
      // Of the statements of each range, none reads more than the page.
      expect(registry.faults(PAGE, statements)).toEqual([]);
      // One more than the page has tells whether there is another one.
      expect(registry.rowsOf('repositories', statements)).toBeLessThanOrEqual(PAGE + 1);
      const visited = statements.filter(({ sql }) => sql.includes('FROM repositories'));
      expect(visited.length).toBeLessThanOrEqual(GRANTS);
    });

    it('mounts without a source', () =>
      // All links of the blob are looked at, as far as a limit of 10,000 allows it.
      registry.expectCost(registry.sizes.filled, () =>
        expectResponse(fetchAs(`/v2/wide/0020/app-20/blobs/uploads/?mount=${EMPTY_JSON}`, 'POST'), 202),
      ));
    it('mounts without a source, an unknown blob', () =>
      registry.expectCost(1, () =>
        expectResponse(fetchAs(`/v2/wide/0020/app-20/blobs/uploads/?mount=${digestOf('x')}`, 'POST'), 202),
      ));
  });
}

function describeCallers(registry: PlannedRegistry, admin: () => Login): void {
  const rights = () => registry.berth.app.get(RightsStore);
  const cost = (what: string, items: number, work: () => Promise<unknown>) =>
    it(what, () => registry.expectCost(items, work));
  const from = (address: string, authorization: string, path = '/api/v1/me') =>
    registry.anonymous.fetch(path, {
      headers: { Authorization: authorization, 'X-Forwarded-For': address },
    });
  const status = (code: number, response: () => Promise<Response>) => () => expectResponse(response(), code);

  describe('who calls', () => {
    cost('the epoch', 1, () => rights().epoch());
    cost('an account with a thousand grants', GRANTS, async () =>
      expect((await rights().account(FAR_REACHING))?.grants.grants).toHaveLength(GRANTS),
    );
    cost('an account that is not there', 1, () => rights().account('nobody'));
    cost('callers without credentials', 5, () => rights().anonymous());
    cost('a secret', 1, () => rights().secret('secret500'));

    it('a login with a password', async () => {
      await registry.admin.call('POST', '/users', 201, { name: 'password-login', password: PASSWORD });
      const login = status(200, () => from('10.1.1.1', basic('password-login', PASSWORD)));
      await registry.expectCost(SOME_GRANTS, login);
    });
    it('the first login with a hash of an htpasswd file', async () => {
      const sql = `INSERT INTO accounts (name, kind, password_hash) VALUES ('of-htpasswd', 'user', $1)`;
      await registry.look(sql, [BCRYPT]);
      const login = status(200, () => from('10.1.1.2', basic('of-htpasswd', PASSWORD)));
      await registry.expectCost(SOME_GRANTS, login);
    });
    cost(
      'a failed login',
      FORGOTTEN,
      status(401, () => from('10.1.1.3', basic('account-500', 'a wrong password'))),
    );
    cost(
      'a failed login of nobody',
      FORGOTTEN,
      status(401, () => from('10.1.1.3', basic('nobody', 'a wrong one'))),
    );
    cost('a failed login of a secret', FORGOTTEN, () =>
      expectResponse(from('10.1.1.3', basic('nobody', admin().secret)), 401),
    );
    cost(
      'a login where many others failed',
      300,
      status(401, () => from(BUSY_NETWORK, basic('account-5', 'x'))),
    );
    cost('a login with a secret', 20, () => expectResponse(from('10.1.1.4', admin().authorization), 200));
    cost('that a secret was used', 1, () => registry.berth.app.get(SecretUses).flush());

    it('a token for 60 scopes', async () => {
      const scopes = Array.from({ length: 60 }, (_, n) => `scope=repository:wide/0001/app-${n}:pull,push`);
      const path = `/auth/token?${scopes.join('&')}`;
      await registry.admin.call('PATCH', '/groups/group-1', 200, { description: 'so that rights are read' });
      await registry.look('UPDATE access_state SET epoch = epoch + 1');
      await registry.expectCost(1, () => expectResponse(registry.client.fetch(path), 200));
    });
    it('a token that has expired, for an upload that its account began', async () => {
      const location = await registry.client.startUpload('team-2/service-2');
      const query = <Row extends object>(sql: string, parameters?: unknown[]) =>
        registry.look<Row & Record<string, unknown>>(sql, parameters);
      const access = [{ type: 'repository', name: 'team-2/service-2', actions: ['pull', 'push'] }];
      const claims = { sub: admin().name, cid: `secret:${admin().secretId}`, access };
      const token = await signedToken(query, { claims, ageSeconds: 3 * 3600 });
      const late = new RegistryClient(registry.berth.url, `Bearer ${token}`);
      await registry.expectCost(1, () => expectResponse(late.fetch(location), 204));
    });
  });
}

function describeLists(registry: PlannedRegistry): void {
  /** The first page, then the second one. `items` of a row: what is counted for it. */
  const pages = (what: string, path: string, items = 1) =>
    it.each(['first', 'second'])(`the %s page of ${what}`, async (which) => {
      const url = `${path}${path.includes('?') ? '&' : '?'}limit=${PAGE}`;
      const { nextCursor } = await registry.admin.get<{ nextCursor: string | null }>(url);
      const wanted = which === 'first' ? url : `${url}&cursor=${nextCursor}`;
      await registry.expectCost(PAGE * items, () => registry.admin.get(wanted));
    });
  const one = (what: string, path: string, items = 1) =>
    it(what, () => registry.expectCost(items, () => registry.admin.get(path)));

  describe('the lists of the admin API', () => {
    pages('users', '/users', 8);
    pages('users with a prefix', '/users?q=account-15', 8);
    one('a user', '/users/account-500', 8);
    pages('robots', '/robots', 8);
    one('a robot', `/robots/${ROBOT}`, 150);
    pages('secrets of a robot', `/robots/${ROBOT}/tokens`);
    pages('secrets of a robot by their time', `/robots/${ROBOT}/tokens?sort=-createdAt`);
    pages('grants of accounts', '/grants?subject=account');
    one(
      'why a caller may pull',
      `/access/explain?account=${FAR_REACHING}&repository=a/b&action=pull`,
      GRANTS,
    );
    one('why anybody may pull', '/access/explain?repository=a/b&action=pull', 5);
  });
}

function describeChanges(registry: PlannedRegistry): void {
  const change = (
    what: string,
    items: number,
    method: string,
    path: string,
    status: number,
    body?: unknown,
  ) => it(what, () => registry.expectCost(items, () => registry.admin.call(method, path, status, body)));

  describe('changes of access', () => {
    change('create a user', 1, 'POST', '/users', 201, { name: 'changed', password: PASSWORD });
    it('change the own password', async () => {
      const own = new RegistryClient(registry.berth.url, basic('changed', PASSWORD));
      const body = { currentPassword: PASSWORD, newPassword: `${PASSWORD} 2` };
      const put = () => new AdminClient(own).call('PUT', '/me/password', 204, body);
      await registry.expectCost(20, put);
    });
    change('change a user', 3, 'PATCH', '/users/account-500', 200, { role: 'reader', revokeTokens: true });
    change('disable an admin', 3, 'PATCH', '/users/account-1001', 200, { disabled: true });
    change('import users', 2, 'POST', '/users/import', 200, {
      htpasswd: `imported-1:${BCRYPT}\nimported-2:${BCRYPT}\n`,
    });
    change('delete a user', 8, 'DELETE', '/users/account-502', 204);
    change('create a robot', 60, 'POST', '/robots', 201, {
      name: 'many-grants',
      grants: Array.from({ length: 50 }, (_, n) => ({ pattern: `new/${n}`, role: 'push' })),
    });
    change('create a secret', 150, 'POST', `/robots/${ROBOT}/tokens`, 201, { name: 'another' });
    change('revoke a secret', 1, 'DELETE', `/robots/${ROBOT}/tokens/own1`, 204);
    change('delete a robot', 60, 'DELETE', '/robots/many-grants', 204);

    it('grant to everybody, which counts the grants of all accounts', async () => {
      await registry.look(`DELETE FROM grants WHERE subject = 'signed-in' AND pattern = 'public/5/**'`);
      const grant = { subject: 'signed-in', pattern: 'changed/**', role: 'pull' };
      await registry.admin.call('POST', '/grants', 201, grant);
    });
  });
}

function describeStores(registry: PlannedRegistry): void {
  const { app } = { app: () => registry.berth.app };
  const inTransaction = (work: (transaction: Transaction) => Promise<unknown>) =>
    app().get(UnitOfWork).run(work, 'access');
  const cost = (what: string, items: number, work: () => Promise<unknown>) =>
    it(what, () => registry.expectCost(items, work));

  describe('in the background, and at a start', () => {
    cost('old events of the audit log are deleted', GRANTS, () =>
      app()
        .get(AuditLog)
        .prune(60 * 86_400, GRANTS),
    );

    const keys = () => app().get(SigningKeyStore);
    cost('keys are read', 3, () => keys().read());
    cost('changes of keys are due', 3, () => keys().due());
    it('keys are rotated', () =>
      registry.expectCost(3, () =>
        inTransaction(async (transaction) => {
          await keys().dueIn(transaction);
          await keys().deleteOld(transaction);
          await keys().insert({ kid: 'a key', jwk: { x: '', y: '', d: '' } }, 30, transaction);
        }).finally(() => registry.look(`DELETE FROM signing_keys WHERE kid = 'a key'`)),
      ));

    const admins = () => app().get(AdminStore);
    cost('the first admin is looked for', 1, () => admins().find('account-5'));
    cost('any admin is looked for', 10, () => admins().anyAdmin());
    it('an admin is made', async () => {
      await registry.expectCost(1, () =>
        inTransaction((transaction) => admins().insert(transaction, 'first-admin', 'no hash')),
      );
      const found = await admins().find('first-admin');
      if (found === undefined) throw new Error('the admin was not made');
      await registry.expectCost(1, () =>
        inTransaction((transaction) => admins().makeAdmin(transaction, found, null)),
      );
    });

    const authority = () => app().get(TlsAuthorityStore);
    it('the certificate authority is made, read and replaced', () =>
      registry.expectCost(1, async () => {
        await authority().insert({ cert: 'a', key: 'b' });
        const found = await authority().read();
        if (found !== undefined) await authority().replace(found, { cert: 'c', key: 'd' });
      }));
  });
}
