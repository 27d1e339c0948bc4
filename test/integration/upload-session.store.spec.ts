import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { queryRows } from '../../src/database/query-rows.js';
import { parseDigest } from '../../src/oci/digest.js';
import { parseRepositoryName } from '../../src/oci/repository-name.js';
import { newUploadId } from '../../src/oci/upload-id.js';
import { parseObjectKey } from '../../src/storage/object-key.js';
import { initialMidstate } from '../../src/uploads/hash/midstate.js';
import type { Lease, UploadReference } from '../../src/uploads/session/upload-session.js';
import { UploadCommitStore } from '../../src/uploads/commit/upload-commit.store.js';
import { UploadSessionStore } from '../../src/uploads/session/upload-session.store.js';
import { createTestDataSource, type TestDataSource } from '../support/test-data-source.js';
import { until } from '../support/until.js';
import { claimantOf } from '../support/upload-claims.js';

const PROGRESS = { offsetBytes: 7, midstates: [initialMidstate('sha256')], driverState: { parts: [1, 2] } };
const DIGEST = parseDigest(`sha256:${'a'.repeat(64)}`);

describe('UploadSessionStore', () => {
  let test: TestDataSource;
  let store: UploadSessionStore;
  let commits: UploadCommitStore;
  let reference: UploadReference;

  beforeAll(async () => {
    test = await createTestDataSource();
    store = new UploadSessionStore(test.dataSource);
    commits = new UploadCommitStore(test.dataSource, new UnitOfWork(test.dataSource));
  });
  afterAll(() => test.dispose());

  beforeEach(async () => {
    reference = { repository: parseRepositoryName('a/b'), id: newUploadId() };
    await store.insert(reference, { ...PROGRESS, offsetBytes: 0 }, claimantOf('the first'));
  });

  const take = (holder: string, leaseSeconds = 30) =>
    store.acquire(reference, claimantOf(holder, leaseSeconds));
  const acquire = async (holder: string, leaseSeconds = 30): Promise<Lease> => {
    const taking = await take(holder, leaseSeconds);
    if (taking === undefined) throw new Error('not acquired');
    return taking.lease;
  };
  const events = async () => {
    const sql = 'SELECT kind, replica FROM upload_events WHERE upload_id = $1 ORDER BY id';
    const rows = await queryRows<{ kind: string; replica: string }>(test.dataSource.manager, sql, [
      reference.id,
    ]);
    return rows.map(({ kind, replica }) => `${kind} ${replica}`);
  };

  it('gives a session to one holder at a time', async () => {
    const first = await acquire('a');
    expect(first.version).toBe(1);
    expect(await take('b')).toBeUndefined();
    await store.release(first);
    expect((await acquire('b')).version).toBe(2);
  });

  it('gives it to exactly one of many that ask at once', async () => {
    const outcomes = await Promise.all(Array.from({ length: 20 }, (_, index) => take(`holder ${index}`)));
    expect(outcomes.filter((outcome) => outcome !== undefined)).toHaveLength(1);
  });

  it('does not give it to a request that waited for another one to acquire it', async () => {
    let second: ReturnType<typeof take> | undefined;
    await test.dataSource.transaction(async (transaction) => {
      const sql = `UPDATE uploads SET version = version + 1, lease_holder = 'a', lease_expires_at = now() + interval '1 h'
                    WHERE id = $1 RETURNING id`;
      await queryRows(transaction, sql, [reference.id]);
      second = take('b');
      await until('the lock', async () => {
        const waiting = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
        return (await queryRows(test.dataSource.manager, waiting)).length > 0;
      });
    });
    expect(await second).toBeUndefined();
  });

  it('lets a lapsed lease be taken over, and fences the one who had it', async () => {
    const stale = await acquire('a', 0.01);
    await delay(30);
    const current = await acquire('b');
    expect(current.version).toBeGreaterThan(stale.version);

    expect(await store.checkpoint(stale, PROGRESS)).toBe(false);
    expect(await store.recordFence(stale, { parts: [] })).toBe(false);
    expect(await store.renew(stale)).toBe(false);
    expect(await commits.markCommitting(stale, PROGRESS, DIGEST, DIGEST)).toBeUndefined();
    expect(await store.markCancelled(stale)).toBeUndefined();
    await store.release(stale);
    expect(await store.find(reference)).toMatchObject({
      state: 'open',
      offsetBytes: 0,
      version: current.version,
    });
    expect(await take('c')).toBeUndefined();
  });

  it('tells a session that was let go from one that was abandoned, until its writer is shut out', async () => {
    const first = await take('a', 0.01);
    expect(first?.needsFence).toBe(false);
    await delay(30);
    const second = await acquire('b');
    // Whoever lets go of it without having shut that writer out: its request, or the end of its process.
    await store.release(second);
    expect((await take('c'))?.needsFence).toBe(true);
    await store.releaseHolder('c', false);
    const last = await take('d');
    expect(last?.needsFence).toBe(true);
    if (last !== undefined) expect(await store.recordFence(last.lease, { parts: [] })).toBe(true);
    await store.releaseHolder('d', false);
    expect((await take('e'))?.needsFence).toBe(false);
  });

  it('records a fence that is repeated, and not one that comes late', async () => {
    await acquire('a', 0.01);
    await delay(30);
    const lease = await acquire('b');
    expect(await store.recordFence(lease, { parts: [3] })).toBe(true);
    expect(await store.recordFence(lease, { parts: [3] })).toBe(true);
    await store.checkpoint(lease, { ...PROGRESS, driverState: { parts: [3, 4] } });
    expect(await store.recordFence(lease, { parts: [3] })).toBe(false);
    expect(await store.find(reference)).toMatchObject({ driverState: { parts: [3, 4] } });
  });

  it('takes nothing back for a checkpoint that comes late', async () => {
    const lease = await acquire('a');
    const later = { ...PROGRESS, offsetBytes: 20 };
    expect(await store.checkpoint(lease, later, { release: true })).toBe(true);
    expect(await store.checkpoint(lease, PROGRESS)).toBe(false);
    expect(await commits.markCommitting(lease, PROGRESS, DIGEST, DIGEST)).toBeUndefined();
    expect(await store.find(reference)).toMatchObject({ offsetBytes: 20, leaseHolder: null });
  });

  it('gives a session to whoever knows that its holder is gone, unless another has it by then', async () => {
    const lost = await acquire('a');
    const gone = { leaseHolder: 'a', version: lost.version };
    expect(await store.acquire(reference, claimantOf('b'), { ...gone, leaseHolder: 'x' })).toBeUndefined();
    const next = await store.acquire(reference, claimantOf('b'), gone);
    expect(next).toMatchObject({ needsFence: true, lease: { version: lost.version + 1 } });
    expect(await store.acquire(reference, claimantOf('c'), gone)).toBeUndefined();
  });

  it('records offset, midstates and driver state together, and reads them back the same', async () => {
    expect(await store.checkpoint(await acquire('a'), PROGRESS)).toBe(true);
    expect(await store.find(reference)).toMatchObject(PROGRESS);
  });

  it('lets go of the lease in the checkpoint that says so', async () => {
    await store.checkpoint(await acquire('a'), PROGRESS, { release: true });
    expect((await take('b'))?.session.offsetBytes).toBe(7);
  });

  it('knows a session under its own repository alone', async () => {
    const elsewhere = { ...reference, repository: parseRepositoryName('a/c') };
    expect(await store.find(elsewhere)).toBeUndefined();
    expect(await store.acquire(elsewhere, claimantOf('a'))).toBeUndefined();
  });

  it('lets nobody write to a session that is over', async () => {
    const lease = await acquire('a');
    expect(await store.markCancelled(lease)).toMatchObject({ state: 'cancelled' });
    // The answer to the first may have been lost.
    expect(await store.markCancelled(lease)).toMatchObject({ state: 'cancelled' });
    expect(await take('b')).toBeUndefined();
    expect(await store.checkpoint(lease, PROGRESS)).toBe(false);
  });

  it('leaves a committed session committed, even if its writer missed the response', async () => {
    const lease = await acquire('a');
    await commits.markCommitting(lease, PROGRESS, DIGEST, DIGEST);
    const { repository, id } = reference;
    const content = { repository, canonical: DIGEST, digests: [DIGEST], sizeBytes: PROGRESS.offsetBytes };
    const object = { objectKey: parseObjectKey(`blobs/${id}`), replaces: undefined };
    const { blob } = await commits.commit(lease, content, object);

    expect(await store.markCancelled(lease)).toBeUndefined();
    expect(await commits.markCommitting(lease, PROGRESS, DIGEST, DIGEST)).toBeUndefined();
    expect(await store.find(reference)).toMatchObject({ state: 'committed', blobId: blob?.id });
    expect(await store.isCommittedAs(reference, DIGEST)).toBe(true);
    expect(await store.isCommittedAs(reference, parseDigest(`sha256:${'b'.repeat(64)}`))).toBe(false);
    const elsewhere = { ...reference, repository: parseRepositoryName('a/c') };
    expect(await store.isCommittedAs(elsewhere, DIGEST)).toBe(false);
  });

  it('frees every lease for a process that knows itself alone', async () => {
    await acquire('a process that was killed');
    await store.releaseAll(false);
    expect(await take('b')).toMatchObject({ needsFence: false, lease: { version: 2 } });
  });

  it('frees the leases of one process that has ended, and of no other', async () => {
    await acquire('a');
    await store.releaseHolder('b', false);
    expect(await take('c')).toBeUndefined();
    await store.releaseHolder('a', false);
    expect(await take('c')).toMatchObject({ needsFence: false });
  });

  it('has what a process held fenced that may still be on its way to storage', async () => {
    await acquire('a');
    await store.releaseHolder('a', true);
    expect(await take('b')).toMatchObject({ needsFence: true });
    await store.releaseAll(true);
    expect(await take('c')).toMatchObject({ needsFence: true });
    await store.releaseAll(false);
    expect(await take('d')).toMatchObject({ needsFence: false });
  });

  it('leaves an event with every change that matters, in the same statement', async () => {
    const first = await acquire('the first');
    await store.checkpoint(
      first,
      { ...PROGRESS, offsetBytes: 2 ** 20 },
      { release: true, recordEvent: true },
    );
    await acquire('another', 0.01);
    await delay(30);
    await store.markCancelled(await acquire('a third'));
    expect(await events()).toEqual([
      'started the first',
      'checkpoint the first',
      'resumed another',
      'takeover a third',
      'cancelled a third',
    ]);
  });

  it('leaves no event of a change that was fenced', async () => {
    const stale = await acquire('a', 0.01);
    await delay(30);
    await acquire('b');
    const before = await events();
    await store.checkpoint(stale, PROGRESS, { recordEvent: true });
    await store.markCancelled(stale);
    expect(await events()).toEqual(before);
  });
});
