import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Configuration } from '../../src/config/configuration.js';
import { StartupError } from '../../src/common/startup.error.js';
import { ExclusiveTask } from '../../src/maintenance/exclusive-task.js';
import { StorageClaim } from '../../src/storage-identity/storage-claim.js';
import { StorageClaimStore } from '../../src/storage-identity/storage-claim.store.js';
import { StorageIdentity } from '../../src/storage-identity/storage-identity.js';
import { StorageIdentityStore } from '../../src/storage-identity/storage-identity.store.js';
import { MemoryMedium } from '../../src/storage/drivers/memory/memory-medium.js';
import { MemoryStorageDriver } from '../../src/storage/drivers/memory/memory-storage.driver.js';
import type { StorageDriver } from '../../src/storage/storage-driver.js';
import {
  DamagedIdentityError,
  StorageError,
  StorageIdentityError,
} from '../../src/storage/storage.errors.js';
import { stored, uploaded } from '../contract/storage-driver.harness.js';
import { createTestDataSource, type TestDataSource } from '../support/test-data-source.js';

const UUID = /^[0-9a-f-]{36}$/;

describe('the identity of storage and database', () => {
  let test: TestDataSource;
  let medium: MemoryMedium;
  let driver: MemoryStorageDriver;
  const logged: string[] = [];

  beforeAll(async () => {
    test = await createTestDataSource();
  });
  afterAll(() => test.dispose());
  beforeEach(async () => {
    useStorage();
    await test.dataSource.query('DELETE FROM blobs');
    await test.dataSource.query('DELETE FROM uploads');
    await test.dataSource.query('DELETE FROM storage_identity');
    await test.dataSource.query('INSERT INTO storage_identity (id) VALUES (gen_random_uuid())');
    await test.dataSource.query('DELETE FROM storage_claim');
    await test.dataSource.query('INSERT INTO storage_claim DEFAULT VALUES');
    logged.length = 0;
    for (const level of ['log', 'warn'] as const) {
      jest
        .spyOn(Logger.prototype, level)
        .mockImplementation((line: unknown) => void logged.push(String(line)));
    }
  });
  afterEach(() => void jest.restoreAllMocks());

  /** Replaces the storage with an empty one. */
  function useStorage(): void {
    medium = new MemoryMedium(1_000_000);
    driver = new MemoryStorageDriver(medium);
  }

  /** The service of a process that starts now. */
  function process(settings: Partial<Configuration> = {}, on: StorageDriver = driver): StorageIdentity {
    return new StorageIdentity(
      new StorageIdentityStore(test.dataSource),
      new StorageClaim(new StorageClaimStore(test.dataSource), on),
      new ExclusiveTask(test.dataSource),
      on,
      { description: 'PostgreSQL of the test' },
      Object.assign(new Configuration(), settings),
    );
  }

  const row = async () => {
    const [found] = await test.dataSource.query<{ id: string; bound_at: Date | null }[]>(
      'SELECT id, bound_at FROM storage_identity',
    );
    if (found === undefined) throw new Error('the row is gone');
    return found;
  };
  const unbind = () => test.dataSource.query('UPDATE storage_identity SET bound_at = NULL');
  /** A blob as a push leaves it: an object, and a row. */
  const push = async (content = randomUUID()) => {
    const objectKey = await stored(driver, Buffer.from(content));
    await test.dataSource.query('INSERT INTO blobs (size_bytes, object_key) VALUES ($1, $2)', [
      content.length,
      objectKey,
    ]);
    return objectKey;
  };
  /** The message of a start that fails. Expects that it changed nothing. */
  const refusal = async (settings: Partial<Configuration> = {}): Promise<string> => {
    const before = [await row(), medium.identity];
    const error: unknown = await process(settings)
      .establish()
      .catch((each: unknown) => each);
    expect(error).toBeInstanceOf(StartupError);
    expect([await row(), medium.identity]).toEqual(before);
    const { message } = error as StartupError;
    expect(message).toMatch(/^[A-Z][^\n]+[^.]\.$/);
    // None of the database's blobs is in the storage: adopting it would lose all of them.
    if (/has blobs \(0 of/.test(message)) expect(message).not.toContain('STORAGE_ADOPT');
    else {
      expect(message).toMatch(/ stop all other Berths that use them, and start once with STORAGE_ADOPT=\S+$/);
      expect(message).toContain(`STORAGE_ADOPT=${(await row()).id}.`);
    }
    expect(message).toContain('memory (lost at exit)');
    expect(message).toContain('PostgreSQL of the test');
    return message;
  };

  it('is created by the first start on an empty storage, and does not change', async () => {
    await process().establish();
    const { id, bound_at } = await row();
    expect(id).toMatch(UUID);
    expect(bound_at).not.toBeNull();
    expect(medium.identity).toBe(id);
    await push();
    const again = process();
    await again.establish();
    await again.verify();
    expect((await row()).id).toBe(id);
    expect(logged).toEqual([]);
  });

  it('is the same for replicas that start together on an empty storage', async () => {
    const replicas = [1, 2, 3].map(() => process({}, new MemoryStorageDriver(medium)));
    await Promise.all(replicas.map((replica) => replica.establish()));
    for (const replica of replicas) await replica.verify();
  });

  it.each<[string, (failing: StorageDriver) => unknown]>([
    [
      'before the storage has it',
      (on) => jest.spyOn(on, 'writeIdentity').mockRejectedValue(new StorageError('crash')),
    ],
    [
      'when the storage has it',
      (on) => jest.spyOn(on, 'prepare').mockRejectedValue(new StorageError('crash')),
    ],
  ])('is created by the next start after one was interrupted %s', async (_, cutOff) => {
    const failing = new MemoryStorageDriver(medium);
    cutOff(failing);
    await expect(process({}, failing).establish()).rejects.toThrow('crash');
    expect((await row()).bound_at).toBeNull();
    const next = process();
    await next.establish();
    await next.verify();
    expect((await row()).bound_at).not.toBeNull();
  });

  it('is created for an older installation if all blobs are in the storage', async () => {
    for (let count = 0; count < 30; count += 1) await push();
    await process().establish();
    expect(medium.identity).toBe((await row()).id);
    expect(logged).toEqual([expect.stringMatching(/had no identity .+ has 20 of 20 checked blobs/)]);
  });

  it('is created for an older installation without blobs during its first upload', async () => {
    for (let count = 0; count < 3; count += 1) await uploaded(driver, Buffer.from('a stranger’s'));
    expect(await refusal()).toContain('the storage has no identity and holds blobs or uploads');
    const { id } = await uploaded(driver, Buffer.from('x'));
    await test.dataSource.query(
      `INSERT INTO uploads (id, repository, midstates, driver_state) VALUES ($1, 'first', '[]', '{}')`,
      [id],
    );
    await process().establish();
    expect(medium.identity).toBe((await row()).id);
    expect(logged).toEqual([expect.stringMatching(/had no identity .+ knows 1 of 4 unfinished uploads/)]);
  });

  it('is not created for a database with blobs if the storage has only an upload', async () => {
    await driver.delete(await push());
    const { id } = await uploaded(driver, Buffer.from('x'));
    await test.dataSource.query(
      `INSERT INTO uploads (id, repository, midstates, driver_state) VALUES ($1, 'first', '[]', '{}')`,
      [id],
    );
    expect(await refusal()).toContain('has blobs (0 of 1');
  });

  it.each<[string, () => Promise<unknown>]>([
    ['the newest is missing', async () => driver.delete(await push())],
    [
      'the newest has another size',
      () => test.dataSource.query('UPDATE blobs SET size_bytes = 1 WHERE id = (SELECT max(id) FROM blobs)'),
    ],
    [
      'the oldest is missing',
      async () => {
        const oldest = await push();
        await test.dataSource.query('UPDATE blobs SET id = -1 WHERE object_key = $1', [oldest]);
        await driver.delete(oldest);
      },
    ],
  ])('is not created for an older installation if of its blobs %s', async (_, change) => {
    await push();
    await push();
    await change();
    expect(await refusal()).toMatch(
      /the storage has no identity and holds blobs.+has blobs \(\d of \d checked/,
    );
  });

  describe('prevents the start', () => {
    it.each([
      ['without blobs', () => Promise.resolve(), 'has no blobs'],
      ['with blobs', push, 'has blobs (0 of 1 checked ones are in this storage)'],
    ])(
      'where a database %s that has a storage finds an empty one: no mount, another root',
      async (_, fill, says) => {
        await process().establish();
        const { id } = await row();
        await fill();
        useStorage();
        const message = await refusal();
        expect(message).toContain('the storage has no identity and is empty');
        expect(message).toContain(`the database belongs to a storage with the identity ${id} and ${says}`);
        expect(message).toContain(
          'Mount the storage, correct the STORAGE_… settings, or restore the storage',
        );
      },
    );

    it('if the storage belongs to another database', async () => {
      await process().establish();
      useStorage();
      const other = randomUUID();
      await driver.writeIdentity(other);
      const message = await refusal();
      expect(message).toContain(`the storage has the identity ${other} and is empty`);
      expect(message).toContain('Correct the STORAGE_… settings, DATABASE_URL or DATA_DIR');
    });

    it('if the database is new and the storage has an identity (a lost database)', async () => {
      await driver.writeIdentity(randomUUID());
      await stored(driver, Buffer.from('x'));
      const message = await refusal();
      expect(message).toContain('has never had a storage with an identity and has no blobs');
      expect(message).toContain('or restore the lost database');
    });

    it.each<[string, () => Promise<unknown>]>([
      ['blobs', () => stored(driver, Buffer.from('x'))],
      ['an upload', () => uploaded(driver, Buffer.from('x'))],
    ])('if the database is new and the storage without identity has %s', async (_, fill) => {
      await fill();
      expect(await refusal()).toContain('the storage has no identity and holds blobs or uploads');
    });

    it('if the row is missing', async () => {
      await test.dataSource.query('DELETE FROM storage_identity');
      await expect(process().establish()).rejects.toThrow(/storage_identity .+ has lost its row/);
      expect(medium.identity).toBeUndefined();
    });

    it.each<[string, string | undefined]>([
      ['another storage', randomUUID()],
      ['none', undefined],
    ])('if %s is at the mount point while the storage is prepared', async (_, inItsPlace) => {
      await process().establish();
      const flapping = new MemoryStorageDriver(medium);
      jest.spyOn(flapping, 'prepare').mockImplementation(() => {
        medium.identity = inItsPlace;
        return Promise.resolve();
      });
      const starting = process({}, flapping);
      await expect(starting.establish()).rejects.toThrow(/doesn't belong to the database/);
      await expect(starting.verifyStorage()).rejects.toThrow(/not been prepared/);
      expect(medium.identity).toBe(inItsPlace);
    });

    it('if the identity of the storage is damaged', async () => {
      await process().establish();
      jest.spyOn(driver, 'readIdentity').mockRejectedValue(new DamagedIdentityError('no UUID'));
      const message = await refusal();
      expect(message).toContain('the storage has a damaged identity (berth-identity is not a UUID)');
      expect(message).toContain('Restore berth-identity');
    });

    it('if another replica writes its identity at the same time', async () => {
      const raced = new MemoryStorageDriver(medium);
      const other = randomUUID();
      jest.spyOn(raced, 'prepare').mockImplementation(() => driver.writeIdentity(other));
      await expect(process({}, raced).establish()).rejects.toThrow(/another identity at the same time/);
      expect(await row()).toMatchObject({ bound_at: null });
    });
  });

  describe('adopting', () => {
    const damage = () => {
      const read = jest.spyOn(driver, 'readIdentity').mockRejectedValue(new DamagedIdentityError('no UUID'));
      const write = driver.writeIdentity.bind(driver);
      jest.spyOn(driver, 'writeIdentity').mockImplementation((id) => {
        read.mockRestore();
        return write(id);
      });
      return Promise.resolve();
    };
    const CASES: [string, () => Promise<unknown>][] = [
      ['a storage whose identity is damaged', damage],
      ['a database that was restored from an older backup', () => driver.writeIdentity(randomUUID())],
      ['a storage that was moved without its identity', () => Promise.resolve(useStorage())],
      [
        'the storage of a lost database',
        async () => {
          await unbind();
          await driver.writeIdentity(randomUUID());
        },
      ],
    ];

    it.each(CASES)('binds %s, once', async (_, arrange) => {
      await process().establish();
      await push();
      await arrange();
      await refusal();
      const { id: asked } = await row();
      expect(await refusal({ storageAdopt: randomUUID() })).toContain(asked);
      const former = medium.identity;

      const adopting = process({ storageAdopt: asked });
      await adopting.establish();
      await adopting.verify();
      const { id } = await row();
      expect(medium.identity).toBe(id);
      expect([asked, former]).not.toContain(id);
      expect(logged).toEqual([expect.stringMatching(/^STORAGE_ADOPT: .+ \d of 1 checked blobs/)]);

      // The setting is left: it has no effect, and fits no other storage.
      await process({ storageAdopt: asked }).establish();
      expect((await row()).id).toBe(id);
      expect(logged.at(-1)).toMatch(/^STORAGE_ADOPT has no effect/);
      useStorage();
      await refusal({ storageAdopt: asked });
    });

    it('is repeated by the next start if it was interrupted after it wrote the identity', async () => {
      await process().establish();
      const { id: storageAdopt } = await row();
      useStorage();
      const failing = new MemoryStorageDriver(medium);
      jest.spyOn(failing, 'prepare').mockRejectedValue(new StorageError('crash'));
      await expect(process({ storageAdopt }, failing).establish()).rejects.toThrow('crash');
      const next = process({ storageAdopt });
      await next.establish();
      await next.verify();
    });
  });

  describe('is verified later', () => {
    let running: StorageIdentity;
    beforeEach(async () => {
      running = process();
      await running.establish();
    });

    it('and is missing before the start has established it', async () => {
      await expect(process().verifyStorage()).rejects.toBeInstanceOf(StorageIdentityError);
      await expect(process().verify()).rejects.toBeInstanceOf(StorageIdentityError);
    });

    it.each<[string, string | undefined, RegExp]>([
      ['has none', undefined, /memory .+ has no identity instead of [0-9a-f-]{36}: mount or restore/],
      ['has another one', randomUUID(), /memory .+ has the identity .+ instead of/],
    ])('against a storage that %s', async (_, identity, says) => {
      medium.identity = identity;
      await expect(running.verifyStorage()).rejects.toThrow(says);
      await expect(running.verify()).rejects.toBeInstanceOf(StorageIdentityError);
      medium.identity = (await row()).id;
      await running.verify();
    });

    it('against another database, before a removal', async () => {
      await test.dataSource.query('UPDATE storage_identity SET id = gen_random_uuid()');
      await expect(running.verify()).rejects.toThrow(
        /the database belongs to a storage with the identity .+ restart/,
      );
      await running.verifyStorage();
    });
  });
});
