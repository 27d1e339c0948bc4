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
import { StorageClaim } from './storage-claim.js';
import { type DatabaseIdentity, type KnownObject, StorageIdentityStore } from './storage-identity.store.js';
import { DAMAGED, describeMismatch, type Mismatch } from './storage-mismatch.js';

/**
 * A storage without identity is accepted if it has a sample of the database's blobs: this many of the oldest
 * and of the newest.
 */
const SAMPLE = 10;

/** Without blobs in the database: how many unfinished uploads of the storage are compared with it. */
const UPLOADS_SAMPLE = 1_000;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Replicas that start together prepare a new storage one after another. Each takes a second, or a few. */
const PREPARE_TIMEOUT_MS = 120_000;
const PREPARE_POLL_MS = 100;

/** How long a verification of the storage is valid for commits. */
const VERIFIED_MS = 5_000;
const READ_TIMEOUT_MS = 30_000;

/**
 * Storage and database share an identity, a UUID: an object in the storage, and a row in the database. A
 * migration creates it, and the first start on an empty storage writes it there. If the identities differ
 * later, another storage is mounted, or none. Then Berth creates, deletes and replaces nothing in it.
 *
 *     database     storage                 what a start does
 *     ──────────   ─────────────────────   ─────────────────────────────────────────────────────────────
 *     id           the same id             continues; sets `bound_at` if a crash prevented that
 *     not bound    no identity, empty      if the database has no blobs: writes the id, then `bound_at`
 *     not bound    no identity, content    the same, if the storage has a sample of the database's blobs,
 *                                          or, without blobs, one of its uploads (an older installation)
 *     any          anything else           stops, and names the id
 *     id           any, also a damaged     with STORAGE_ADOPT=id: writes a new id and a new claim to the
 *                  identity or claim       storage, then the id to the database
 *
 * The storage is always written first. If a start is interrupted between the two writes, the next one repeats
 * them.
 */
@Injectable()
export class StorageIdentity {
  private readonly logger = new Logger(StorageIdentity.name);
  /** The identity of storage and database at the start of this process. */
  private current: string | undefined;
  private verifiedAt = -Infinity;

  constructor(
    private readonly store: StorageIdentityStore,
    private readonly claim: StorageClaim,
    private readonly exclusive: ExclusiveTask,
    @Inject(STORAGE_DRIVER) private readonly driver: StorageDriver,
    @Inject(DATABASE) private readonly database: Pick<Database, 'description'>,
    private readonly configuration: Configuration,
  ) {}

  /**
   * Checks the identity, and prepares the storage. Call it once, before any other use of the storage.
   *
   * @throws StartupError, without changes, if storage and database don't belong together; StorageError
   */
  async establish(): Promise<void> {
    const row = await this.row();
    if (row.isBound && (await this.found()) === row.id && !(await this.adoptsClaim(row))) {
      await this.driver.prepare();
      // Checked again: if a mount changed in between, another storage was prepared.
      if ((await this.found()) === row.id) {
        this.current = row.id;
        this.warnOfUnusedAdoption();
        return;
      }
    }
    await this.bindExclusively();
  }

  /**
   * Resolves if the storage still has the identity of the start. Costs one small read. Without a signal it
   * times out after 30 s, so that a hung mount does not keep locks.
   *
   * @throws StorageIdentityError; another StorageError if the storage can't be read.
   */
  async verifyStorage(options?: IoOptions): Promise<void> {
    if (this.current === undefined) throw new StorageIdentityError('the storage has not been prepared yet');
    const found = await (options === undefined
      ? this.readIdentityWithTimeout()
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
   * Like `verifyStorage`, but valid for 5 s. Call it before a commit: otherwise commits would go to a wrong
   * bucket until the next readiness check.
   */
  async verifyStorageIfStale(): Promise<void> {
    if (performance.now() - this.verifiedAt > VERIFIED_MS) await this.verifyStorage();
  }

  /**
   * Verifies the database as well. Call it before an object is deleted, or a row gets another object.
   *
   * @throws StorageIdentityError; errors of the database and the storage
   */
  async verify(): Promise<void> {
    this.expectDatabase((await this.store.read())?.id);
    await this.verifyStorage();
  }

  /**
   * @param id the identity in the database; undefined if it has no row.
   * @throws StorageIdentityError if it is not the one of the start.
   */
  expectDatabase(id: string | undefined): void {
    if (id !== undefined && id === this.current) return;
    throw new StorageIdentityError(
      `the database belongs to a storage with the identity ${id ?? 'of no row'} ` +
        `instead of ${this.current}: it is not the one that this process was started with, ` +
        'or has adopted another storage; restart Berth',
    );
  }

  private async readIdentityWithTimeout(): Promise<string | undefined> {
    // Not in `AbortSignal.any`: Node.js 20 may garbage-collect a timeout signal that only `any` refers to.
    const signal = AbortSignal.timeout(READ_TIMEOUT_MS);
    try {
      return await this.driver.readIdentity({ signal });
    } catch (error) {
      if (!signal.aborted) throw error;
      throw new StorageUnavailableError(
        `${this.driver.location} did not return its identity within ${READ_TIMEOUT_MS / 1000} s: ` +
          'check that it is readable',
        { cause: error },
      );
    }
  }

  /** In one process at a time, among all that share the database. */
  private async bindExclusively(): Promise<void> {
    const deadline = performance.now() + PREPARE_TIMEOUT_MS;
    for (;;) {
      await this.exclusive.run('storage identity', () => this.bind());
      if (this.current !== undefined) return;
      if (performance.now() > deadline) {
        throw new StartupError(
          `Another Berth has been preparing the storage for ${PREPARE_TIMEOUT_MS / 1000} s: ` +
            'check its log, then start this one again.',
        );
      }
      await sleep(PREPARE_POLL_MS);
    }
  }

  private async bind(): Promise<void> {
    const row = await this.row();
    const found = await this.found();
    const isKept = found === row.id && !(await this.adoptsClaim(row));
    const id = isKept ? found : await this.chooseIdentity(row, found);
    if (found !== id) await this.driver.writeIdentity(id);
    await this.driver.prepare();
    if (id !== row.id) await this.claim.startAnew(id);
    const isAgreed = (await this.driver.readIdentity()) === id && (await this.store.bind(row.id, id));
    if (!isAgreed) {
      throw new StorageError(
        `${this.driver.location} was given another identity at the same time: ` +
          'start one Berth, then the others',
      );
    }
    this.current = id;
  }

  /** The identity of the storage; {@link DAMAGED} if it is not a UUID. */
  private async found(): Promise<string | undefined> {
    try {
      return await this.driver.readIdentity();
    } catch (error) {
      if (error instanceof DamagedIdentityError) return DAMAGED;
      throw error;
    }
  }

  /** A clone or a restored database has the identity of its storage, but not the claim. */
  private async adoptsClaim(row: DatabaseIdentity): Promise<boolean> {
    return this.adopts(row) && (await this.claim.problem()) !== undefined;
  }

  private adopts({ id }: DatabaseIdentity): boolean {
    return this.configuration.storageAdopt?.toLowerCase() === id;
  }

  /**
   * The identity that replaces `found` in the storage.
   *
   * @throws StartupError if they don't belong together.
   */
  private async chooseIdentity(row: DatabaseIdentity, found: string | undefined): Promise<string> {
    const isEmpty = await this.driver.isEmpty();
    const known = await this.store.sample(SAMPLE);
    const present = isEmpty ? 0 : await this.countPresent(known);
    const { location } = this.driver;
    const ofSample = `it has ${present} of ${known.length} checked blobs`;
    if (this.adopts(row)) {
      this.logger.warn(`STORAGE_ADOPT: the database adopts the storage ${location}; ${ofSample}`);
      // A new identity, so that the setting has no effect later, and old copies of either side don't match.
      return randomUUID();
    }
    if (!row.isBound && found === undefined && present === known.length) {
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
      blobs: { checked: known.length, found: present },
    };
    throw new StartupError(describeMismatch(mismatch));
  }

  private async countPresent(known: readonly KnownObject[]): Promise<number> {
    let present = 0;
    for (const { objectKey, sizeBytes } of known) {
      if ((await this.sizeOf(objectKey)) === sizeBytes) present += 1;
    }
    return present;
  }

  /** A database without blobs may have uploads. Their ids are UUIDs, so no other storage has them. */
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
      `The table storage_identity of the database (${this.database.description}) has lost its row: ` +
        'restore it from a backup.',
    );
  }

  private warnOfUnusedAdoption(): void {
    if (this.configuration.storageAdopt === undefined) return;
    this.logger.warn('STORAGE_ADOPT has no effect: storage and database belong together; remove it');
  }
}
