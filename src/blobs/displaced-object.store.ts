import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { queryRows } from '../database/query-rows.js';
import type { Transaction } from '../database/unit-of-work.js';
import { type ObjectKey, parseObjectKey } from '../storage/object-key.js';
import type { BlobRecord } from './blob.store.js';

/** Why an object was replaced: it was not found or not readable, or its bytes are wrong. */
export type DisplacedReason = 'missing' | 'corrupt';

/** A displaced object, and its blob with the current object. */
export interface DisplacedObject {
  readonly objectKey: ObjectKey;
  readonly reason: DisplacedReason;
  /** Its deletion has started. It is never used again. */
  readonly isRemoving: boolean;
  readonly blob: BlobRecord;
}

/** The current object of a blob, and its displaced objects that may be used again. */
export interface KnownObjects {
  readonly current: ObjectKey;
  readonly displaced: readonly ObjectKey[];
}

interface DisplacedRow {
  object_key: string;
  reason: DisplacedReason;
  removing: boolean;
  blob_id: string;
  size_bytes: string;
  current_key: string;
}

/** Most blobs have none. */
const MAX_PER_BLOB = 10;

/**
 * The rows of displaced objects: former objects of blobs, replaced when a push brought the bytes again. Each
 * object key of a blob is in `blobs` or here until the object is deleted.
 */
@Injectable()
export class DisplacedObjectStore {
  constructor(private readonly dataSource: DataSource) {}

  async knownObjects(blobId: string): Promise<KnownObjects | undefined> {
    const rows = await queryRows<{ current_key: string; object_key: string | null }>(
      this.dataSource.manager,
      `SELECT b.object_key AS current_key, d.object_key
         FROM blobs b
         LEFT JOIN displaced_objects d ON d.blob_id = b.id AND d.reason = 'missing' AND NOT d.removing
        WHERE b.id = $1
        LIMIT ${MAX_PER_BLOB}`,
      [blobId],
    );
    const [first] = rows;
    if (first === undefined) return undefined;
    const displaced = rows.flatMap(({ object_key: key }) => (key === null ? [] : [parseObjectKey(key)]));
    return { current: parseObjectKey(first.current_key), displaced };
  }

  /**
   * Replaces the blob's object `from` by `to`, and records `from` as displaced. Returns false, without
   * changes, if the blob's object is no longer `from`, or `to` is displaced.
   */
  async displace(
    transaction: Transaction,
    blobId: string,
    { from, to, reason }: { from: ObjectKey; to: ObjectKey; reason: DisplacedReason },
  ): Promise<boolean> {
    const rows = await queryRows(
      transaction,
      `WITH replaced AS (
         UPDATE blobs SET object_key = $3
          WHERE id = $1 AND object_key = $2
            AND NOT EXISTS (SELECT FROM displaced_objects WHERE object_key = $3)
         RETURNING id)
       INSERT INTO displaced_objects (object_key, blob_id, reason) SELECT $2, id, $4 FROM replaced
       RETURNING blob_id`,
      [blobId, from, to, reason],
    );
    return rows.length > 0;
  }

  /** Locks the blob's row until the transaction ends. Returns the key of its object. */
  async lockCurrent(transaction: Transaction, blobId: string): Promise<ObjectKey | undefined> {
    const sql = 'SELECT object_key FROM blobs WHERE id = $1 FOR UPDATE';
    const [row] = await queryRows<{ object_key: string }>(transaction, sql, [blobId]);
    return row && parseObjectKey(row.object_key);
  }

  /**
   * Deletes the row of a displaced object that its blob will use again. Returns false if the object is being
   * deleted, or has no row.
   */
  async claim(transaction: Transaction, objectKey: ObjectKey): Promise<boolean> {
    const sql = `DELETE FROM displaced_objects
                  WHERE object_key = $1 AND reason = 'missing' AND NOT removing RETURNING blob_id`;
    return (await queryRows(transaction, sql, [objectKey])).length > 0;
  }

  /**
   * Up to `limit` displaced objects that are due for a check. Each is due again after the time that it has
   * been displaced: at least an hour, at most a day.
   */
  async takeDue(limit: number): Promise<DisplacedObject[]> {
    const rows = await queryRows<DisplacedRow>(
      this.dataSource.manager,
      `WITH due AS (
         UPDATE displaced_objects
            SET look_at = now() + least(greatest(now() - displaced_at, interval '1 hour'), interval '1 day')
          WHERE object_key = ANY (ARRAY(SELECT object_key FROM displaced_objects
                                         WHERE look_at <= now()
                                         ORDER BY look_at LIMIT $1 FOR UPDATE SKIP LOCKED))
         RETURNING object_key, reason, removing, blob_id)
       SELECT due.*, b.size_bytes, b.object_key AS current_key FROM due JOIN blobs b ON b.id = due.blob_id`,
      [limit],
    );
    return rows.map(toDisplacedObject);
  }

  /**
   * Marks the object as being deleted, so that it is never used again. Returns false if the blob's object has
   * changed since the check.
   */
  async markRemoving({ objectKey, blob }: DisplacedObject): Promise<boolean> {
    const rows = await queryRows(
      this.dataSource.manager,
      `UPDATE displaced_objects SET removing = true
        WHERE object_key = $1 AND EXISTS (SELECT FROM blobs WHERE id = $2 AND object_key = $3)
        RETURNING object_key`,
      [objectKey, blob.id, blob.objectKey],
    );
    return rows.length > 0;
  }

  /** Deletes the row, after the object was deleted. */
  async forget(objectKey: ObjectKey): Promise<void> {
    const sql = 'DELETE FROM displaced_objects WHERE object_key = $1 AND removing RETURNING object_key';
    await queryRows(this.dataSource.manager, sql, [objectKey]);
  }
}

function toDisplacedObject(row: DisplacedRow): DisplacedObject {
  return {
    objectKey: parseObjectKey(row.object_key),
    reason: row.reason,
    isRemoving: row.removing,
    blob: {
      id: row.blob_id,
      sizeBytes: Number(row.size_bytes),
      objectKey: parseObjectKey(row.current_key),
    },
  };
}
