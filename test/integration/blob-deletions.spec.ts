import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Digest } from '../../src/oci/digest.js';
import { parseRepositoryName, type RepositoryName } from '../../src/oci/repository-name.js';
import { AdminClient } from '../support/admin-client.js';
import { freshName } from '../support/fresh-name.js';
import { refusal, RegistryClient } from '../support/registry-client.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { CollectorRaces, GRACE_SECONDS } from './support/collector-races.js';
import { LinkRequests, type Statements, type UnneededBlob } from './support/link-requests.js';

describe('deletions of blobs', () => {
  let berth: TestBerth;
  let client: RegistryClient;
  let races: CollectorRaces;
  let requests: LinkRequests;

  beforeAll(async () => {
    berth = await startTestBerth({ GC_INTERVAL_SECONDS: '0', GC_GRACE_SECONDS: String(GRACE_SECONDS) });
    client = new RegistryClient(berth.url);
    races = new CollectorRaces(berth);
    requests = new LinkRequests(berth);
  });
  afterAll(() => berth.dispose());

  const remove = (blob: Pick<UnneededBlob, 'name' | 'digest'>) => requests.onBlob(blob, 'DELETE');
  const deleteManifest = async (name: string, reference: string) => {
    const { status } = await client.fetch(`/v2/${name}/manifests/${reference}`, { method: 'DELETE' });
    expect(status).toBe(202);
  };
  const DELETE_REPOSITORY = 'SELECT delete_repository($1, NULL)';
  const deleteRepository = (name: string) => races.query(DELETE_REPOSITORY, [name]);
  const UNLINK = 'SELECT unlink_blob($1, $2, NULL)';

  describe('beside a mount', () => {
    it('wait for a mount that comes first, which has its source then', async () => {
      const blob = await requests.unneededBlob();
      const target = parseRepositoryName(freshName('target'));
      const mount = requests.mountStatements(blob.digest, blob.name, target);
      const deleted = await races.whileWaiting(mount, () => remove(blob));
      expect(deleted.status).toBe(202);
      expect(await races.linkOf(blob)).toBeUndefined();
      expect(await client.blob(target, blob.digest)).toEqual(Buffer.from(blob.content));
    });

    it('let a mount wait that comes later, which begins an upload then', async () => {
      const blob = await requests.unneededBlob();
      const mount = () => requests.mount(blob.digest, blob.name, freshName('target'));
      const response = await races.during(UNLINK, mount, { parameters: [blob.name, blob.digest] });
      expect(response.status).toBe(202);
    });
  });

  describe('beside a manifest PUT', () => {
    it('are refused if the PUT comes first', async () => {
      const blob = await requests.unneededBlob();
      const deleted = await races.whileWaiting(await requests.putStatements(blob), () => remove(blob));
      expect(await refusal(deleted)).toBe('405 DENIED');
      expect((await requests.onBlob(blob, 'HEAD')).status).toBe(200);
    });

    it.each([false, true])('let the PUT wait that comes later (hidden: %s)', async (isHidden) => {
      const blob = await requests.unneededBlob();
      if (isHidden) {
        expect((await requests.putImage(blob)).status).toBe(201);
        await deleteManifest(blob.name, requests.imageDigestOf(blob));
      }
      const put = () => requests.putImage(blob);
      const response = await races.during(UNLINK, put, { parameters: [blob.name, blob.digest] });
      expect(await refusal(response)).toBe('404 MANIFEST_BLOB_UNKNOWN');
      expect(await races.linkOf(blob)).toEqual(isHidden ? expect.objectContaining({ isHidden }) : undefined);
    });
  });

  describe('of a blob that a deleted manifest needs', () => {
    let blob: UnneededBlob;
    /** It is needed by a manifest, which is deleted, and then the blob is deleted. */
    const hide = async () => {
      blob = await requests.unneededBlob();
      expect((await requests.putImage(blob)).status).toBe(201);
      await deleteManifest(blob.name, requests.imageDigestOf(blob));
      expect((await remove(blob)).status).toBe(202);
    };
    const expectVisible = async (name: RepositoryName = blob.name) => {
      expect(await client.blob(name, blob.digest)).toEqual(Buffer.from(blob.content));
      expect(await races.linkOf({ ...blob, name })).toMatchObject({ isHidden: false });
    };

    it('are refused as long as the manifest is live', async () => {
      blob = await requests.unneededBlob();
      expect((await requests.putImage(blob)).status).toBe(201);
      expect(await refusal(await remove(blob))).toBe('405 DENIED');
    });

    it('hide it from everything', async () => {
      await hide();
      for (const method of ['GET', 'HEAD', 'DELETE']) {
        expect((await requests.onBlob(blob, method)).status).toBe(404);
      }
      expect((await requests.mount(blob.digest, blob.name, freshName())).status).toBe(202);
      expect((await requests.repeatCommit(blob)).status).toBe(404);
      expect(await refusal(await requests.putImage(blob))).toBe('404 MANIFEST_BLOB_UNKNOWN');
      const repository = await new AdminClient(client).get(`/repositories/${encodeURIComponent(blob.name)}`);
      expect(repository).toMatchObject({ blobs: 0, blobBytes: 0 });
    });

    it.each<[string, () => Promise<Response>]>([
      ['a push', () => requests.push(blob.name, blob.content)],
      ['a mount', () => requests.mount(blob.digest, blob.other, blob.name)],
    ])('are undone by %s', async (_, send) => {
      await hide();
      expect((await send()).status).toBe(201);
      await expectVisible();
      expect((await requests.putImage(blob)).status).toBe(201);
    });

    it('are undone when the manifest is restored', async () => {
      await hide();
      await races.query(
        `SELECT revive_manifests(ARRAY(SELECT m.id FROM manifests m
                                         JOIN repositories r ON r.id = m.repository_id
                                        WHERE r.name = $1))`,
        [blob.name],
      );
      await expectVisible();
    });

    it('keep the link for as long as the manifest can be restored', async () => {
      await hide();
      await races.ageLink(blob, 2);
      expect(await races.collect('link')).toBe(0);
      expect(await races.linkOf(blob)).toMatchObject({ isHidden: true });
      await races.query(
        `DELETE FROM manifests WHERE repository_id = (SELECT id FROM repositories WHERE name = $1)
          RETURNING id`,
        [blob.name],
      );
      await races.ageLink(blob, 2);
      expect(await races.collect('link')).toBe(1);
    });

    it('record one event each in the audit log, and so does a mount that undoes them', async () => {
      await hide();
      for (let n = 0; n < 2; n += 1) await requests.mount(blob.digest, blob.other, blob.name);
      const sql = 'SELECT action FROM audit_events WHERE repository = $1 ORDER BY id';
      const events = await races.query<{ action: string }>(sql, [blob.name]);
      expect(events.map(({ action }) => action)).toEqual(['manifest.delete', 'blob.delete', 'blob.mount']);
    });
  });

  it('by a purge are not undone by a HEAD, unless a manifest needs the blob', async () => {
    for (const isNeeded of [false, true]) {
      const blob = await requests.unneededBlob();
      if (isNeeded) expect((await requests.putImage(blob)).status).toBe(201);
      await races.query(
        `UPDATE repository_blobs SET candidate_since = '-infinity'
          WHERE repository_id = (SELECT id FROM repositories WHERE name = $1) RETURNING blob_id`,
        [blob.name],
      );
      expect((await requests.onBlob(blob, 'HEAD')).status).toBe(isNeeded ? 200 : 404);
    }
  });

  describe('of a whole repository', () => {
    const WRITES: [string, (blob: UnneededBlob, name: RepositoryName) => Promise<Response>][] = [
      ['a push', ({ content }, name) => requests.push(name, content)],
      ['a mount', ({ digest, other }, name) => requests.mount(digest, other, name)],
    ];
    const idOf = async (name: string) => {
      const sql = 'SELECT id FROM repositories WHERE name = $1';
      return (await races.query<{ id: string }>(sql, [name]))[0]?.id;
    };

    it.each(WRITES)('let %s wait, which goes into a new repository then', async (_, write) => {
      const blob = await requests.unneededBlob();
      const before = await idOf(blob.name);
      const response = await races.during(DELETE_REPOSITORY, () => write(blob, blob.name), {
        parameters: [blob.name],
      });
      expect(response.status).toBe(201);
      expect(await idOf(blob.name)).not.toBe(before);
      expect(await client.blob(blob.name, blob.digest)).toEqual(Buffer.from(blob.content));
    });

    it.each<[string, (blob: UnneededBlob) => Promise<Statements> | Statements]>([
      ['a push', (blob) => requests.commitStatements(blob)],
      ['a mount', (blob) => requests.mountStatements(blob.digest, blob.other, blob.name)],
    ])('wait for %s that comes first', async (_, statementsOf) => {
      const blob = await requests.unneededBlob();
      await races.whileWaiting(await statementsOf(blob), () => deleteRepository(blob.name));
      expect((await requests.onBlob(blob, 'HEAD')).status).toBe(404);
      expect(await idOf(blob.name)).toBeUndefined();
    });

    it('make an upload that began before commit into a new one', async () => {
      const blob = await requests.unneededBlob();
      const location = await client.uploadLocation(blob.name);
      await deleteRepository(blob.name);
      expect((await client.commit(location, blob.digest, blob.content)).status).toBe(201);
      expect(await client.blob(blob.name, blob.digest)).toEqual(Buffer.from(blob.content));
    });
  });

  it('do not deadlock with a commit that replaces the lost object of the blob', async () => {
    const blob = await requests.unneededBlob();
    const locksOfCommit = (digest: Digest) =>
      `SELECT FROM blobs WHERE id = (SELECT blob_id FROM blob_digests WHERE digest = '${digest}') FOR UPDATE`;
    // Not through UnitOfWork, which would run a statement again that Postgres ended to break a deadlock.
    const unlink = () => races.query(UNLINK, [blob.name, blob.digest]);
    await races.during(locksOfCommit(blob.digest), unlink, {
      afterwards: `SELECT link_blob(ensure_repository('${blob.name}'),
                                    (SELECT blob_id FROM blob_digests WHERE digest = '${blob.digest}'))`,
    });
    expect(await races.linkOf(blob)).toBeUndefined();
  });
});
