import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { BlobStore } from '../../src/blobs/blob.store.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { RepositoryStore } from '../../src/repositories/repository.store.js';
import { queryRows } from '../../src/database/query-rows.js';
import { type Digest, digestOf } from '../../src/oci/digest.js';
import { parseRepositoryName } from '../../src/oci/repository-name.js';
import { newUploadId } from '../../src/oci/upload-id.js';
import { parseObjectKey } from '../../src/storage/object-key.js';
import { initialMidstate } from '../../src/uploads/hash/midstate.js';
import { type NewContent, UploadCommitStore } from '../../src/uploads/commit/upload-commit.store.js';
import type { Lease } from '../../src/uploads/session/upload-session.js';
import { UploadSessionStore } from '../../src/uploads/session/upload-session.store.js';
import { createTestDataSource, type TestDataSource } from '../support/test-data-source.js';
import { claimantOf } from '../support/upload-claims.js';

const REPOSITORY = parseRepositoryName('a/b');
const PROGRESS = { offsetBytes: 7, midstates: [initialMidstate('sha256')], driverState: {} };

const otherOf = (digest: Digest) => digestOf('sha512', Buffer.from(digest));

describe('UploadCommitStore', () => {
  let test: TestDataSource;
  let sessions: UploadSessionStore;
  let blobs: BlobStore;
  let store: UploadCommitStore;
  let canonical: Digest;
  let contents = 0;

  beforeAll(async () => {
    test = await createTestDataSource();
    sessions = new UploadSessionStore(test.dataSource);
    blobs = new BlobStore(test.dataSource);
    store = new UploadCommitStore(test.dataSource, new UnitOfWork(test.dataSource));
    await new RepositoryStore().ensure(test.dataSource.manager, REPOSITORY);
  });
  afterAll(() => test.dispose());
  beforeEach(() => void (canonical = digestOf('sha256', Buffer.from(String((contents += 1))))));

  const rows = <Row>(sql: string, parameters: unknown[] = []) =>
    queryRows<Row>(test.dataSource.manager, sql, parameters);
  /** The lease of a session whose bytes are to become `canonical`. */
  const begin = async (): Promise<Lease> => {
    const reference = { repository: REPOSITORY, id: newUploadId() };
    await sessions.insert(reference, PROGRESS, claimantOf('somebody'));
    const taking = await sessions.acquire(reference, claimantOf('somebody'));
    if (taking === undefined) throw new Error('not taken');
    expect(await store.markCommitting(taking.lease, PROGRESS, canonical, canonical)).toBeDefined();
    return taking.lease;
  };
  const contentOf = ({ uploadId }: Lease): NewContent => ({
    repository: REPOSITORY,
    canonical,
    digests: [canonical, otherOf(canonical)],
    sizeBytes: 7,
    objectKey: parseObjectKey(`blobs/${uploadId}`),
  });
  const everything = async () => {
    const tables = ['blobs', 'blob_digests', 'repository_blobs', 'repositories'];
    const counts = tables.map((table) => `(SELECT count(*) FROM ${table}) AS ${table}`);
    return (await rows(`SELECT ${counts.join()}`))[0];
  };
  const eventsOf = async ({ uploadId }: Lease) => {
    const sql = 'SELECT kind FROM upload_events WHERE upload_id = $1 ORDER BY id';
    return (await rows<{ kind: string }>(sql, [uploadId])).map(({ kind }) => kind);
  };
  const stateOf = async ({ uploadId }: Lease) => {
    const sql = `SELECT state, blob_id, holds_bytes, lease_holder FROM uploads WHERE id = $1`;
    return (await rows(sql, [uploadId]))[0];
  };

  it('makes the blob, names and links it, and ends the session with its event', async () => {
    const lease = await begin();
    const content = contentOf(lease);
    const blob = await store.commitNew(lease, content);
    expect(blob).toMatchObject({ sizeBytes: 7, objectKey: content.objectKey });
    for (const digest of content.digests) expect(await blobs.findLinked(REPOSITORY, digest)).toEqual(blob);
    expect(await stateOf(lease)).toEqual({
      state: 'committed',
      blob_id: blob?.id,
      holds_bytes: false,
      lease_holder: null,
    });
    expect(await eventsOf(lease)).toEqual(['started', 'committed']);
  });

  it('makes the repository with its first content', async () => {
    const lease = await begin();
    const repository = parseRepositoryName('a/new/one');
    const blob = await store.commitNew(lease, { ...contentOf(lease), repository });
    expect(blob).toBeDefined();
    expect(await blobs.findLinked(repository, canonical)).toEqual(blob);
  });

  it('tells of the blob that has the content already, whichever digest is asked for', async () => {
    const lease = await begin();
    const blob = await store.commitNew(lease, { ...contentOf(lease), digests: [canonical] });
    const reference = { repository: REPOSITORY, id: newUploadId() };
    await sessions.insert(reference, PROGRESS, claimantOf('x'));
    const taking = await sessions.acquire(reference, claimantOf('x'));
    expect(await store.markCommitting(taking!.lease, PROGRESS, otherOf(canonical), canonical)).toEqual({
      existing: blob,
    });
  });

  describe('changes nothing and answers nothing', () => {
    const expectNothing = async (lease: Lease, content: NewContent) => {
      const [before, session] = [await everything(), await stateOf(lease)];
      expect(await store.commitNew(lease, content)).toBeUndefined();
      expect(await everything()).toEqual(before);
      expect(await stateOf(lease)).toEqual(session);
    };

    it('where the writer is fenced', async () => {
      const lease = await begin();
      await expectNothing({ ...lease, version: lease.version - 1 }, contentOf(lease));
    });

    it('where the session is over', async () => {
      const lease = await begin();
      await sessions.markCancelled(lease);
      await expectNothing(lease, contentOf(lease));
    });

    it('where the content is there already', async () => {
      const [one, other] = [await begin(), await begin()];
      await store.commitNew(one, contentOf(one));
      await expectNothing(other, contentOf(other));
    });

    it('where another of its digests is taken', async () => {
      const [one, other] = [await begin(), await begin()];
      await store.commitNew(one, contentOf(one));
      const unlike = digestOf('sha256', Buffer.from('unlike'));
      const { digests } = contentOf(one);
      await expectNothing(other, {
        ...contentOf(other),
        canonical: unlike,
        digests: [unlike, ...digests.slice(1)],
      });
    });

    it('where somebody is committing the same content', async () => {
      const lease = await begin();
      await test.dataSource.transaction(async (transaction) => {
        await blobs.lockContent(transaction, canonical);
        await expectNothing(lease, contentOf(lease));
      });
      expect(await store.commitNew(lease, contentOf(lease))).toBeDefined();
    });
  });

  describe('waits for whoever has the session, and then', () => {
    const ID = 'WHERE id = $1 RETURNING id';
    /** What becomes of a commit that began before somebody's change of the session was committed. */
    const commitDuring = async (change: string) => {
      const lease = await begin();
      const before = await everything();
      let outcome: Promise<unknown> = Promise.resolve();
      await test.dataSource.transaction(async (transaction) => {
        await queryRows(transaction, change, [lease.uploadId]);
        outcome = store.commitNew(lease, contentOf(lease));
        await expectWaiting();
      });
      return { lease, before, blob: await outcome };
    };
    const expectWaiting = async () => {
      const sql = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
      while ((await rows(sql)).length === 0) await delay(5);
    };

    it('commits, where that was its own heartbeat', async () => {
      const { lease, blob } = await commitDuring(`UPDATE uploads SET lease_expires_at = now() ${ID}`);
      expect(blob).toBeDefined();
      expect(await stateOf(lease)).toMatchObject({ state: 'committed' });
    });

    it.each([
      ['it was taken over', `UPDATE uploads SET version = version + 1 ${ID}`, 'committing'],
      ['it was cancelled', `UPDATE uploads SET state = 'cancelled' ${ID}`, 'cancelled'],
      ['it was forgotten', `DELETE FROM uploads ${ID}`, undefined],
    ])('changes nothing, where %s', async (_, change, state) => {
      const { lease, before, blob } = await commitDuring(change);
      expect(blob).toBeUndefined();
      expect(await everything()).toEqual(before);
      expect(await stateOf(lease)).toEqual(state && expect.objectContaining({ state }));
    });

    it('changes nothing, where somebody brought the content', async () => {
      const lease = await begin();
      let outcome: Promise<unknown> = Promise.resolve();
      await test.dataSource.transaction(async (transaction) => {
        await queryRows(transaction, 'SELECT id FROM uploads WHERE id = $1 FOR UPDATE', [lease.uploadId]);
        outcome = store.commitNew(lease, contentOf(lease));
        await expectWaiting();
        // Not so in Berth, which would wait for the lock of the content.
        const { id } = await blobs.insert(
          test.dataSource.manager,
          7,
          parseObjectKey(`blobs/${newUploadId()}`),
        );
        await blobs.addDigests(test.dataSource.manager, id, [canonical]);
      });
      expect(await outcome).toBeUndefined();
      expect(await stateOf(lease)).toMatchObject({ state: 'committing' });
    });
  });

  it('leaves one event where it is repeated in steps, its answer having been lost', async () => {
    const lease = await begin();
    const blob = await store.commitNew(lease, contentOf(lease));
    expect(await store.markCommitted(test.dataSource.manager, lease, blob?.id ?? '', false)).toBe(true);
    expect(await eventsOf(lease)).toEqual(['started', 'committed']);
  });

  it('lets one of many make the content, however they meet', async () => {
    for (let round = 0; round < 10; round += 1) {
      canonical = digestOf('sha256', Buffer.from(`round ${round}`));
      const before = (await everything()) as { blobs: string };
      const leases = await Promise.all(Array.from({ length: 8 }, () => begin()));
      const made = await Promise.all(leases.map((lease) => store.commitNew(lease, contentOf(lease))));
      expect(made.filter((blob) => blob !== undefined)).toHaveLength(1);
      expect(await everything()).toMatchObject({ blobs: String(Number(before.blobs) + 1) });
    }
  });
});
