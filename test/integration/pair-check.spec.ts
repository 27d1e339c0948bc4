import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MAX_NAMED, PairCheck } from '../../src/backup/pair-check.js';
import { MemoryStorageDriver } from '../../src/storage/drivers/memory/memory-storage.driver.js';
import type { ObjectKey } from '../../src/storage/object-key.js';
import type { ObjectStat } from '../../src/storage/storage-driver.js';
import { ObjectNotFoundError } from '../../src/storage/storage.errors.js';
import { createTestDataSource, type TestDataSource } from '../support/test-data-source.js';

/** More than two samples, so that a sample is not everything. */
const BLOBS = 2_500;

type SizeOf = (key: ObjectKey) => number | undefined | Promise<undefined>;

/** A storage of which only the sizes of objects matter. */
class Sizes extends MemoryStorageDriver {
  constructor(private readonly sizeOf: SizeOf) {
    super();
  }

  override async stat(key: ObjectKey): Promise<ObjectStat> {
    const sizeBytes = await this.sizeOf(key);
    if (sizeBytes === undefined) throw new ObjectNotFoundError(key);
    return { key, sizeBytes, modifiedAt: new Date() };
  }
}

let database: TestDataSource;
beforeAll(async () => {
  database = await createTestDataSource();
  await database.dataSource.query(`
    WITH blob AS (
      INSERT INTO blobs (size_bytes, object_key) SELECT n, 'key/' || n FROM generate_series(1, ${BLOBS}) AS n
      RETURNING id, size_bytes)
    INSERT INTO blob_digests (digest, blob_id)
    SELECT 'sha256:' || lpad(size_bytes::text, 64, '0'), id FROM blob`);
});
afterAll(() => database.dispose());

const numberOf = (key: ObjectKey): number => Number(key.slice('key/'.length));
const check = (sizeOf: SizeOf) => new PairCheck(database.dataSource, new Sizes(sizeOf));
const without = (gone: number) => (key: ObjectKey) => (numberOf(key) === gone ? undefined : numberOf(key));

describe('the check of a storage', () => {
  it('finds nothing in a whole one, and says how much it checked', async () => {
    expect(await check(numberOf).run(true)).toEqual({ blobs: BLOBS, checked: BLOBS, missing: 0, named: [] });
  });

  it('in full names the one object that is missing, or has another size', async () => {
    const digest = `sha256:${'700'.padStart(64, '0')}`;
    const missing = { digest, repository: null, sizeBytes: 700, state: 'missing' };
    expect((await check(without(700)).run(true)).named).toEqual([missing]);
    const shorter = check((key) => (numberOf(key) === 700 ? 699 : numberOf(key)));
    expect((await shorter.run(true)).named).toEqual([{ ...missing, state: 'wrong size' }]);
  });

  it('by sample has the newest blobs and others', async () => {
    expect(await check(without(BLOBS)).run(false)).toMatchObject({ missing: 1 });
    const { checked, missing, named } = await check(() => undefined).run(false);
    expect({ checked, named: named.length }).toEqual({ checked: missing, named: MAX_NAMED });
    expect(checked).toBeGreaterThan(500);
    expect(checked).toBeLessThanOrEqual(1_000);
  });

  it('counts no blob whose row is deleted or gets another object meanwhile', async () => {
    const change = (sql: string) => database.dataSource.query(sql).then(() => undefined);
    const moving = check((key) => {
      if (key === 'key/9') return change(`DELETE FROM blobs WHERE object_key = 'key/9'`);
      if (key === 'key/8')
        return change(`UPDATE blobs SET object_key = 'key/new' WHERE object_key = 'key/8'`);
      return key === 'key/new' ? 8 : numberOf(key);
    });
    expect(await moving.run(true)).toMatchObject({ checked: BLOBS, missing: 0 });
  });
});
