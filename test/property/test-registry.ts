import { buffer } from 'node:stream/consumers';
import { expect } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../src/database/connection/data-source-options.js';
import { queryRows } from '../../src/database/query-rows.js';
import { type Digest, digestAlgorithm, digestOf } from '../../src/oci/digest.js';
import { parseRepositoryName } from '../../src/oci/repository-name.js';
import type { ObjectKey } from '../../src/storage/object-key.js';
import type { StorageDriver } from '../../src/storage/storage-driver.js';
import { digestsOf } from '../../src/uploads/hash/digests-of.js';
import { createHasherFactory } from '../../src/uploads/hash/hasher.factory.js';
import type { HasherFactory } from '../../src/uploads/hash/hasher.js';
import { SESSION_COLUMNS, toSession, type UploadRow } from '../../src/uploads/session/upload-row.js';
import type { UploadReference, UploadSession } from '../../src/uploads/session/upload-session.js';
import { readUpload } from '../contract/storage-driver.harness.js';
import { createMigratedDatabase } from '../support/test-postgres.js';
import { runJob } from '../support/run-job.js';
import type { Around } from './interposed.js';
import { TestReplica } from './replica.js';
import type { SharedMedium } from './shared-medium.js';
import { SinkWatch } from './sink-watch.js';

export const REPOSITORY = parseRepositoryName('property/sessions');

/** Enough for all concurrent requests of all replicas, which share them here. */
const CONNECTIONS = 24;

/** A row, and whether its lease has lapsed. */
export interface SeenSession extends UploadSession {
  readonly isLapsed: boolean;
}

/** One database and one storage for several replicas, and checks of both. */
export class TestRegistry {
  /** Warnings of the services in this run, to explain a failure. */
  readonly warnings: string[] = [];
  private replicas: TestReplica[] = [];
  private watch = new SinkWatch();

  private constructor(
    private readonly dataSource: DataSource,
    private readonly medium: SharedMedium,
    /** The observer's own. */
    readonly driver: StorageDriver,
    readonly hashers: HasherFactory,
    private readonly dropDatabase: () => Promise<void>,
  ) {}

  static async create(openMedium: () => Promise<SharedMedium>): Promise<TestRegistry> {
    const database = await createMigratedDatabase();
    const options = dataSourceOptions({ url: database.url }, CONNECTIONS);
    const dataSource = await new DataSource(options).initialize();
    const medium = await openMedium();
    const hashers = await createHasherFactory(() => undefined);
    const registry = new TestRegistry(dataSource, medium, await medium.open(), hashers, database.drop);
    Logger.overrideLogger({
      ...SILENT,
      warn: (...said: unknown[]) => registry.warnings.push(said.map(textOf).join(' ')),
    });
    return registry;
  }

  async dispose(): Promise<void> {
    await this.clear();
    await this.dataSource.destroy();
    await this.dropDatabase();
    await this.medium.dispose();
  }

  async startReplica(around: Around = (_call, work) => work()): Promise<TestReplica> {
    const driver = this.watch.watch(await this.medium.open());
    const replica = new TestReplica(this.dataSource, driver, this.hashers, around);
    this.replicas.push(replica);
    await replica.connect();
    return replica;
  }

  async query<Row>(sql: string, ...parameters: unknown[]): Promise<Row[]> {
    return queryRows<Row>(this.dataSource.manager, sql, parameters);
  }

  async sessions(): Promise<Map<string, SeenSession>> {
    const sql = `SELECT ${SESSION_COLUMNS},
                        coalesce(lease_expires_at < clock_timestamp(), false) AS is_lapsed FROM uploads`;
    const rows = await this.query<UploadRow & { is_lapsed: boolean }>(sql);
    return new Map(rows.map((row) => [row.id, { ...toSession(row), isLapsed: row.is_lapsed }]));
  }

  /** Lets the lease of the session lapse. */
  async lapse({ id }: Pick<UploadReference, 'id'>): Promise<void> {
    await this.query(
      `UPDATE uploads SET lease_expires_at = clock_timestamp() - interval '1 s'
        WHERE id = $1 AND lease_holder IS NOT NULL`,
      id,
    );
  }

  /** Runs the reaper long after all other requests. Keeps uploads that can resume. */
  async reap(replica: TestReplica): Promise<void> {
    await this.query(
      `UPDATE uploads SET updated_at = updated_at - interval '10 minutes' WHERE state <> 'open'`,
    );
    await this.medium.age();
    await runJob(replica.reaper);
  }

  /** Lets the session expire, and runs the reaper. */
  async expire({ id }: Pick<UploadReference, 'id'>, replica: TestReplica): Promise<void> {
    const sql = `UPDATE uploads SET updated_at = now() - interval '2 days'
                  WHERE id = $1 AND state IN ('open', 'committing')`;
    await this.query(sql, id);
    await this.reap(replica);
    await this.query(`UPDATE uploads SET updated_at = now() WHERE id = $1`, id);
  }

  /** Checks that the hash of the row is that of the bytes in the storage, and returns the bytes. */
  async bytesOf({ id, driverState, offsetBytes, midstates }: UploadSession): Promise<Buffer> {
    const bytes = await buffer(await readUpload(this.driver, { id, state: driverState }, offsetBytes));
    const digests = digestsOf(midstates, this.hashers);
    expect(digests).toEqual(digests.map((digest) => digestOf(digestAlgorithm(digest), bytes)));
    return bytes;
  }

  /** The bytes of the blob with this digest; undefined if there is none. */
  async pull(digest: Digest): Promise<Buffer | undefined> {
    const sql =
      'SELECT b.object_key FROM blob_digests d JOIN blobs b ON b.id = d.blob_id WHERE d.digest = $1';
    const [row] = await this.query<{ object_key: ObjectKey }>(sql, digest);
    return row && buffer(await this.driver.read(row.object_key, undefined));
  }

  /** Called when every request has ended: after everything expired and was reaped, only blobs are left. */
  async expectNothingLeftOver(reaping: TestReplica): Promise<void> {
    await Promise.all(this.replicas.map((replica) => replica.settled()));
    expect(this.watch.violations).toEqual([]);
    const held = await this.query(
      `SELECT id, state, lease_holder FROM uploads WHERE lease_holder IS NOT NULL`,
    );
    expect(held).toEqual([]);
    await this.query(
      `UPDATE uploads SET updated_at = now() - interval '2 days' WHERE state IN ('open', 'committing')`,
    );
    await this.reap(reaping);
    const unfinished = [];
    for await (const { upload } of this.driver.listUploads()) unfinished.push(upload);
    expect(unfinished).toEqual([]);
    expect(
      await this.query(`SELECT id, state FROM uploads WHERE holds_bytes OR state IN ('open', 'committing')`),
    ).toEqual([]);
    await this.expectBlobs();
  }

  /** Removes everything, so that the next run starts empty. */
  async clear(): Promise<void> {
    await Promise.all(this.replicas.map((replica) => replica.cutOff()));
    await Promise.all(this.replicas.map((replica) => replica.settled()));
    this.replicas = [];
    this.watch = new SinkWatch();
    this.warnings.length = 0;
    for await (const { upload } of this.driver.listUploads()) await this.driver.abortUpload(upload);
    for await (const { key } of this.driver.list('')) await this.driver.delete(key);
    await this.query(TABLES.map((table) => `DELETE FROM ${table}`).join('; '));
  }

  /** Whether the collector will delete the object. */
  private async isDeleted(key: ObjectKey): Promise<boolean> {
    return (await this.query('SELECT FROM object_deletions WHERE object_key = $1', key)).length > 0;
  }

  private async expectBlobs(): Promise<void> {
    const objects: string[] = [];
    for await (const { key } of this.driver.list('')) if (!(await this.isDeleted(key))) objects.push(key);
    const blobs = await this.query<{ object_key: string }>('SELECT object_key FROM blobs');
    expect(objects.sort()).toEqual(blobs.map((blob) => blob.object_key).sort());
    for (const { digest } of await this.query<{ digest: Digest }>('SELECT digest FROM blob_digests')) {
      const content = (await this.pull(digest)) ?? Buffer.of();
      expect(digestOf(digestAlgorithm(digest), content)).toBe(digest);
    }
  }
}

const TABLES = [
  'upload_events',
  'uploads',
  'repository_blobs',
  'blob_digests',
  'displaced_objects',
  'object_deletions',
  'blobs',
  'repositories',
];

const SILENT = {
  log: () => undefined,
  error: () => undefined,
  debug: () => undefined,
  verbose: () => undefined,
  fatal: () => undefined,
};

function textOf(said: unknown): string {
  if (typeof said === 'object' && said !== null && 'err' in said) return String(said.err);
  return String(said);
}
