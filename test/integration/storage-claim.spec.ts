import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Configuration } from '../../src/config/configuration.js';
import { ExclusiveTask } from '../../src/maintenance/exclusive-task.js';
import { StorageClaim } from '../../src/storage-identity/storage-claim.js';
import { StorageClaimStore } from '../../src/storage-identity/storage-claim.store.js';
import { StorageIdentity } from '../../src/storage-identity/storage-identity.js';
import { StorageIdentityStore } from '../../src/storage-identity/storage-identity.store.js';
import { MemoryMedium } from '../../src/storage/drivers/memory/memory-medium.js';
import { MemoryStorageDriver } from '../../src/storage/drivers/memory/memory-storage.driver.js';
import { DamagedClaimError, StorageClaimError, StorageError } from '../../src/storage/storage.errors.js';
import { createTestDataSource, type TestDataSource } from '../support/test-data-source.js';

const TEN_MINUTES_MS = 600_001;

/** Two databases. At first `copy` is a copy of `original`, which has bound the storage. */
describe('the claim to delete objects', () => {
  let original: TestDataSource;
  let copy: TestDataSource;
  let medium: MemoryMedium;
  let errors: string[];

  beforeAll(async () => {
    original = await createTestDataSource();
    copy = await createTestDataSource();
  });
  afterAll(async () => {
    await original.dispose();
    await copy.dispose();
  });
  beforeEach(async () => {
    medium = new MemoryMedium(1_000_000);
    errors = [];
    jest
      .spyOn(Logger.prototype, 'error')
      .mockImplementation((line: unknown) => void errors.push(String(line)));
    jest.spyOn(Logger.prototype, 'warn').mockReturnValue(undefined);
    await original.dataSource.query(
      `DELETE FROM storage_identity; DELETE FROM storage_claim;
       INSERT INTO storage_identity (id) VALUES (gen_random_uuid());
       INSERT INTO storage_claim DEFAULT VALUES`,
    );
    await start(original);
    await claimOf(original).verify();
    await clone();
  });
  afterEach(() => void jest.restoreAllMocks());

  const claimOf = (database: TestDataSource, storage = medium) =>
    new StorageClaim(new StorageClaimStore(database.dataSource), new MemoryStorageDriver(storage));

  /** Starts a process on the storage. */
  async function start(database: TestDataSource, settings: Partial<Configuration> = {}): Promise<void> {
    const driver = new MemoryStorageDriver(medium);
    await new StorageIdentity(
      new StorageIdentityStore(database.dataSource),
      new StorageClaim(new StorageClaimStore(database.dataSource), driver),
      new ExclusiveTask(database.dataSource),
      driver,
      { description: 'PostgreSQL of the test' },
      Object.assign(new Configuration(), settings),
    ).establish();
  }

  /** Makes `to` a copy of `from`, as far as identity and claim go. */
  async function clone(from = original, to = copy): Promise<void> {
    for (const table of ['storage_identity', 'storage_claim']) {
      const [row] = await from.dataSource.query<unknown[]>(`SELECT * FROM ${table}`);
      await to.dataSource.query(`DELETE FROM ${table}`);
      await to.dataSource.query(
        `INSERT INTO ${table} SELECT * FROM json_populate_record(NULL::${table}, $1)`,
        [JSON.stringify(row)],
      );
    }
  }

  /** A copy of the bucket. */
  function copyOfStorage(): MemoryMedium {
    return Object.assign(new MemoryMedium(1_000_000), { identity: medium.identity, claim: medium.claim });
  }

  const identityOf = async ({ dataSource }: TestDataSource) => {
    const [row] = await dataSource.query<{ id: string }[]>('SELECT id FROM storage_identity');
    return row?.id ?? '';
  };

  /** Expects that the database may delete nothing, and that its operator learns why, once. */
  async function expectRefused(claim: StorageClaim, why: string): Promise<void> {
    const before = medium.claim;
    for (let time = 0; time < 2; time += 1) {
      const error: unknown = await claim.verify().catch((each: unknown) => each);
      expect(error).toBeInstanceOf(StorageClaimError);
      const { message } = error as StorageClaimError;
      expect(message).toContain(why);
      expect(message).toMatch(
        /^this database may not delete .+ start once with STORAGE_ADOPT=[0-9a-f-]{36}$/,
      );
      expect(await claim.problem()).toBe(message);
      expect(errors).toEqual([message]);
    }
    expect(medium.claim).toBe(before);
  }

  it('is taken at the first use, and then only read', async () => {
    const taken = medium.claim;
    expect(taken).toMatchObject({ identity: await identityOf(original), number: 1 });
    await claimOf(original).verify();
    expect(medium.claim).toBe(taken);
    expect(await claimOf(original).problem()).toBeUndefined();
  });

  it('is taken together by replicas that use it at the same time', async () => {
    await original.dataSource.query('UPDATE storage_claim SET token = NULL, former_token = NULL');
    medium.claim = undefined;
    await Promise.all([1, 2, 3].map(() => claimOf(original).verify()));
    await Promise.all([1, 2, 3].map(() => claimOf(original).renew()));
    for (let replica = 0; replica < 3; replica += 1) await claimOf(original).verify();
  });

  it('is renewed every five minutes by a process that has run for ten', async () => {
    const [old, young] = [claimOf(original), claimOf(original)];
    const now = performance.now.bind(performance);
    Object.assign(old, { startedAt: now() - TEN_MINUTES_MS });
    await old.verify();
    expect(medium.claim).toMatchObject({ number: 1 });
    await original.dataSource.query(`UPDATE storage_claim SET renewed_at = now() - interval '301 seconds'`);
    await young.verify();
    expect(medium.claim).toMatchObject({ number: 1 });
    await old.verify();
    expect(medium.claim).toMatchObject({ number: 2 });
    await old.verify();
    expect(medium.claim).toMatchObject({ number: 2 });
    await young.verify();
  });

  describe('is not held by', () => {
    it('a clone, once the original has renewed it', async () => {
      await claimOf(copy).verify();
      await claimOf(original).renew();
      await expectRefused(
        claimOf(copy),
        'berth-claim in it has the number 2, and this database 1: the database is a clone, or was restored',
      );
      await claimOf(original).verify();
    });

    it('an original whose clone has renewed it', async () => {
      await claimOf(copy).renew();
      await expectRefused(claimOf(original), 'the database is a clone, or was restored from a backup');
      await claimOf(copy).verify();
    });

    it('a database that was restored from a backup, also from one before the first claim', async () => {
      await claimOf(original).renew();
      await clone(copy, original);
      await expectRefused(claimOf(original), 'or was restored from a backup');
      errors.length = 0;
      await original.dataSource.query('UPDATE storage_claim SET token = NULL, number = 0');
      await expectRefused(claimOf(original), 'or was restored from a backup');
    });

    it('a database in front of an older copy of its bucket', async () => {
      const bucket = copyOfStorage();
      await claimOf(original).renew();
      await claimOf(original).renew();
      await expectRefused(
        claimOf(original, bucket),
        'number 1, and this database 3: the storage is an older',
      );
    });

    it.each<[string, () => void, string]>([
      ['was deleted', () => (medium.claim = undefined), 'the storage has lost berth-claim'],
      [
        'belongs to another storage',
        () => (medium.claim = { identity: randomUUID(), number: 1, token: randomUUID() }),
        'berth-claim in it has the identity',
      ],
      [
        'is damaged',
        () =>
          void jest
            .spyOn(MemoryStorageDriver.prototype, 'readClaim')
            .mockRejectedValue(new DamagedClaimError('no claim')),
        'berth-claim in it is damaged',
      ],
    ])('a database whose claim %s', async (_, change, why) => {
      change();
      await expectRefused(claimOf(original), why);
    });

    it('a database that has lost its row', async () => {
      await original.dataSource.query('DELETE FROM storage_claim');
      await expect(claimOf(original).verify()).rejects.toThrow(/has lost its row/);
    });
  });

  it.each(['before', 'after'])('survives a crash %s it is written to the storage', async (when) => {
    const write = MemoryStorageDriver.prototype.writeClaim;
    jest.spyOn(MemoryStorageDriver.prototype, 'writeClaim').mockImplementationOnce(async function (
      this: MemoryStorageDriver,
      claim,
    ) {
      if (when === 'after') await write.call(this, claim);
      throw new StorageError('crash');
    });
    await expect(claimOf(original).renew()).rejects.toThrow('crash');
    await claimOf(original).verify();
    await claimOf(original).renew();
    await claimOf(original).verify();
    await clone();
    expect(medium.claim).toMatchObject({ number: 2 });
  });

  it('survives a write that arrives late, and a file system that shows the former claim', async () => {
    const late = medium.claim;
    await claimOf(original).renew();
    medium.claim = late;
    await claimOf(original).verify();
  });

  it('reads the row again if another process renews the claim between two reads', async () => {
    const driver = new MemoryStorageDriver(medium);
    jest.spyOn(driver, 'readClaim').mockImplementationOnce(async () => {
      for (let times = 0; times < 3; times += 1) await claimOf(original).renew();
      return medium.claim;
    });
    await new StorageClaim(new StorageClaimStore(original.dataSource), driver).verify();
    expect(errors).toEqual([]);
  });

  describe('starts anew with STORAGE_ADOPT', () => {
    it('in a restored database, and ends the claim of all other copies', async () => {
      await claimOf(original).renew();
      const asked = await identityOf(copy);
      await start(copy);
      expect(await identityOf(copy)).toBe(asked);
      await start(copy, { storageAdopt: asked });
      const id = await identityOf(copy);
      expect(id).not.toBe(asked);
      expect(medium.identity).toBe(id);
      await claimOf(copy).verify();
      await expectRefused(claimOf(original), `berth-claim in it has the identity ${id} instead of ${asked}`);
      // The setting is left.
      await start(copy, { storageAdopt: asked });
      expect(await identityOf(copy)).toBe(id);
      await claimOf(copy).verify();
    });

    it('but only if it is not held', async () => {
      const asked = await identityOf(original);
      await start(original, { storageAdopt: asked });
      expect(await identityOf(original)).toBe(asked);
      expect(medium.claim).toMatchObject({ number: 1 });
    });

    it('again if a start was interrupted', async () => {
      await claimOf(original).renew();
      const asked = await identityOf(copy);
      const write = jest.spyOn(MemoryStorageDriver.prototype, 'writeClaim');
      write.mockRejectedValueOnce(new StorageError('crash'));
      await expect(start(copy, { storageAdopt: asked })).rejects.toThrow('crash');
      await start(copy, { storageAdopt: asked });
      await claimOf(copy).verify();
      expect(medium.identity).toBe(await identityOf(copy));
    });
  });
});
