import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AccessFixtures, type Login } from '../support/access-fixtures.js';
import { type ClientCommands, clientsOf } from '../support/access-tour.js';
import type { DocumentedProxy } from '../support/documented-proxy.js';
import { fetchTrusting } from '../support/https-client.js';
import { InteropBench } from '../support/interop-bench.js';
import { documentedSettings, startNginx } from '../support/nginx.js';
import { digestOf, withDigest } from '../support/registry-client.js';
import { describeWithClients, findProgram } from '../support/registry-tool.js';
import { signedToken } from '../support/signed-token.js';

const LATE_SECONDS = 2 * 60 * 60;

describeWithClients('nginx, as documented', ['nginx', 'skopeo', 'busybox'], () => {
  describe.each([
    ['passes requests on while they arrive', false],
    ['collects requests first', true],
  ])('which %s', (_what, buffersRequests) => {
    let bench: InteropBench;
    let nginx: DocumentedProxy;
    let ci: Login;

    beforeAll(async () => {
      bench = await InteropBench.open(await documentedSettings(), async ({ url }) => {
        nginx = await startNginx(url, buffersRequests);
        return nginx.url;
      });
      await bench.trust(nginx.authority);
      const accounts = new AccessFixtures((sql, parameters) => bench.berth.query(sql, parameters));
      ci = await accounts.account('ci', { kind: 'robot', grants: { 'team/**': 'maintain' } });
    });
    afterAll(async () => {
      await nginx.stop();
      await bench.dispose();
    });

    const send = (path: string, init?: RequestInit) =>
      fetchTrusting(new URL(path, nginx.url), init, nginx.authority);

    it('sends clients for a token to the address that they asked, by https', async () => {
      const response = await send('/v2/');
      expect([response.status, response.headers.get('www-authenticate')]).toEqual([
        401,
        `Bearer realm="${nginx.url.origin}/auth/token",service="berth"`,
      ]);
    });

    it.each((['skopeo', 'crane', 'oras'] as const).filter((program) => findProgram(program)))(
      '%s logs in, pushes, pulls, mounts and logs out',
      async (program) => {
        const client: ClientCommands = clientsOf(bench)[program];
        const run = (line = '') => bench.type(line, client);
        const [one, two] = [`team/${program}/one:v1`, `team/${program}/two:v1`];
        await bench.type(client.login(ci.name), client, ci.secret);
        await run(client.push?.(one));
        await run(client.pull(one));
        await run(client.copy?.(one, two));
        await run(client.pull(two));
        await run(client.logout);
        await expect(run(client.pull(one))).rejects.toThrow(/: log in/);
      },
    );

    it('tells Berth the address of the client', async () => {
      const sql = 'SELECT DISTINCT client_address AS address FROM audit_events WHERE actor = $1';
      const rows = await bench.berth.query<{ address: string }>(sql, [ci.name]);
      expect(rows).toEqual([{ address: nginx.url.hostname }]);
    });

    it('finishes an upload whose token has expired', async () => {
      const authorized = async (ageSeconds: number) => {
        const access = [{ type: 'repository', name: 'team/late', actions: ['pull', 'push'] }];
        const claims = { sub: ci.name, cid: `secret:${ci.secretId}`, access };
        const query = <Row extends object>(sql: string, parameters?: unknown[]) =>
          bench.berth.query<Row>(sql, parameters);
        return { Authorization: `Bearer ${await signedToken(query, { claims, ageSeconds })}` };
      };
      const path = '/v2/team/late/blobs/uploads/';
      const begun = await send(path, { method: 'POST', headers: await authorized(0) });
      const headers = await authorized(LATE_SECONDS);
      const patched = await send(begun.headers.get('location') ?? '', {
        method: 'PATCH',
        headers,
        body: 'a layer',
      });
      const location = withDigest(patched.headers.get('location') ?? '', digestOf('a layer'));
      expect((await send(location, { method: 'PUT', headers })).status).toBe(201);
      expect((await send(path, { method: 'POST', headers })).status).toBe(401);
    });
  });
});
