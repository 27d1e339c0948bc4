import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { Configuration } from '../config/configuration.js';
import { StartupError } from '../common/startup.error.js';
import { DATABASE } from '../database/database.module.js';
import type { Database } from '../database/database.js';
import { ExclusiveTask } from '../maintenance/exclusive-task.js';
import { type IoOptions, STORAGE_DRIVER, type StorageDriver } from '../storage/storage-driver.js';
import {
  DamagedIdentityError,
  ObjectNotFoundError,
  StorageError,
  StorageIdentityError,
  StorageUnavailableError,
} from '../storage/storage.errors.js';
import { type DatabaseIdentity, type KnownObject, StorageIdentityStore } from './storage-identity.store.js';
import { DAMAGED, describeMismatch, type Mismatch } from './storage-mismatch.js';

/**
 * Blobs that are looked for before a storage without identity is taken for the one that they are in: so many
 * oldest and newest.
 */
const SAMPLE = 10;

/** Where the database has no blobs: unfinished uploads of the storage, of which it is to know one. */
const UPLOADS_SAMPLE = 1_000;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Replicas that start together on a new storage prepare it in turn. Each takes about a second, a slow bucket
 * some more.
 */
const TURN_PATIENCE_MS = 120_000;
const TURN_PAUSE_MS = 100;

/** How long a storage that was verified counts as verified for new content. */
const VERIFIED_MS = 5_000;
const PATIENCE_MS = 30_000;

/**
 * Storage and database have one identity, a UUID: an object of its own in the storage, and a row in the
 * database. The migration makes it; the first start on an empty storage writes it there. From then on a
 * storage that hasn't the database's identity is another one, or its mount is missing, and nothing is made,
 * removed or replaced in it.
 *
 *     database       storage                      the start
 *     ────────────   ──────────────────────────   ──────────────────────────────────────────────
 *     id             the same id                  goes on; where a crash came before `bound_at`, sets it
 *     not bound      no identity, empty           writes the id, then `bound_at`, if there are no blobs
 *     not bound      no identity, not empty       the same where a sample of the database's blobs is there, or, if
 *                                                 it has none, an upload: an installation older than identities
 *     any            anything else                stops, and names the id
 *     id             anything, STORAGE_ADOPT=id   writes a new id to the storage, then to the database; also where
 *                                                 what the storage has as its identity is damaged
 *
 * Each write to the storage comes before that to the database, so a start that is cut off between the two is
 * done again by the next one.
 */
@Injectable()
export class StorageIdentity {
  private readonly logger = new Logger(StorageIdentity.name);
  /** What storage and database have agreed on in this process's start. */
  private current: string | undefined;
  private verifiedAt = -Infinity;

  constructor(
    private readonly store: StorageIdentityStore,
    private readonly exclusive: ExclusiveTask,
    @Inject(STORAGE_DRIVER) private readonly driver: StorageDriver,
    @Inject(DATABASE) private readonly database: Pick<Database, 'description'>,
    private readonly configuration: Configuration,
  ) {}

  /**
   * Makes the storage ready, if it is the database's. To be called once, before anything else is asked of it.
   *
   * @throws StartupError, having changed nothing, where the two don't belong together; StorageError
   */
  async establish(): Promise<void> {
    const row = await this.row();
    if (row.isBound && (await this.found()) === row.id) {
      await this.driver.prepare();
      // Again: a mount that came or went meanwhile has had another storage prepared.
      if ((await this.found()) === row.id) {
        this.current = row.id;
        this.warnOfInertAdoption();
        return;
      }
    }
    await this.settleInTurn();
  }

  /**
   * Settles if the storage still is the one of the start. One small read of the storage. Without a signal of
   * the caller's it is given up after 30 s: a mount that hangs must keep no lock.
   *
   * @throws StorageIdentityError; another StorageError where the storage can't be read.
   */
  async verifyStorage(options?: IoOptions): Promise<void> {
    if (this.current === undefined) throw new StorageIdentityError('the storage has not been prepared yet');
    const found = await (options === undefined
      ? this.readIdentityWithinPatience()
      : this.driver.readIdentity(options));
    if (found === this.current) {
      this.verifiedAt = performance.now();
      return;
    }
    throw new StorageIdentityError(
      `${this.driver.location} ${found === undefined ? 'has no identity' : `has the identity ${found}`} ` +
        `instead of ${this.current}: mount or restore the storage that this process was started with`,
    );
  }

  /**
   * The same, at most once per 5 s: to be called before new content is committed. Otherwise a bucket that was
   * switched would get what is acknowledged, until readiness is looked at.
   */
  async verifyStorageLately(): Promise<void> {
    if (performance.now() - this.verifiedAt > VERIFIED_MS) await this.verifyStorage();
  }

  /**
   * The same, and asks the database too: to be called before bytes are removed, or a row is given other
   * bytes.
   *
   * @throws StorageIdentityError; what the database or the storage fail with
   */
  async verify(): Promise<void> {
    const row = await this.store.read();
    if (row !== undefined && row.id === this.current) return this.verifyStorage();
    throw new StorageIdentityError(
      `the database belongs to a storage with the identity ${row?.id ?? 'of no row'} instead of ${this.current}: ` +
        'it is not the one that this process was started with, or has adopted another storage; restart Berth',
    );
  }

  private async readIdentityWithinPatience(): Promise<string | undefined> {
    // Not in `AbortSignal.any`: on Node.js 20 a timeout that nothing else refers to may be collected there.
    const signal = AbortSignal.timeout(PATIENCE_MS);
    try {
      return await this.driver.readIdentity({ signal });
    } catch (error) {
      if (!signal.aborted) throw error;
      throw new StorageUnavailableError(
        `${this.driver.location} did not return its identity within ${PATIENCE_MS / 1000} s: look whether it can be read`,
        { cause: error },
      );
    }
  }

  /** By one process at a time, of all that share the database. */
  private async settleInTurn(): Promise<void> {
    const deadline = performance.now() + TURN_PATIENCE_MS;
    for (;;) {
      await this.exclusive.run('storage identity', () => this.settle());
      if (this.current !== undefined) return;
      if (performance.now() > deadline) {
        throw new StartupError(
          `Another Berth has been preparing the storage for ${TURN_PATIENCE_MS / 1000} s: look at what it waits for, and start this one again.`,
        );
      }
      await sleep(TURN_PAUSE_MS);
    }
  }

  private async settle(): Promise<void> {
    const row = await this.row();
    const found = await this.found();
    const id = found === row.id ? found : await this.chosen(row, found);
    if (found !== id) await this.driver.writeIdentity(id);
    await this.driver.prepare();
    const isAgreed = (await this.driver.readIdentity()) === id && (await this.store.bind(row.id, id));
    if (!isAgreed) {
      throw new StorageError(
        `${this.driver.location} was given another identity at the same time: have one Berth start on it, and then the others`,
      );
    }
    this.current = id;
  }

  /** What the storage has for an identity; {@link DAMAGED} where that can't be one. */
  private async found(): Promise<string | undefined> {
    try {
      return await this.driver.readIdentity();
    } catch (error) {
      if (error instanceof DamagedIdentityError) return DAMAGED;
      throw error;
    }
  }

  /**
   * The identity that the storage is to have in place of `found`. @throws StartupError when it may have none.
   */
  private async chosen(row: DatabaseIdentity, found: string | undefined): Promise<string> {
    const isEmpty = await this.driver.isEmpty();
    const known = await this.store.sample(SAMPLE);
    const there = isEmpty ? 0 : await this.countThere(known);
    const { location } = this.driver;
    const ofSample = `${there} of the ${known.length} blobs that were looked for are there`;
    if (this.configuration.storageAdopt?.toLowerCase() === row.id) {
      this.logger.warn(`STORAGE_ADOPT: the database adopts the storage ${location}; ${ofSample}`);
      // A new one, so that the setting, or a copy of either side that is left somewhere, fits nothing any
      // more.
      return randomUUID();
    }
    if (!row.isBound && found === undefined && there === known.length) {
      if (isEmpty) return row.id;
      const proof = known.length > 0 ? ofSample : await this.proofByUploads();
      if (proof !== undefined) {
        this.logger.log(`the storage ${location} had no identity and belongs to the database: ${proof}`);
        return row.id;
      }
    }
    const mismatch: Mismatch = {
      database: { ...row, description: this.database.description },
      storage: { location, identity: found, isEmpty },
      blobs: { lookedFor: known.length, found: there },
    };
    throw new StartupError(describeMismatch(mismatch));
  }

  private async countThere(known: readonly KnownObject[]): Promise<number> {
    let there = 0;
    for (const { objectKey, sizeBytes } of known) {
      if ((await this.sizeOf(objectKey)) === sizeBytes) there += 1;
    }
    return there;
  }

  /** A database without blobs may have uploads. Their ids are UUIDs, which no other storage has. */
  private async proofByUploads(): Promise<string | undefined> {
    const ids = new Set<string>();
    let listed = 0;
    for await (const { upload } of this.driver.listUploads()) {
      if (UUID.test(upload.id)) ids.add(upload.id);
      listed += 1;
      if (listed >= UPLOADS_SAMPLE) break;
    }
    const known = await this.store.countSessions([...ids]);
    return known === 0 ? undefined : `the database knows ${known} of ${ids.size} unfinished uploads in it`;
  }

  private async sizeOf(key: KnownObject['objectKey']): Promise<number | undefined> {
    try {
      return (await this.driver.stat(key)).sizeBytes;
    } catch (error) {
      if (error instanceof ObjectNotFoundError) return undefined;
      throw error;
    }
  }

  private async row(): Promise<DatabaseIdentity> {
    const row = await this.store.read();
    if (row !== undefined) return row;
    throw new StartupError(
      `The table storage_identity of the database (${this.database.description}) has lost its row: restore it from a backup.`,
    );
  }

  private warnOfInertAdoption(): void {
    if (this.configuration.storageAdopt === undefined) return;
    this.logger.warn('STORAGE_ADOPT has no effect: storage and database belong together; remove it');
  }
}
