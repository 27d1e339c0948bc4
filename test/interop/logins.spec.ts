import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { writeFile } from 'node:fs/promises';
import { AccessFixtures, basic } from '../support/access-fixtures.js';
import { CLIENT_NAMES, type ClientCommands, clientsOf, type Person } from '../support/access-tour.js';
import { AdminClient } from '../support/admin-client.js';
import { authorityOf } from '../support/https-client.js';
import { InteropBench } from '../support/interop-bench.js';
import { RegistryClient } from '../support/registry-client.js';
import { describeWithClients, findProgram } from '../support/registry-tool.js';

const ADMIN: Person = { name: 'admin', password: 'the-admin-of-tests' };
const ADA: Person = { name: 'ada', password: 'correct-horse-battery' };
const WRONG: Person = { name: 'ada', password: 'wrong-horse-battery' };
/** The registry's sentence; podman, skopeo and buildah have their own for a login. */
const WRONG_PASSWORD = /the user name, password or secret is wrong|invalid username\/password/;

/** A key for cosign, and a chart for helm. */
const PREPARATIONS = [
  ['cosign', 'generate-key-pair'],
  ['helm', 'package', 'app'],
] as const;

/** How clients reach the registry. */
const WAYS: Readonly<Record<string, Record<string, string>>> = {
  'over plain HTTP on this machine': { ACCESS_MODE: 'token' },
  "over TLS of Berth's own authority": { HOST: '0.0.0.0' },
};

describe.each(Object.entries(WAYS))('%s', (_way, settings) => {
  let bench: InteropBench;
  let accounts: AccessFixtures;
  let robot: Person;
  let registry: RegistryClient;

  beforeAll(async () => {
    bench = await InteropBench.open({ ...settings, ADMIN_PASSWORD: ADMIN.password });
    registry = new RegistryClient(bench.url.origin, basic(ADMIN.name, ADMIN.password));
    accounts = new AccessFixtures((sql, parameters) => bench.berth.query(sql, parameters));
    await new AdminClient(registry).call('POST', '/users', 201, ADA);
    await accounts.grant(ADA.name, 'team/**', 'maintain');
    const ci = await accounts.account('ci', { kind: 'robot', grants: { 'team/**': 'push' } });
    robot = { name: ci.name, password: ci.secret };
    await accounts.grant('anonymous', 'open/**', 'pull');
    if (bench.url.protocol === 'https:') await bench.trust(await authorityOf(bench.url.origin));
    await push('open/app:1.2.3');
    await push('hidden/app:1.2.3');
    await bench.home.run('mkdir', ['app']);
    await writeFile(bench.home.file('app/Chart.yaml'), 'apiVersion: v2\nname: app\nversion: 1.2.3\n');
    for (const [program, ...command] of PREPARATIONS)
      if (findProgram(program)) await bench.home.run(program, command, { COSIGN_PASSWORD: '' });
  });
  afterAll(() => bench.dispose());

  /** Pushes the image of the tests as the administrator. */
  async function push(reference: string): Promise<void> {
    const { skopeo } = clientsOf(bench);
    const credentials = `--dest-creds ${ADMIN.name}:${ADMIN.password}`;
    await bench.type(skopeo.push(reference).replace('skopeo copy', `skopeo copy ${credentials}`), skopeo);
  }

  describe.each(CLIENT_NAMES)('%s', (program) => {
    describeWithClients('with access control', [program, 'skopeo', 'busybox'], () => {
      const own = `team/${program}/app:1.2.3`;
      const other = `team/${program}/other/app:1.2.3`;
      let client: ClientCommands;

      beforeAll(async () => {
        client = clientsOf(bench)[program];
        await push(own);
      });

      const run = (command: string) => bench.type(command, client);
      const login = ({ name, password }: Person) => bench.type(client.login(name), client, password);

      it('says that a password is wrong', async () => {
        if (client.asksAtLogin) return expect(login(WRONG)).rejects.toThrow(WRONG_PASSWORD);
        await login(WRONG);
        await expect(run(client.pull(own))).rejects.toThrow(WRONG_PASSWORD);
      });

      it('logs in as a user, pushes, pulls, mounts, deletes, logs out', async () => {
        await login(ADA);
        if (client.push) await run(client.push(own));
        await run(client.pull(own));
        if (client.copy) {
          await run(client.copy(own, other));
          expect(await mountsIn(other)).toBeGreaterThan(0);
        }
        if (client.remove) {
          await run(client.remove(own));
          await expect(run(client.pull(own))).rejects.toThrow(/unknown|not found/i);
          await push(own);
        }
        await run(client.logout);
        await expect(run(client.pull(own))).rejects.toThrow(`may not pull from ${nameOf(own)}`);
      });

      it('logs in as a robot, which may do less', async () => {
        await login(robot);
        if (client.push) await run(client.push(own));
        await run(client.pull(own));
        await expect(run(client.pull('hidden/app:1.2.3'))).rejects.toThrow('ci may not pull from hidden/app');
        if (client.push)
          await expect(run(client.push('open/app:1.2.3'))).rejects.toThrow('ci may not push to open/app');
        if (client.remove)
          await expect(run(client.remove(own))).rejects.toThrow(`ci may not delete in ${nameOf(own)}`);
        await run(client.logout);
      });

      it('pulls without credentials what anonymous callers may pull', async () => {
        await run(client.pull(await pushOpen()));
      });

      /** Pushes what anonymous callers may pull: helm pulls only charts. */
      async function pushOpen(): Promise<string> {
        if (program !== 'helm' || !client.push) return 'open/app:1.2.3';
        await login(ADMIN);
        await run(client.push('open/helm/app:1.2.3'));
        await run(client.logout);
        return 'open/helm/app:1.2.3';
      }

      it('sends what it cannot mount, if its login may not read it', async () => {
        if (!client.copy) return;
        const to = `team/${program}/copied/app:1.2.3`;
        await run(client.copy('hidden/app:1.2.3', to, { from: ADMIN, to: ADA }));
        expect(await mountsIn(to, 'hidden/app')).toBe(0);
        await login(ADA);
        await run(client.pull(to));
        await run(client.logout);
      });
    });
  });

  describe('where anonymous callers may pull nothing', () => {
    beforeAll(async () => {
      const admin = new AdminClient(registry);
      const { items } = await admin.get<{ items: { id: string }[] }>('/grants?subject=anonymous');
      for (const { id } of items) await admin.call('DELETE', `/grants/${id}`, 204);
    });

    it.each(CLIENT_NAMES.filter((program) => findProgram(program)))('%s says: log in', async (program) => {
      const client = clientsOf(bench)[program];
      await expect(bench.type(client.pull('open/app:1.2.3'), client)).rejects.toThrow(/: log in/);
    });
  });

  const nameOf = (reference: string) => reference.replace(/:.*/, '');

  /** How many blobs were mounted into a repository, from one other or from any. */
  async function mountsIn(reference: string, source?: string): Promise<number> {
    const sql = `SELECT count(*)::int AS mounts FROM audit_events WHERE action = 'blob.mount'
      AND repository = $1 AND ($2::text IS NULL OR after ->> 'from' = $2)`;
    const [row] = await bench.berth.query<{ mounts: number }>(sql, [nameOf(reference), source ?? null]);
    return row?.mounts ?? 0;
  }
});
