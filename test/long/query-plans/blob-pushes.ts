import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { newUploadId, type UploadId } from '../../../src/oci/upload-id.js';
import { UploadSessionStore } from '../../../src/uploads/session/upload-session.store.js';
import { expectResponse } from '../../support/query-plans/expect-response.js';
import type { PlannedRegistry } from '../../support/query-plans/planned-registry.js';
import { BIG_REPOSITORY as BIG, EMPTY_JSON } from '../../support/query-plans/seed-statements.js';
import { HOLDER } from '../../support/query-plans/seed-uploads.js';
import { digestOf, withDigest } from '../../support/registry-client.js';
import { inQuery, tarLayer } from '../../support/tar-layer.js';
import { claimantOf } from '../../support/upload-claims.js';

const MOUNT_CANDIDATES = 100;

export function describeBlobPushes(registry: PlannedRegistry): void {
  const cost = (what: string, work: () => Promise<unknown>, items = 1) =>
    it(what, () => registry.expectCost(items, work));
  const send = (path: string, method: string, status: number, body?: string) =>
    expectResponse(registry.client.fetch(path, { method, ...(body !== undefined && { body }) }), status);
  const begin = (name = BIG, query = '') => registry.client.startUpload(name, query);

  describe('uploads', () => {
    let location: string;
    const digest = digestOf('one two three');

    cost('begin', async () => (location = await begin()));
    cost('take a chunk', () => send(location, 'PATCH', 202, 'one '));
    cost('take another', () => send(location, 'PATCH', 202, 'two '));
    cost('tell how far they are', () => send(location, 'GET', 204));
    cost('refuse a digest', () => send(withDigest(location, digestOf('else')), 'PUT', 400, ''));
    cost('end in a blob', () => send(withDigest(location, digest), 'PUT', 201, 'three'));
    cost('commit again, after a lost response', () => send(withDigest(location, digest), 'PUT', 201));
    cost('are not there any more', () => send(location, 'PATCH', 404, 'more'));
    cost('are cancelled', async () => send(await begin(), 'DELETE', 204));
    cost('have another digest than the one that they were to be stored under', async () => {
      const location = await begin();
      await send(withDigest(location, digestOf('else')), 'PUT', 400, 'stored later');
      await send(withDigest(location, digestOf('stored later')), 'PUT', 201);
    });
    cost('are made in one request', () => registry.client.pushBlob(BIG, 'whole'));
    cost('are of what another repository has', () => registry.client.pushBlob('some/other', 'whole'));
    it('make up for bytes that are lost', async () => {
      await registry.lose(digestOf('2002'));
      await registry.expectCost(1, () => registry.client.pushBlob(BIG, '2002'));
    });
    it.each([BIG, 'not/there/yet'])('take three statements for content that is new (%s)', async (name) => {
      const executed = await registry.statementsOf(() => registry.client.pushBlob(name, `new in ${name}`));
      // Not the statements inside commit_upload, nor those that check foreign keys.
      const sent = executed.filter(({ sql }) => sql.includes('$1') && !sql.startsWith('SELECT 1 FROM ONLY'));
      expect(sent).toHaveLength(3);
    });
    cost('wait for another commit of the same content', async () => {
      const content = 'committed by another';
      const lock = (name: string): [string, unknown[]] => [
        `SELECT ${name}(hashtextextended($1, 0))`,
        [digestOf(content)],
      ];
      await registry.look(...lock('pg_advisory_lock'));
      const pushed = registry.client.pushBlob(BIG, content);
      const waiting = `SELECT FROM pg_locks JOIN pg_database d ON d.oid = database
                        WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted`;
      while ((await registry.look(waiting)).length === 0) await delay(5);
      await registry.look(...lock('pg_advisory_unlock'));
      await pushed;
    });
    describe('with a tarsum', () => {
      const { bytes, sha256, v1 } = tarLayer();
      const commit = (body?: Uint8Array) =>
        registry.client.fetch(`${location}?${inQuery(v1, sha256)}`, {
          method: 'PUT',
          body: body === undefined ? null : Buffer.from(body),
        });

      cost('begin', async () => (location = await begin(BIG, '?digest-algorithm=tarsum.v1%2Bsha256')));
      cost('end in a blob', () => expectResponse(commit(bytes), 201));
      cost('commit again, after a lost response', () => expectResponse(commit(), 201));
    });
    cost('have two digests', () => registry.client.pushBlob(BIG, 'sha512 of it', 'sha512'));
  });

  describe('writers', () => {
    let location: string;
    beforeAll(async () => (location = await begin()));
    const sessions = () => registry.berth.app.get(UploadSessionStore);
    const leave = (lease: string) =>
      registry.look(`UPDATE uploads SET lease_holder = 'gone', ${lease} WHERE id = $1`, [
        location.split('/').at(-1),
      ]);

    cost('take over from one whose lease has lapsed', async () => {
      await leave(`lease_expires_at = now() - interval '1 s'`);
      await send(location, 'PATCH', 202, 'content');
    });
    cost('take over from one that has ended', async () => {
      await leave(`lease_expires_at = now() + interval '1 h'`);
      await send(location, 'PATCH', 202, 'content');
    });
    it('prolong their lease', async () => {
      const sql = 'SELECT id FROM uploads WHERE lease_holder = $1 LIMIT 1';
      const [row] = await registry.look<{ id: UploadId }>(sql, [HOLDER]);
      const lease = { ...claimantOf(HOLDER), uploadId: row?.id ?? newUploadId(), version: 1, acquiredAt: 0 };
      await registry.expectCost(1, async () => expect(await sessions().renew(lease)).toBe(true));
    });
    it('are freed when their process has ended', async () => {
      const sql = 'SELECT count(*)::int AS held FROM uploads WHERE lease_holder = $1';
      const [row] = await registry.look<{ held: number }>(sql, [HOLDER]);
      await registry.expectCost(row?.held ?? 0, () => sessions().releaseHolder(HOLDER, true));
    });
  });

  describe('mounts', () => {
    const mount = (name: string, query: string, status: number) =>
      send(`/v2/${name}/blobs/uploads/?mount=${query}`, 'POST', status);

    // The first event of the audit log looks for space in its table and five indexes.
    cost('from a repository', () => mount('mounted/one', `${digestOf('3003')}&from=${BIG}`, 201), 3);
    cost('from a repository that does not have it', () =>
      mount('mounted/one', `${digestOf('x')}&from=${BIG}`, 202),
    );
    cost('without a source', () => mount('mounted/two', digestOf('3004'), 201));
    cost(
      'without a source, a blob of all repositories',
      () => mount('mounted/two', EMPTY_JSON, 201),
      MOUNT_CANDIDATES,
    );
    cost('without a source, an unknown blob', () => mount('mounted/two', digestOf('x'), 202));
  });

  describe('deletions of blobs', () => {
    const remove = (name: string, digest: string, status: number) =>
      send(`/v2/${name}/blobs/${digest}`, 'DELETE', status);
    beforeAll(async () => {
      await registry.client.pushBlob(BIG, 'no manifest needs it');
      await send(`/v2/mounted/three/blobs/uploads/?mount=${EMPTY_JSON}&from=${BIG}`, 'POST', 201);
    });

    cost('of one', () => remove(BIG, digestOf('no manifest needs it'), 202));
    cost('of one that all link', () => remove('mounted/three', EMPTY_JSON, 202));
    cost('of one that a manifest needs', () => remove(BIG, digestOf('4004'), 405));
    cost('of one that thousands of manifests need', () => remove(BIG, EMPTY_JSON, 405));
    cost('of one that is not there', () => remove(BIG, digestOf('x'), 404));
  });
}
