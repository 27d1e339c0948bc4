import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BlobPresence } from '../../../src/blobs/blob-presence.js';
import { parseDigest } from '../../../src/oci/digest.js';
import { parseObjectKey } from '../../../src/storage/object-key.js';
import type { ObjectStore } from '../../../src/storage/object-store/object-store.js';
import { bodyOf } from '../../../src/storage/object-store/part-buffer.js';
import type { TestBerth } from '../../support/test-berth.js';

export interface DisplacedRow {
  readonly object_key: string;
  readonly reason: string;
  readonly removing: boolean;
}

/** Changes stored objects behind a Berth's back. */
export class StoredObjects {
  constructor(private readonly berth: TestBerth) {}

  /** The key that the row of a blob has. */
  async keyOf(digest: string): Promise<string> {
    const sql =
      'SELECT b.object_key FROM blob_digests d JOIN blobs b ON b.id = d.blob_id WHERE d.digest = $1';
    const [row] = await this.query<{ object_key: string }>(sql, digest);
    if (row === undefined) throw new Error(`no blob is ${digest}`);
    return row.object_key;
  }

  /** The displaced objects of a blob. */
  displaced(digest: string): Promise<DisplacedRow[]> {
    const sql = `SELECT object_key, reason, removing FROM displaced_objects
                  WHERE blob_id = (SELECT blob_id FROM blob_digests WHERE digest = $1) ORDER BY displaced_at`;
    return this.query(sql, digest);
  }

  /** Deletes the object of a blob. Returns its key. */
  async lose(digest: string): Promise<string> {
    const key = await this.keyOf(digest);
    await this.berth.driver.delete(parseObjectKey(key));
    this.aMinutePasses(digest);
    return key;
  }

  /** Replaces the bytes of a blob's object. Returns its key. */
  async damage(digest: string, bytes: Buffer): Promise<string> {
    const key = await this.keyOf(digest);
    await this.put(key, bytes);
    this.aMinutePasses(digest);
    return key;
  }

  /** Writes an object with these bytes. */
  async put(key: string, bytes: Buffer): Promise<void> {
    const { name, location } = this.berth.driver;
    if (name !== 'filesystem') return this.store.put(key, await bodyOf(bytes), {});
    const path = join(location, key);
    await mkdir(dirname(path), { recursive: true });
    // Not into the file: its bytes are another object's, as it were.
    await rm(path, { force: true });
    await writeFile(path, bytes);
  }

  async isThere(key: string): Promise<boolean> {
    return this.berth.driver.stat(parseObjectKey(key)).then(
      () => true,
      () => false,
    );
  }

  /** Makes what Berth remembers of the blob's presence outdated. */
  aMinutePasses(digest: string): void {
    this.berth.app.get(BlobPresence).forget(parseDigest(digest));
  }

  /** Makes displaced objects due for the reaper. */
  async anHourPasses(): Promise<void> {
    await this.query(`UPDATE displaced_objects SET look_at = now() - interval '1 s' RETURNING object_key`);
  }

  private get store(): ObjectStore {
    return (this.berth.driver as unknown as { readonly driver: { readonly store: ObjectStore } }).driver
      .store;
  }

  private query<Row>(sql: string, ...parameters: unknown[]): Promise<Row[]> {
    return this.berth.database.dataSource.query<Row[]>(sql, parameters);
  }
}
