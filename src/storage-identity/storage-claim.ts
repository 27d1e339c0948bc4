import { Inject, Injectable, Logger } from '@nestjs/common';
import { type Claim, CLAIM_NAME } from '../storage/claim-object.js';
import { type IoOptions, STORAGE_DRIVER, type StorageDriver } from '../storage/storage-driver.js';
import { DamagedClaimError, StorageClaimError } from '../storage/storage.errors.js';
import { type ClaimRow, RENEWAL_SECONDS, StorageClaimStore } from './storage-claim.store.js';

/** Before a process renews the claim. Meanwhile an original that runs beside this clone renews it. */
const MIN_AGE_MS = 2 * RENEWAL_SECONDS * 1000;

/** How often the row is read again, because another process renewed the claim between two reads. */
const MAX_READS = 3;

/** What the storage has: a claim, none, or an object that is no claim. */
type Found = Claim | 'damaged' | undefined;

/**
 * The claim to delete objects. A clone of a database, a database that was restored from a backup, and a copy
 * of a bucket have the right identity ([ADR 17](docs/adr/0017)), so the identity does not tell which database
 * a storage's objects belong to. The claim does: an object in the storage, and a row of the database. Both
 * have the same random token, which is replaced every few minutes:
 *
 *     row: next_token := random ──► storage: the claim with it ──► row: token := next_token
 *
 * So a copy of either side soon has a token that the other side no longer knows. A database whose token is
 * not in the storage deletes nothing there. A crash at any point leaves a token that the row knows.
 *
 * | storage | row | |
 * |---|---|---|
 * | its token is `token`, `next_token` or `former_token` | | the claim is held |
 * | no claim | no `token` | the first use: the claim is taken |
 * | anything else | | {@link StorageClaimError} until a start with `STORAGE_ADOPT` |
 *
 * It is no lock: copies that start within {@link RENEWAL_SECONDS} of each other may both delete for as long.
 */
@Injectable()
export class StorageClaim {
  private readonly logger = new Logger(StorageClaim.name);
  private readonly startedAt = performance.now();
  private isRefused = false;

  constructor(
    private readonly store: StorageClaimStore,
    @Inject(STORAGE_DRIVER) private readonly driver: StorageDriver,
  ) {}

  /**
   * Resolves if this database may delete objects in the storage. Takes the claim at the first use, and renews
   * it when that is due. Costs one small read. Call it before a batch of deletions.
   *
   * @throws StorageClaimError if it may not; errors of the database and the storage
   */
  async verify(options: IoOptions = {}): Promise<void> {
    const { row, found } = await this.read(options);
    const isFirst = isFirstUse(row, found);
    if (!isFirst && !isHeld(row, found)) throw this.refuse(row, found);
    this.isRefused = false;
    if (isFirst || (row.isDue && performance.now() - this.startedAt > MIN_AGE_MS)) await this.renew(options);
  }

  /** Why this database may not delete objects; undefined if it may. Changes nothing. */
  async problem(options: IoOptions = {}): Promise<string | undefined> {
    const { row, found } = await this.read(options);
    return isFirstUse(row, found) || isHeld(row, found) ? undefined : this.describe(row, found);
  }

  /** Replaces the token in storage and database. The caller has verified the claim. */
  async renew(options: IoOptions = {}): Promise<void> {
    const row = expectRow(await this.store.begin());
    await this.write(row, row.identity, options);
  }

  /** Takes the claim, whatever the storage has, for the identity that the database is about to get. */
  async startAnew(identity: string): Promise<void> {
    await this.write(expectRow(await this.store.beginAnew()), identity, {});
  }

  private async write({ number, nextToken }: ClaimRow, identity: string, options: IoOptions): Promise<void> {
    if (nextToken === null) throw new Error('the row of the claim has no next token');
    await this.driver.writeClaim({ identity, number: number + 1, token: nextToken }, options);
    await this.store.complete(nextToken);
  }

  /** Reads row, storage and, if they differ, the row again: another process may have renewed the claim. */
  private async read(options: IoOptions): Promise<{ row: ClaimRow; found: Found }> {
    let row = expectRow(await this.store.read());
    for (let read = 1; ; read += 1) {
      const found = await this.found(options);
      if (isHeld(row, found)) return { row, found };
      const later = expectRow(await this.store.read());
      const isSame = later.token === row.token && later.nextToken === row.nextToken;
      row = later;
      if (isSame || read === MAX_READS) return { row, found };
    }
  }

  private async found(options: IoOptions): Promise<Found> {
    try {
      return await this.driver.readClaim(options);
    } catch (error) {
      if (error instanceof DamagedClaimError) return 'damaged';
      throw error;
    }
  }

  /** Logs the first refusal: callers try again every few seconds. */
  private refuse(row: ClaimRow, found: Found): StorageClaimError {
    const message = this.describe(row, found);
    if (!this.isRefused) this.logger.error(message);
    this.isRefused = true;
    return new StorageClaimError(message);
  }

  private describe(row: ClaimRow, found: Found): string {
    return (
      `this database may not delete objects in the storage (${this.driver.location}), and deletes none: ` +
      `${differenceOf(row, found)}. If another Berth uses this storage, give this one a storage of its ` +
      `own. Otherwise stop all Berths of this database, and start once with STORAGE_ADOPT=${row.identity}`
    );
  }
}

function isHeld(row: ClaimRow, found: Found): boolean {
  if (found === undefined || found === 'damaged') return false;
  const tokens = [row.token, row.nextToken, row.formerToken];
  return found.identity === row.identity && tokens.includes(found.token);
}

function isFirstUse(row: ClaimRow, found: Found): boolean {
  return found === undefined && row.token === null;
}

function differenceOf(row: ClaimRow, found: Found): string {
  if (found === undefined) {
    return `the storage has lost ${CLAIM_NAME}, or is a copy from the time before the first claim`;
  }
  if (found === 'damaged') return `${CLAIM_NAME} in it is damaged`;
  if (found.identity !== row.identity) {
    return `${CLAIM_NAME} in it has the identity ${found.identity} instead of ${row.identity}`;
  }
  const numbers = `${CLAIM_NAME} in it has the number ${found.number}, and this database ${row.number}`;
  if (found.number < row.number) return `${numbers}: the storage is an older copy`;
  return `${numbers}: the database is a clone, or was restored from a backup`;
}

function expectRow(row: ClaimRow | undefined): ClaimRow {
  if (row !== undefined) return row;
  throw new StorageClaimError(
    'the table storage_claim or storage_identity of the database has lost its row: restore it from a backup',
  );
}
