import type { DataSource } from 'typeorm';
import { MAX_NAMED, type MissingObject, PairCheck, type PairReport } from '../backup/pair-check.js';
import { formatBytes, quantity } from '../common/quantity.js';
import type { Configuration } from '../config/configuration.js';
import { StorageClaim } from '../storage-identity/storage-claim.js';
import { StorageClaimStore } from '../storage-identity/storage-claim.store.js';
import { StorageIdentityStore } from '../storage-identity/storage-identity.store.js';
import type { StorageDriver } from '../storage/storage-driver.js';
import { createStorageDriver } from '../storage/storage.module.js';
import { print } from './command.js';

export interface CheckOptions {
  /** Whether all blobs are checked. */
  readonly full: boolean;
  /** Whether nothing else uses this storage, because the caller has just made it. */
  readonly isNewStorage: boolean;
}

/**
 * Checks that the storage of the settings belongs to the database and has its blobs, and prints the result.
 * Changes nothing, except that a database takes the claim of a new storage.
 *
 * @returns the exit code
 */
export async function checkPair(
  configuration: Readonly<Configuration>,
  dataSource: DataSource,
  { full, isNewStorage }: CheckOptions,
): Promise<number> {
  const driver = await createStorageDriver(configuration);
  const row = await new StorageIdentityStore(dataSource).read();
  const found = await driver.readIdentity();
  const isOwn = row !== undefined && found === row.id;
  if (!isOwn) printMismatch(driver, found, row?.id);
  // Not mounted, or not restored yet: every blob would be missing.
  if (found === undefined) return 1;
  const report = await new PairCheck(dataSource, driver).run(full);
  printReport(report);
  if (isOwn) await checkClaim(dataSource, driver, isNewStorage);
  return isOwn && report.missing === 0 ? 0 : 1;
}

function printMismatch(driver: StorageDriver, found: string | undefined, expected = 'none'): void {
  print(
    `The storage (${driver.location}) doesn't belong to the database: its identity is ` +
      `${found ?? 'missing'}, and the database has ${expected}. Restore or mount the right one, and run ` +
      'check-storage (docs/operations.md#storage-and-database).',
  );
}

function printReport({ blobs, checked, missing, named }: PairReport): void {
  for (const each of named) print(describe(each));
  if (missing > named.length)
    print(`… and ${missing - named.length} more; the first ${MAX_NAMED} are named.`);
  const how = checked < blobs ? ` of ${blobs}, a sample (--full checks all)` : '';
  const result = missing === 0 ? 'none is missing' : `${missing} missing: push them again, or restore them`;
  print(`Checked ${quantity(checked, 'blob')}${how}: ${result}.`);
}

function describe({ repository, digest, sizeBytes, state }: MissingObject): string {
  const where = repository === null ? 'in no repository' : `in ${repository}`;
  return `${state}: ${digest} (${formatBytes(sizeBytes)}) ${where}`;
}

/** A database that was restored may not delete objects, unless the storage is a new one. */
async function checkClaim(
  dataSource: DataSource,
  driver: StorageDriver,
  isNewStorage: boolean,
): Promise<void> {
  const store = new StorageClaimStore(dataSource);
  const claim = new StorageClaim(store, driver);
  const row = await store.read();
  if (isNewStorage && row !== undefined) return claim.startAnew(row.identity);
  const problem = await claim.problem();
  if (problem !== undefined) print(`Note: ${problem}.`);
}
