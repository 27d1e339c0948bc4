import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { queryRows } from '../../src/database/query-rows.js';
import { digestOf, OCI_INDEX, RegistryClient } from '../support/registry-client.js';
import { freshName, startTestBerth, type TestBerth } from '../support/test-berth.js';

interface TagEvent {
  tag: string;
  from_digest: string | null;
  to_digest: string | null;
}

describe('manifests that are pushed and deleted at the same time', () => {
  let berth: TestBerth;
  let client: RegistryClient;

  beforeAll(async () => {
    berth = await startTestBerth();
    client = new RegistryClient(berth.url);
  });
  afterAll(() => berth.dispose());

  const events = (name: string) =>
    queryRows<TagEvent>(
      berth.database.dataSource.manager,
      `SELECT e.tag, e.from_digest, e.to_digest FROM tag_events e JOIN repositories r ON r.id = e.repository_id
        WHERE r.name = $1 ORDER BY e.id`,
      [name],
    );

  it('leaves a history of each tag in which every move begins where the last one ended', async () => {
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

  it('answers a deleted index and its deleted child without a failure', async () => {
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
      expect([statuses[0], statuses[2]].sort()).toEqual([202, 404]);
    }
  });

  it('makes a repository once for many first pushes', async () => {
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
