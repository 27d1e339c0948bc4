import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { queryRows } from '../../src/database/query-rows.js';
import { freshName } from '../support/fresh-name.js';
import { during, type Statement, waitingFor } from '../support/held-transaction.js';
import { digestOf, OCI_INDEX, OCI_MANIFEST, refusal, RegistryClient } from '../support/registry-client.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';

/** A repository with an image, and an index of it. */
interface Scene {
  readonly name: string;
  readonly image: string;
  readonly index: string;
}

const OF_MANIFEST = 'repository_id = (SELECT id FROM repositories WHERE name = $1) AND digest = $2';

/** What the collector does to a manifest that nothing holds. It skips a manifest that is locked. */
const LOCK_AS_COLLECTOR = `SELECT id FROM manifests WHERE ${OF_MANIFEST} FOR UPDATE SKIP LOCKED`;
const COLLECT = `UPDATE manifests SET deletion_id = 1, is_follower = true WHERE ${OF_MANIFEST}`;

const LINK = `
  SELECT link_blob(ensure_repository($1), blob_id) FROM blob_digests WHERE digest = $2`;

/**
 * Each race in both orders: one of the two holds its locks in an open transaction, the other one waits or is
 * skipped, and then looks again.
 */
describe('a deletion and a write at the same time', () => {
  let berth: TestBerth;
  let client: RegistryClient;

  beforeAll(async () => {
    berth = await startTestBerth();
    client = new RegistryClient(berth.url);
  });
  afterAll(() => berth.dispose());

  const query = <Row>(sql: string, parameters: unknown[]) =>
    queryRows<Row>(berth.database.dataSource.manager, sql, parameters);
  const removeImage = ({ name, image }: Scene) =>
    client.fetch(`/v2/${name}/manifests/${digestOf(image)}`, { method: 'DELETE' });
  const pushIndex = ({ name, index }: Scene) =>
    client.putManifest(name, digestOf(index), index, { 'Content-Type': OCI_INDEX });
  const pushTag = ({ name, image }: Scene) => client.putManifest(name, 'latest', image);
  const status = async (name: string, reference: string) =>
    (await client.fetch(`/v2/${name}/manifests/${reference}`)).status;
  /** The status of pulls of the index and of the image. */
  const pulls = async ({ name, index, image }: Scene) =>
    Promise.all([index, image].map((manifest) => status(name, digestOf(manifest))));

  const indexOf = (image: string) => {
    const manifests = [{ mediaType: OCI_MANIFEST, digest: digestOf(image), size: image.length }];
    return JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
  };

  /** Pushes the image; the index is not pushed yet. */
  async function scene(): Promise<Scene> {
    const name = freshName();
    const image = JSON.stringify(await client.makeImage(name, []));
    expect((await client.putManifest(name, digestOf(image), image)).status).toBe(201);
    return { name, image, index: indexOf(image) };
  }

  const pushOfIndex = ({ name, image, index }: Scene): Statement => [
    `SELECT put_manifest($1, $2, $3, NULL, NULL, NULL, $4, '{}', ARRAY[$5], false, '{}', NULL)`,
    [name, digestOf(index), OCI_INDEX, Buffer.from(index), digestOf(image)],
  ];
  const pushOfTag = ({ name, image }: Scene): Statement => [
    `SELECT put_manifest($1, $2, $3, NULL, NULL, NULL, $4, ARRAY[$5], '{}', false, '{latest}', NULL)`,
    [name, digestOf(image), OCI_MANIFEST, Buffer.from(image), digestOf('{}')],
  ];
  const deletionOf = ({ name, image }: Scene): Statement => [
    'SELECT soft_delete_manifest($1, $2, NULL)',
    [name, digestOf(image)],
  ];
  const collectionOf = ({ name, image }: Scene): Statement[] => [
    [LOCK_AS_COLLECTOR, [name, digestOf(image)]],
    [COLLECT, [name, digestOf(image)]],
  ];
  /** How many manifests the collector can lock. */
  const lockable = async ({ name, image }: Scene) =>
    (await query(LOCK_AS_COLLECTOR, [name, digestOf(image)])).length;

  describe('an index and the deletion of its child', () => {
    it('refuses the deletion if the push was first', async () => {
      const race = await scene();
      const response = await waitingFor(berth, [pushOfIndex(race)], () => removeImage(race));
      expect(await refusal(response)).toBe('405 DENIED');
      expect(await pulls(race)).toEqual([200, 200]);
    });

    it('refuses the push if the deletion was first', async () => {
      const race = await scene();
      const response = await waitingFor(berth, [deletionOf(race)], () => pushIndex(race));
      expect(await refusal(response)).toBe('404 MANIFEST_BLOB_UNKNOWN');
      expect(await pulls(race)).toEqual([404, 404]);
    });

    it('lets the collector skip the child if the push was first', async () => {
      const race = await scene();
      await during(berth.databaseUrl, [pushOfIndex(race)], async () => {
        expect(await lockable(race)).toBe(0);
      });
      expect([await lockable(race), await pulls(race)]).toEqual([1, [200, 200]]);
    });

    it('revives the child if the collector was first', async () => {
      const race = await scene();
      const response = await waitingFor(berth, collectionOf(race), () => pushIndex(race));
      expect(response.status).toBe(201);
      expect(await pulls(race)).toEqual([200, 200]);
    });
  });

  describe('the revival of an index and the deletion of its child', () => {
    const revivalOf = ({ name, index }: Scene): Statement => [
      `SELECT revive_manifests(ARRAY(SELECT id FROM manifests WHERE ${OF_MANIFEST}))`,
      [name, digestOf(index)],
    ];

    /** The index is deleted, the child is not. */
    async function deletedIndex(): Promise<Scene> {
      const race = await scene();
      expect((await pushIndex(race)).status).toBe(201);
      const response = await client.fetch(`/v2/${race.name}/manifests/${digestOf(race.index)}`, {
        method: 'DELETE',
      });
      expect(response.status).toBe(202);
      return race;
    }

    it('refuses the deletion if the revival was first', async () => {
      const race = await deletedIndex();
      const response = await waitingFor(berth, [revivalOf(race)], () => removeImage(race));
      expect(await refusal(response)).toBe('405 DENIED');
      expect(await pulls(race)).toEqual([200, 200]);
    });

    it('revives the child if its deletion was first', async () => {
      const race = await deletedIndex();
      await waitingFor(berth, [deletionOf(race)], () => query(...revivalOf(race)));
      expect(await pulls(race)).toEqual([200, 200]);
    });
  });

  describe('a push of a tag and the deletion of its manifest', () => {
    it('deletes the tag, too, if the push was first', async () => {
      const race = await scene();
      const response = await waitingFor(berth, [pushOfTag(race)], () => removeImage(race));
      expect(response.status).toBe(202);
      expect([await status(race.name, 'latest'), await status(race.name, digestOf(race.image))]).toEqual([
        404, 404,
      ]);
    });

    it.each([
      ['deletion', (race: Scene) => [deletionOf(race)]],
      ['collector', collectionOf],
    ])('makes the manifest live again if the %s was first', async (_, first) => {
      const race = await scene();
      const response = await waitingFor(berth, first(race), () => pushTag(race));
      expect(response.status).toBe(201);
      expect([await status(race.name, 'latest'), await status(race.name, digestOf(race.image))]).toEqual([
        200, 200,
      ]);
    });

    it('lets the collector skip the manifest if the push was first', async () => {
      const race = await scene();
      await during(berth.databaseUrl, [pushOfTag(race)], async () => {
        expect(await lockable(race)).toBe(0);
      });
      expect(await status(race.name, 'latest')).toBe(200);
    });

    it('keeps a tag that moves to another manifest meanwhile', async () => {
      const race = await scene();
      expect((await pushTag(race)).status).toBe(201);
      const moved: Statement = [
        `SELECT put_manifest($1, $2, $3, NULL, NULL, NULL, '{}', '{}', '{}', false, '{latest}', NULL)`,
        [race.name, digestOf('{}'), OCI_INDEX],
      ];
      const response = await waitingFor(berth, [moved], () => removeImage(race));
      expect(response.status).toBe(202);
      expect([await status(race.name, 'latest'), await status(race.name, digestOf(race.image))]).toEqual([
        200, 404,
      ]);
    });
  });

  describe('a write and the deletion of its repository', () => {
    const deletionOfRepository = ({ name }: Scene): Statement => [
      'SELECT delete_repository($1, NULL)',
      [name],
    ];
    const emptyIndex = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] });

    it.each([
      ['a push', pushOfTag],
      ['a link', ({ name }: Scene): Statement => [LINK, [name, digestOf('{}')]]],
      ['a deletion of a manifest', deletionOf],
      [
        'a deletion of a tag',
        ({ name }: Scene): Statement => [`SELECT delete_tag($1, 'tagged', NULL)`, [name]],
      ],
    ])('deletes the repository after %s that was first', async (_, write) => {
      const race = await scene();
      expect((await client.putManifest(race.name, 'tagged', race.image)).status).toBe(201);
      const [id] = await query<{ id: string }>('SELECT id FROM repositories WHERE name = $1', [race.name]);
      await waitingFor(berth, [write(race)], () => query(...deletionOfRepository(race)));
      const rows = await query('SELECT name, deleted_name FROM repositories WHERE id = $1', [id?.id]);
      expect(rows).toEqual([{ name: null, deleted_name: race.name }]);
      expect(await refusal(await client.fetch(`/v2/${race.name}/tags/list`))).toBe('404 NAME_UNKNOWN');
    });

    it('writes into a new repository of the name if the deletion was first', async () => {
      const source = await scene();
      const writes = {
        [`manifests/${digestOf(emptyIndex)}`]: ({ name }: Scene) =>
          client.putManifest(name, 'new', emptyIndex, { 'Content-Type': OCI_INDEX }),
        [`blobs/${digestOf('begun before')}`]: (_: Scene, location: string) =>
          client.commit(location, digestOf('begun before'), 'begun before'),
        [`blobs/${digestOf('{}')}`]: ({ name }: Scene) =>
          client.fetch(`/v2/${name}/blobs/uploads/?mount=${digestOf('{}')}&from=${source.name}`, {
            method: 'POST',
          }),
      };
      for (const [path, write] of Object.entries(writes)) {
        const race = await scene();
        const location = await client.uploadLocation(race.name);
        const response = await waitingFor(berth, [deletionOfRepository(race)], () => write(race, location));
        expect([path, response.status]).toEqual([path, 201]);
        expect((await client.fetch(`/v2/${race.name}/${path}`)).status).toBe(200);
        expect(await pulls(race)).toEqual([404, 404]);
      }
    });

    it.each([
      ['a push of content that it had', '404 MANIFEST_BLOB_UNKNOWN', pushTag],
      ['a deletion of a manifest', '404 NAME_UNKNOWN', removeImage],
      [
        'a deletion of a tag',
        '404 NAME_UNKNOWN',
        ({ name }: Scene) => client.fetch(`/v2/${name}/manifests/tagged`, { method: 'DELETE' }),
      ],
      [
        'a deletion of a blob',
        '404 BLOB_UNKNOWN',
        ({ name }: Scene) => client.fetch(`/v2/${name}/blobs/${digestOf('{}')}`, { method: 'DELETE' }),
      ],
    ])('refuses %s if the deletion was first', async (_, expected, write) => {
      const race = await scene();
      expect((await client.putManifest(race.name, 'tagged', race.image)).status).toBe(201);
      const response = await waitingFor(berth, [deletionOfRepository(race)], () => write(race));
      expect(await refusal(response)).toBe(expected);
    });
  });
});
