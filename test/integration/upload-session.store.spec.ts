import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { queryRows } from '../../src/database/query-rows.js';
import { runMigrations } from '../../src/database/run-migrations.js';
import { parseDigest } from '../../src/oci/digest.js';
import { parseRepositoryName } from '../../src/oci/repository-name.js';
import { newUploadId } from '../../src/oci/upload-id.js';
import { initialMidstate } from '../../src/uploads/hash/midstate.js';
import type { UploadReference, UploadSession } from '../../src/uploads/upload-session.js';
import { UploadSessionStore } from '../../src/uploads/upload-session.store.js';
import { createTestDataSource, type TestDataSource } from '../support/test-data-source.js';

const NOBODY = { createdBy: null, clientAddress: null, userAgent: null };
const PROGRESS = { offsetBytes: 7, midstates: [initialMidstate('sha256')], driverState: { parts: [1, 2] } };
const DIGEST = parseDigest(`sha256:${'a'.repeat(64)}`);

describe('UploadSessionStore', () => {
  let test: TestDataSource;
  let store: UploadSessionStore;
  let reference: UploadReference;

  beforeAll(async () => {
    test = await createTestDataSource();
    await runMigrations(test.dataSource);
    store = new UploadSessionStore(test.dataSource);
  });
  afterAll(() => test.dispose());

  beforeEach(async () => {
    reference = { repository: parseRepositoryName('a/b'), id: newUploadId() };
    await store.insert(reference, { ...PROGRESS, offsetBytes: 0 }, NOBODY);
  });

  const acquire = async (holder: string, leaseSeconds = 30): Promise<UploadSession> => {
    const session = await store.acquire(reference, holder, leaseSeconds);
    if (session === undefined) throw new Error('not acquired');
    return session;
  };

  it('gives a session to one holder at a time', async () => {
    expect((await acquire('a')).version).toBe(1);
    expect(await store.acquire(reference, 'b', 30)).toBeUndefined();
    await store.release(reference.id, 1);
    expect((await acquire('b')).version).toBe(2);
  });

  it('gives it to exactly one of many that ask at once', async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, index) => store.acquire(reference, `holder ${index}`, 30)),
    );
    expect(outcomes.filter((outcome) => outcome !== undefined)).toHaveLength(1);
  });

  it('lets a lapsed lease be taken over, and fences the one who had it', async () => {
    const stale = await acquire('a', 0.01);
    await delay(30);
    const current = await acquire('b');
    expect(current.version).toBeGreaterThan(stale.version);

    expect(await store.checkpoint(reference.id, stale.version, 30, PROGRESS)).toBe(false);
    expect(await store.markCommitting(reference.id, stale.version, 30, PROGRESS, DIGEST)).toBe(false);
    expect(await store.markCancelled(reference.id, stale.version)).toBeUndefined();
    await store.release(reference.id, stale.version);
    expect(await store.find(reference)).toMatchObject({
      state: 'open',
      offsetBytes: 0,
      version: current.version,
    });
    expect(await store.acquire(reference, 'c', 30)).toBeUndefined();
  });

  it('records offset, midstates and driver state together, and reads them back the same', async () => {
    const { version } = await acquire('a');
    expect(await store.checkpoint(reference.id, version, 30, PROGRESS)).toBe(true);
    expect(await store.find(reference)).toMatchObject(PROGRESS);
  });

  it('lets go of the lease in the checkpoint that says so', async () => {
    const { version } = await acquire('a');
    await store.checkpoint(reference.id, version, null, PROGRESS);
    expect((await acquire('b')).offsetBytes).toBe(7);
  });

  it('knows a session under its own repository alone', async () => {
    const elsewhere = { ...reference, repository: parseRepositoryName('a/c') };
    expect(await store.find(elsewhere)).toBeUndefined();
    expect(await store.acquire(elsewhere, 'a', 30)).toBeUndefined();
  });

  it('lets nobody write to a session that is over', async () => {
    const { version } = await acquire('a');
    await store.markCancelled(reference.id, version);
    expect(await store.acquire(reference, 'b', 30)).toBeUndefined();
    expect(await store.checkpoint(reference.id, version, 30, PROGRESS)).toBe(false);
  });

  it('leaves a committed session committed, whatever its last writer thinks became of the commit', async () => {
    const { version } = await acquire('a');
    await store.markCommitting(reference.id, version, 30, PROGRESS, DIGEST);
    const insert = `INSERT INTO blobs (size_bytes, object_key) VALUES (7, $1) RETURNING id`;
    const [blob] = await queryRows<{ id: string }>(test.dataSource.manager, insert, [
      `blobs/${reference.id}`,
    ]);
    await store.markCommitted(test.dataSource.manager, reference.id, version, String(blob?.id));

    expect(await store.markCancelled(reference.id, version)).toBeUndefined();
    expect(await store.markCommitting(reference.id, version, 30, PROGRESS, DIGEST)).toBe(false);
    expect(await store.find(reference)).toMatchObject({ state: 'committed', blobId: blob?.id });
  });

  it('frees every lease for a process that knows itself alone', async () => {
    await acquire('a process that was killed');
    await store.releaseAll();
    expect((await acquire('b')).version).toBe(2);
  });
});
