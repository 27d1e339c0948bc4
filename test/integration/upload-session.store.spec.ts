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
import { untilSessionsWait } from '../support/lock-waits.js';
import { claimantOf } from '../support/upload-claims.js';
import { WantedDigests } from '../../src/uploads/wanted-digests.js';

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

  const tryAcquire = (holder: string, leaseSeconds = 30) =>
    store.acquire(reference, claimantOf(holder, leaseSeconds));
  const acquire = async (holder: string, leaseSeconds = 30): Promise<Lease> => {
    const acquired = await tryAcquire(holder, leaseSeconds);
    if (acquired === undefined) throw new Error('not acquired');
    return acquired.lease;
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
    expect(await tryAcquire('b')).toBeUndefined();
    await store.release(first);
    expect((await acquire('b')).version).toBe(2);
  });

  it('gives it to exactly one of many concurrent requests', async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, index) => tryAcquire(`holder ${index}`)),
    );
    expect(outcomes.filter((outcome) => outcome !== undefined)).toHaveLength(1);
  });

  it('does not give it to a request that waited for another one to acquire it', async () => {
    let second: ReturnType<typeof tryAcquire> | undefined;
    await test.dataSource.transaction(async (transaction) => {
      const sql = `UPDATE uploads SET version = version + 1, lease_holder = 'a',
                                      lease_expires_at = now() + interval '1 h'
                    WHERE id = $1 RETURNING id`;
      await queryRows(transaction, sql, [reference.id]);
      second = tryAcquire('b');
      await untilSessionsWait(test.dataSource.manager);
    });
    expect(await second).toBeUndefined();
  });

  it('lets an expired lease be taken over, and fences its holder', async () => {
    const stale = await acquire('a', 0.01);
    await delay(30);
    const current = await acquire('b');
    expect(current.version).toBeGreaterThan(stale.version);

    expect(await store.checkpoint(stale, PROGRESS)).toBe(false);
    expect(await store.recordFence(stale, { parts: [] })).toBe(false);
    expect(await store.renew(stale)).toBe(false);
    expect(
      await commits.markCommitting(stale, PROGRESS, { digest: DIGEST, canonical: DIGEST }),
    ).toBeUndefined();
    expect(await store.markCancelled(stale)).toBeUndefined();
    await store.release(stale);
    expect(await store.find(reference)).toMatchObject({
      state: 'open',
      offsetBytes: 0,
      version: current.version,
    });
    expect(await tryAcquire('c')).toBeUndefined();
  });

  it('needs a fence after a lease expired, not after a release, until the fence is recorded', async () => {
    const first = await tryAcquire('a', 0.01);
    expect(first?.needsFence).toBe(false);
    await delay(30);
    const second = await acquire('b');
    // Released without a fence, by its request or because its process ended.
    await store.release(second);
    expect((await tryAcquire('c'))?.needsFence).toBe(true);
    await store.releaseHolder('c', false);
    const last = await tryAcquire('d');
    expect(last?.needsFence).toBe(true);
    if (last !== undefined) expect(await store.recordFence(last.lease, { parts: [] })).toBe(true);
    await store.releaseHolder('d', false);
    expect((await tryAcquire('e'))?.needsFence).toBe(false);
  });

  it('records a repeated fence, and not a delayed one', async () => {
    await acquire('a', 0.01);
    await delay(30);
    const lease = await acquire('b');
    expect(await store.recordFence(lease, { parts: [3] })).toBe(true);
    expect(await store.recordFence(lease, { parts: [3] })).toBe(true);
    await store.checkpoint(lease, { ...PROGRESS, driverState: { parts: [3, 4] } });
    expect(await store.recordFence(lease, { parts: [3] })).toBe(false);
    expect(await store.find(reference)).toMatchObject({ driverState: { parts: [3, 4] } });
  });

  it('never moves the offset back for a delayed checkpoint', async () => {
    const lease = await acquire('a');
    const later = { ...PROGRESS, offsetBytes: 20 };
    expect(await store.checkpoint(lease, later, { release: true })).toBe(true);
    expect(await store.checkpoint(lease, PROGRESS)).toBe(false);
    expect(
      await commits.markCommitting(lease, PROGRESS, { digest: DIGEST, canonical: DIGEST }),
    ).toBeUndefined();
    expect(await store.find(reference)).toMatchObject({ offsetBytes: 20, leaseHolder: null });
  });

  it('gives a session of an ended holder to the next request, unless it has a new holder', async () => {
    const lost = await acquire('a');
    const gone = { leaseHolder: 'a', version: lost.version };
    expect(
      await store.acquire(reference, claimantOf('b'), { gone: { ...gone, leaseHolder: 'x' } }),
    ).toBeUndefined();
    const next = await store.acquire(reference, claimantOf('b'), { gone });
    expect(next).toMatchObject({ needsFence: true, lease: { version: lost.version + 1 } });
    expect(await store.acquire(reference, claimantOf('c'), { gone })).toBeUndefined();
  });

  it('records offset, midstates and driver state together, and reads them back the same', async () => {
    expect(await store.checkpoint(await acquire('a'), PROGRESS)).toBe(true);
    expect(await store.find(reference)).toMatchObject(PROGRESS);
  });

  it('releases the lease with a checkpoint', async () => {
    await store.checkpoint(await acquire('a'), PROGRESS, { release: true });
    expect((await tryAcquire('b'))?.session.offsetBytes).toBe(7);
  });

  it('finds a session only under its own repository', async () => {
    const elsewhere = { ...reference, repository: parseRepositoryName('a/c') };
    expect(await store.find(elsewhere)).toBeUndefined();
    expect(await store.acquire(elsewhere, claimantOf('a'))).toBeUndefined();
  });

  it('refuses writers of an ended session', async () => {
    const lease = await acquire('a');
    expect(await store.markCancelled(lease)).toMatchObject({ state: 'cancelled' });
    // The first response may have been lost.
    expect(await store.markCancelled(lease)).toMatchObject({ state: 'cancelled' });
    expect(await tryAcquire('b')).toBeUndefined();
    expect(await store.checkpoint(lease, PROGRESS)).toBe(false);
  });

  it('leaves a committed session committed, even if its writer missed the response', async () => {
    const lease = await acquire('a');
    await commits.markCommitting(lease, PROGRESS, { digest: DIGEST, canonical: DIGEST });
    const { repository, id } = reference;
    const content = { repository, canonical: DIGEST, digests: [DIGEST], sizeBytes: PROGRESS.offsetBytes };
    const object = { objectKey: parseObjectKey(`blobs/${id}`), replaces: undefined };
    const { blob } = await commits.commit(lease, content, object);

    expect(await store.markCancelled(lease)).toBeUndefined();
    expect(
      await commits.markCommitting(lease, PROGRESS, { digest: DIGEST, canonical: DIGEST }),
    ).toBeUndefined();
    expect(await store.find(reference)).toMatchObject({ state: 'committed', blobId: blob?.id });
    const other = parseDigest(`sha256:${'b'.repeat(64)}`);
    expect(await store.renewCommitted(reference, WantedDigests.of(DIGEST))).toBe(DIGEST);
    expect(await store.renewCommitted(reference, WantedDigests.of(other))).toBeUndefined();
    expect(await store.renewCommitted(reference, WantedDigests.of(DIGEST, other))).toBeUndefined();
    const elsewhere = { ...reference, repository: parseRepositoryName('a/c') };
    expect(await store.renewCommitted(elsewhere, WantedDigests.of(DIGEST))).toBeUndefined();
  });

  it('releases every lease for the only process of a database', async () => {
    await acquire('a process that was killed');
    await store.releaseAll(false);
    expect(await tryAcquire('b')).toMatchObject({ needsFence: false, lease: { version: 2 } });
  });

  it('releases the leases of one ended process, and no others', async () => {
    await acquire('a');
    await store.releaseHolder('b', false);
    expect(await tryAcquire('c')).toBeUndefined();
    await store.releaseHolder('a', false);
    expect(await tryAcquire('c')).toMatchObject({ needsFence: false });
  });

  it('requires a fence if writes of an ended process can still reach the storage', async () => {
    await acquire('a');
    await store.releaseHolder('a', true);
    expect(await tryAcquire('b')).toMatchObject({ needsFence: true });
    await store.releaseAll(true);
    expect(await tryAcquire('c')).toMatchObject({ needsFence: true });
    await store.releaseAll(false);
    expect(await tryAcquire('d')).toMatchObject({ needsFence: false });
  });

  it('records an event in the same statement as the change', async () => {
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

  it('records no event for a fenced change', async () => {
    const stale = await acquire('a', 0.01);
    await delay(30);
    await acquire('b');
    const before = await events();
    await store.checkpoint(stale, PROGRESS, { recordEvent: true });
    await store.markCancelled(stale);
    expect(await events()).toEqual(before);
  });
});
