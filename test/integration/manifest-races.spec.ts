import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { queryRows } from '../../src/database/query-rows.js';
import { digestOf, OCI_INDEX, OCI_MANIFEST, refusal, RegistryClient } from '../support/registry-client.js';
import { freshName } from '../support/fresh-name.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { during, type Statement, waitingFor } from '../support/held-transaction.js';
import { untilSessionsWait } from '../support/lock-waits.js';
import { tagEvents } from '../support/tag-events.js';

describe('manifests that are pushed and deleted at the same time', () => {
  let berth: TestBerth;
  let client: RegistryClient;

  beforeAll(async () => {
    berth = await startTestBerth();
    client = new RegistryClient(berth.url);
  });
  afterAll(() => berth.dispose());

  const events = (name: string) => tagEvents(berth.database.dataSource.manager, name);

  it('records a history of each tag in which every move starts where the last one ended', async () => {
    const name = freshName();
    const images = await Promise.all(
      ['1', '2', '3'].map(async (version) =>
        JSON.stringify(await client.makeImage(name, ['l'], { annotations: { version } })),
      ),
    );
    const statuses = await Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        const image = String(images[index % 3]);
        if (index % 4 === 0)
          return (await client.fetch(`/v2/${name}/manifests/${digestOf(image)}`, { method: 'DELETE' }))
            .status;
        if (index % 7 === 0)
          return (await client.fetch(`/v2/${name}/manifests/t1`, { method: 'DELETE' })).status;
        return (await client.putManifest(name, `t${index % 2}`, image)).status;
      }),
    );
    expect(statuses.filter((status) => ![201, 202, 404].includes(status))).toEqual([]);

    for (const tag of ['t0', 't1']) {
      const history = (await events(name)).filter((event) => event.tag === tag);
      const broken = history.filter(
        (event, index) => event.from_digest !== (history[index - 1]?.to_digest ?? null),
      );
      expect(broken).toEqual([]);
      const now = await client.fetch(`/v2/${name}/manifests/${tag}`, { method: 'HEAD' });
      expect(now.headers.get('docker-content-digest')).toBe(history.at(-1)?.to_digest ?? null);
    }
  });

  it('deletes an index and its child at the same time without a failure', async () => {
    const name = freshName();
    for (let round = 0; round < 10; round += 1) {
      const image = JSON.stringify(
        await client.makeImage(name, ['l'], { annotations: { round: String(round) } }),
      );
      await client.putManifest(name, digestOf(image), image);
      const descriptor = {
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest: digestOf(image),
        size: image.length,
      };
      const index = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [descriptor] });
      const pushed = await client.putManifest(name, digestOf(index), index, { 'Content-Type': OCI_INDEX });
      expect(pushed.status).toBe(201);
      const statuses = await Promise.all(
        [image, index, image].map(
          async (manifest) =>
            (await client.fetch(`/v2/${name}/manifests/${digestOf(manifest)}`, { method: 'DELETE' })).status,
        ),
      );
      expect(statuses[1]).toBe(202);
      // The child is refused as long as the index lists it, then one of the two requests deletes it.
      expect(['202 404', '202 405', '405 405']).toContain([statuses[0], statuses[2]].sort().join(' '));
    }
  });

  describe('while another session holds a lock', () => {
    const ofRepository = 'WHERE repository_id = (SELECT id FROM repositories WHERE name = $1)';
    const lockOfTags = (name: string): Statement => [`SELECT FROM tags ${ofRepository} FOR UPDATE`, [name]];

    it('keeps a blob if a manifest that refers to it is pushed at the same time', async () => {
      const name = freshName();
      const image = await client.makeImage(name, []);
      const content = JSON.stringify(image);
      const values = [
        ...[name, digestOf(content), OCI_MANIFEST, null, null, null, Buffer.from(content)],
        ...[[image.config.digest], [], false, ['v1'], null],
      ];
      const push = 'SELECT put_manifest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)';
      const path = `/v2/${name}/blobs/${image.config.digest}`;
      const deletion = await waitingFor(berth, [[push, values]], () =>
        client.fetch(path, { method: 'DELETE' }),
      );
      expect(await refusal(deletion)).toBe('405 DENIED');
      expect((await client.fetch(path)).status).toBe(200);
    });

    it('refuses a manifest whose blob is deleted at the same time', async () => {
      const name = freshName();
      const image = await client.makeImage(name, []);
      const unlink: Statement = [`DELETE FROM repository_blobs ${ofRepository}`, [name]];
      const push = await waitingFor(berth, [unlink], () => client.putManifest(name, 'v1', image));
      expect(await refusal(push)).toBe('404 MANIFEST_BLOB_UNKNOWN');
      expect((await client.fetch(`/v2/${name}/manifests/v1`)).status).toBe(404);
    });

    it('drops a waiting push when its client disconnects', async () => {
      const name = freshName();
      const image = await client.makeImage(name);
      const next = JSON.stringify({ ...image, annotations: { version: '2' } });
      expect((await client.putManifest(name, 'latest', image)).status).toBe(201);
      const somethingElse = async () => {
        for (let n = 0; n < 5; n += 1)
          expect((await client.putManifest(`${name}/other${n}`, 'v', {}, {})).status).toBe(400);
      };
      const [push] = await during(berth.databaseUrl, [lockOfTags(name)], async () => {
        const begun = client.putManifest(name, 'latest', { ...image, annotations: { version: '1' } });
        await untilSessionsWait(berth.database.dataSource.manager);
        const leaving = new AbortController();
        const left = fetch(`${berth.url}/v2/${name}/manifests/latest`, {
          method: 'PUT',
          headers: { 'Content-Type': OCI_MANIFEST },
          body: next,
          signal: leaving.signal,
        }).catch(() => 'left');
        await somethingElse();
        leaving.abort();
        expect(await left).toBe('left');
        await somethingElse();
        return [begun] as const;
      });
      expect((await push).status).toBe(201);
      // Otherwise it would have run before this push.
      expect((await client.putManifest(name, 'latest', image)).status).toBe(201);
      expect((await client.fetch(`/v2/${name}/manifests/${digestOf(next)}`)).status).toBe(404);
      expect(await events(name)).toHaveLength(3);
    });

    it('leaves database connections to pulls, readiness and pushes to other repositories', async () => {
      const own = await startTestBerth({
        DATABASE_URL: berth.databaseUrl,
        STORAGE_FILESYSTEM_ROOT: berth.driver.location,
        DATABASE_POOL_SIZE: '10',
      });
      const other = new RegistryClient(own.url);
      const [name, elsewhere] = [freshName(), freshName()];
      const image = await other.makeImage(name);
      await other.makeImage(elsewhere);
      for (const each of [name, elsewhere]) {
        expect((await other.putManifest(each, 'latest', image)).status).toBe(201);
      }
      const moved = { ...image, annotations: { version: '2' } };
      const pushes = await during(berth.databaseUrl, [lockOfTags(name)], async () => {
        const begun = Array.from({ length: 30 }, () => other.putManifest(name, 'latest', moved));
        await untilSessionsWait(berth.database.dataSource.manager);
        const responses = await Promise.all([
          other.fetch(`/v2/${name}/manifests/latest`),
          other.fetch(`/v2/${elsewhere}/manifests/latest`),
          other.fetch(`/v2/${elsewhere}/tags/list`),
          other.fetch('/health/ready'),
          other.putManifest(elsewhere, 'v2', image),
          other.fetch(`/v2/${elsewhere}/blobs/uploads/`, { method: 'POST' }),
        ]);
        expect(responses.map(({ status }) => status)).toEqual([200, 200, 200, 200, 201, 202]);
        return begun;
      });
      const statuses = (await Promise.all(pushes)).map(({ status }) => status);
      expect(statuses).toEqual(pushes.map(() => 201));
      expect(await events(name)).toHaveLength(2);
      await own.dispose();
    });
  });

  it('creates a repository once for many concurrent first pushes', async () => {
    const name = freshName();
    await Promise.all(Array.from({ length: 10 }, (_, index) => client.pushBlob(name, `blob ${index}`)));
    const rows = await queryRows(
      berth.database.dataSource.manager,
      'SELECT 1 FROM repositories WHERE name = $1',
      [name],
    );
    expect(rows).toHaveLength(1);
  });
});
