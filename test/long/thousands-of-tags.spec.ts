import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { queryRows } from '../../src/database/query-rows.js';
import { freshName } from '../support/fresh-name.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { tagEvents } from '../support/tag-events.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';

describe('manifests with thousands of tags', () => {
  let berth: TestBerth;
  let client: RegistryClient;

  beforeAll(async () => {
    berth = await startTestBerth();
    client = new RegistryClient(berth.url);
  });
  afterAll(() => berth.dispose());

  const events = (name: string) => tagEvents(berth.database.dataSource.manager, name);

  // With more, OCI-Tag would be longer than this test's client accepts.
  const TAGS = 3_500;
  const CHARACTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_'.split('');
  const NAMES = CHARACTERS.flatMap((one) => CHARACTERS.map((other) => one + other)).slice(0, TAGS);
  const DELETED_TAGS = 30_800;

  it('are pushed by ten clients at once, and every tag has its complete history', async () => {
    const name = freshName();
    const names = NAMES.map((tag) => `tag=${tag}`);
    const images = await Promise.all(
      Array.from({ length: 10 }, async (_, version) =>
        JSON.stringify(await client.makeImage(name, [], { annotations: { version: `${version}` } })),
      ),
    );
    const pushes = await Promise.all(
      images.map((image, index) => {
        // Every second client sends the tags in reverse order.
        const query = (index % 2 === 0 ? names : names.toReversed()).join('&');
        return client.putManifest(name, `${digestOf(image)}?${query}`, image);
      }),
    );
    expect(pushes.map(({ status }) => status)).toEqual(pushes.map(() => 201));
    const moves = await events(name);
    expect(moves).toHaveLength(10 * TAGS);
    const last = new Map<string, string | null>();
    const broken = moves.filter(({ tag, from_digest, to_digest }) => {
      const before = last.get(tag) ?? null;
      last.set(tag, to_digest);
      return from_digest !== before;
    });
    expect(broken).toEqual([]);
  });

  it('are deleted with their manifest', async () => {
    const name = freshName();
    const image = JSON.stringify(await client.makeImage(name, []));
    expect((await client.putManifest(name, 'v1', image)).status).toBe(201);
    await queryRows(
      berth.database.dataSource.manager,
      `INSERT INTO tags (repository_id, name, manifest_id)
       SELECT m.repository_id, 't' || n, m.id
         FROM manifests m JOIN repositories r ON r.id = m.repository_id, generate_series(2, $2::int) AS n
        WHERE r.name = $1`,
      [name, DELETED_TAGS],
    );
    const path = `/v2/${name}/manifests/${digestOf(image)}`;
    expect((await client.fetch(path, { method: 'DELETE' })).status).toBe(202);
    expect(await (await client.fetch(`/v2/${name}/tags/list`)).json()).toEqual({ name, tags: [] });
    expect(await events(name)).toHaveLength(1 + DELETED_TAGS);
  });
});
