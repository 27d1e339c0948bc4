import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type BlobRecord, BlobStore } from '../../src/blobs/blob.store.js';
import { Configuration } from '../../src/config/configuration.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
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
import { untilSessionsWait } from '../support/lock-waits.js';
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
    blobs = new BlobStore(test.dataSource, new Configuration());
    store = new UploadCommitStore(test.dataSource, new UnitOfWork(test.dataSource));
    await rows('SELECT ensure_repository($1)', [REPOSITORY]);
  });
  afterAll(() => test.dispose());
  beforeEach(() => void (canonical = digestOf('sha256', Buffer.from(String((contents += 1))))));

  const rows = <Row>(sql: string, parameters: unknown[] = []) =>
    queryRows<Row>(test.dataSource.manager, sql, parameters);
  const acquire = async (): Promise<Lease> => {
    const reference = { repository: REPOSITORY, id: newUploadId() };
    await sessions.insert(reference, PROGRESS, claimantOf('a replica'));
    const acquired = await sessions.acquire(reference, claimantOf('a replica'));
    if (acquired === undefined) throw new Error('not acquired');
    return acquired.lease;
  };
  /** The lease of a session that is being committed as `canonical`. */
  const begin = async (): Promise<Lease> => {
    const lease = await acquire();
    expect(await store.markCommitting(lease, PROGRESS, { digest: canonical, canonical })).toBeDefined();
    return lease;
  };
  const content = (): NewContent => ({
    repository: REPOSITORY,
    canonical,
    digests: [canonical, otherOf(canonical)],
    sizeBytes: 7,
  });
  const objectOf = ({ uploadId }: Lease) => ({
    objectKey: parseObjectKey(`blobs/${uploadId}`),
    replaces: undefined,
  });
  const commit = (lease: Lease) => store.commit(lease, content(), objectOf(lease));
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

  it('creates the blob, links it, and ends the session with its event', async () => {
    const lease = await begin();
    const { objectKey } = objectOf(lease);
    const { isFenced, blob } = await commit(lease);
    expect(isFenced).toBe(false);
    expect(blob).toMatchObject({ sizeBytes: 7, objectKey });
    for (const digest of content().digests)
      expect(await blobs.findLinked(REPOSITORY, digest)).toMatchObject({ ...blob });
    expect(await stateOf(lease)).toEqual({
      state: 'committed',
      blob_id: blob?.id,
      holds_bytes: false,
      lease_holder: null,
    });
    expect(await eventsOf(lease)).toEqual(['started', 'committed']);
  });

  it('inserts the repository with its first content', async () => {
    const lease = await begin();
    const repository = parseRepositoryName('a/new/one');
    const { blob } = await store.commit(lease, { ...content(), repository }, objectOf(lease));
    expect(blob).toBeDefined();
    expect(await blobs.findLinked(repository, canonical)).toMatchObject({ ...blob });
  });

  it('is idempotent: repeated, it returns the same and leaves one event', async () => {
    const lease = await begin();
    const committed = await commit(lease);
    const before = await everything();
    expect(await commit(lease)).toEqual(committed);
    expect(await everything()).toEqual(before);
    expect(await stateOf(lease)).toMatchObject({ state: 'committed', holds_bytes: false });
    expect(await eventsOf(lease)).toEqual(['started', 'committed']);
  });

  it('finds the blob of the content by any of its digests', async () => {
    const lease = await begin();
    const { blob } = await store.commit(lease, { ...content(), digests: [canonical] }, objectOf(lease));
    const other = await acquire();
    expect(await store.markCommitting(other, PROGRESS, { digest: otherOf(canonical), canonical })).toEqual({
      existing: blob,
    });
  });

  describe('of content that the registry has', () => {
    let first: BlobRecord | undefined;
    beforeEach(async () => {
      ({ blob: first } = await commit(await begin()));
    });

    it.each([
      ['with an object of its own', objectOf],
      ['without an object', () => undefined],
    ])('links the first blob (%s)', async (_, object) => {
      const lease = await begin();
      const repository = parseRepositoryName('another/one');
      const linked = await store.commit(lease, { ...content(), repository }, object(lease));
      expect(linked).toEqual({ isFenced: false, blob: first });
      expect(await blobs.findLinked(repository, canonical)).toMatchObject({ ...first });
      expect(await stateOf(lease)).toMatchObject({
        state: 'committed',
        blob_id: first?.id,
        holds_bytes: true,
      });
    });

    it('adds a digest that was computed now', async () => {
      const digest = digestOf('sha512', Buffer.from('another digest of the content'));
      await store.commit(await begin(), { ...content(), digests: [canonical, digest] });
      expect(await blobs.findLinked(REPOSITORY, digest)).toMatchObject({ ...first });
    });

    it('replaces a lost object once, and remembers it', async () => {
      const lost = first?.objectKey ?? parseObjectKey('none');
      const replaces = { objectKey: lost, reason: 'missing' } as const;
      const leases = [await begin(), await begin()];
      const made = [];
      for (const lease of leases) {
        made.push((await store.commit(lease, content(), { ...objectOf(lease), replaces })).blob?.objectKey);
      }
      const [winner] = leases.map((lease) => objectOf(lease).objectKey);
      expect(made).toEqual([winner, winner]);
      const sql = 'SELECT object_key, reason FROM displaced_objects WHERE blob_id = $1';
      expect(await rows(sql, [first?.id])).toEqual([{ object_key: lost, reason: 'missing' }]);
      const states = await Promise.all(leases.map(stateOf));
      expect(states).toMatchObject([{ holds_bytes: false }, { holds_bytes: true }]);
    });
  });

  describe('changes nothing', () => {
    const expectNothing = async (lease: Lease, isFenced: boolean, object = objectOf(lease)) => {
      const [before, session] = [await everything(), await stateOf(lease)];
      expect(await store.commit(lease, content(), object)).toEqual({ isFenced, blob: undefined });
      expect(await everything()).toEqual(before);
      expect(await stateOf(lease)).toEqual(session);
    };

    it('when the writer is fenced', async () => {
      const lease = await begin();
      await expectNothing({ ...lease, version: lease.version - 1 }, true);
    });

    it('when the session has ended', async () => {
      const lease = await begin();
      await sessions.markCancelled(lease);
      await expectNothing(lease, true);
    });

    it('when the session is open', async () => {
      await expectNothing(await acquire(), true);
    });

    it('with an object that is about to be deleted', async () => {
      const lease = await begin();
      const sql = `INSERT INTO object_deletions (object_key, size_bytes, digest, due_at)
                   VALUES ($1, 7, $2, now()) RETURNING object_key`;
      await rows(sql, [objectOf(lease).objectKey, canonical]);
      await expectNothing(lease, false);
    });

    it('without an object, when the registry lacks the content', async () => {
      const lease = await begin();
      const before = await everything();
      expect(await store.commit(lease, content())).toEqual({ isFenced: false, blob: undefined });
      expect(await everything()).toEqual(before);
      expect(await stateOf(lease)).toMatchObject({ state: 'committing' });
    });
  });

  describe('waits for locks', () => {
    const ID = 'WHERE id = $1 RETURNING id';
    /** Commits while another transaction changes the session. */
    const commitDuring = async (change: string) => {
      const lease = await begin();
      const before = await everything();
      let outcome: Promise<unknown> = Promise.resolve();
      await test.dataSource.transaction(async (transaction) => {
        await queryRows(transaction, change, [lease.uploadId]);
        outcome = commit(lease);
        await untilSessionsWait(test.dataSource.manager);
      });
      return { lease, before, committed: await outcome };
    };

    it('and commits after its own heartbeat', async () => {
      const { lease, committed } = await commitDuring(`UPDATE uploads SET lease_expires_at = now() ${ID}`);
      expect(committed).toMatchObject({ isFenced: false });
      expect(await stateOf(lease)).toMatchObject({ state: 'committed' });
    });

    it.each([
      ['was taken over', `UPDATE uploads SET version = version + 1 ${ID}`, 'committing'],
      ['was cancelled', `UPDATE uploads SET state = 'cancelled' ${ID}`, 'cancelled'],
      ['was deleted', `DELETE FROM uploads ${ID}`, undefined],
    ])('and changes nothing if the session %s', async (_, change, state) => {
      const { lease, before, committed } = await commitDuring(change);
      expect(committed).toEqual({ isFenced: true, blob: undefined });
      expect(await everything()).toEqual(before);
      expect(await stateOf(lease)).toEqual(state && expect.objectContaining({ state }));
    });

    it('and links the blob that another commit of the content made meanwhile', async () => {
      const [winner, loser] = [await begin(), await begin()];
      let outcome: Promise<unknown> = Promise.resolve();
      const made = await test.dataSource.transaction(async (transaction) => {
        const one = new UploadCommitStore(test.dataSource, {
          statement: (sql: string, parameters: unknown[]) => queryRows(transaction, sql, parameters),
        } as unknown as UnitOfWork);
        const { blob } = await one.commit(winner, content(), objectOf(winner));
        outcome = commit(loser);
        await untilSessionsWait(test.dataSource.manager);
        return blob;
      });
      expect(await outcome).toEqual({ isFenced: false, blob: made });
      expect(await stateOf(loser)).toMatchObject({ state: 'committed', holds_bytes: true });
    });
  });

  describe('waits while the blob of its content is deleted', () => {
    /** Starts `work` while another transaction deletes the blob of `canonical`. Returns its outcome. */
    const duringDelete = async <T>(work: () => Promise<T>): Promise<T> => {
      const { blob } = await commit(await begin());
      const deletions = ['repository_blobs', 'blob_digests'].map(
        (table) => `DELETE FROM ${table} WHERE blob_id = $1 RETURNING blob_id`,
      );
      const outcome = await test.dataSource.transaction(async (transaction) => {
        for (const sql of [...deletions, 'DELETE FROM blobs WHERE id = $1 RETURNING id']) {
          await queryRows(transaction, sql, [blob?.id]);
        }
        const started = work();
        started.catch(() => undefined);
        await untilSessionsWait(test.dataSource.manager);
        return { started };
      });
      return outcome.started;
    };

    it('and then creates a new one', async () => {
      const lease = await begin();
      const { blob } = await duringDelete(() => commit(lease));
      expect(blob?.objectKey).toBe(objectOf(lease).objectKey);
    });
  });

  it('creates the blob in one of many concurrent commits, and links it in the others', async () => {
    for (let round = 0; round < 10; round += 1) {
      canonical = digestOf('sha256', Buffer.from(`round ${round}`));
      const before = (await everything()) as { blobs: string };
      const leases = await Promise.all(Array.from({ length: 8 }, () => begin()));
      const made = await Promise.all(leases.map(commit));
      expect(new Set(made.map(({ blob }) => blob?.id)).size).toBe(1);
      const winners = leases.filter((lease, n) => made[n]?.blob?.objectKey === objectOf(lease).objectKey);
      expect(winners).toHaveLength(1);
      expect(await everything()).toMatchObject({ blobs: String(Number(before.blobs) + 1) });
    }
  });
});
