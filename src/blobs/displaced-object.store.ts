import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { queryRows } from '../database/query-rows.js';
import type { Transaction } from '../database/unit-of-work.js';
import { type ObjectKey, parseObjectKey } from '../storage/object-key.js';
import type { BlobRecord } from './blob.store.js';

/**
 * Why a blob's row was given another object: the old one could not be found or read, or it holds other bytes.
 */
export type DisplacedReason = 'missing' | 'corrupt';

/** A displaced object, and the object that its blob has now. */
export interface DisplacedObject {
  readonly objectKey: ObjectKey;
  readonly reason: DisplacedReason;
  /** Its removal has begun: it is never used again. */
  readonly isRemoving: boolean;
  readonly blob: BlobRecord;
}

/** What a blob's row names now, and the displaced objects that may be used again. */
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

/** A blob has next to none. */
const MAX_PER_BLOB = 10;

/**
 * The rows of displaced objects: those that were a blob's, until a push brought its bytes again. Each object
 * key that a blob ever had is in `blobs` or here, until the object is removed.
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
   * Gives the blob another object; the old one stays known. Changes nothing where the blob has another object
   * than `from` by now, or where `to` was displaced itself. Returns whether it was done.
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

  /** Keeps the blob's object from being changed by others until the transaction ends. Returns its key. */
  async lockCurrent(transaction: Transaction, blobId: string): Promise<ObjectKey | undefined> {
    const sql = 'SELECT object_key FROM blobs WHERE id = $1 FOR UPDATE';
    const [row] = await queryRows<{ object_key: string }>(transaction, sql, [blobId]);
    return row && parseObjectKey(row.object_key);
  }

  /**
   * Takes a displaced object out of the table, for its blob to have it again. False: it is to be removed, or
   * gone.
   */
  async takeBack(transaction: Transaction, objectKey: ObjectKey): Promise<boolean> {
    const sql = `DELETE FROM displaced_objects
                  WHERE object_key = $1 AND reason = 'missing' AND NOT removing RETURNING blob_id`;
    return (await queryRows(transaction, sql, [objectKey])).length > 0;
  }

  /**
   * Those that are to be looked at, `limit` at the most. Each of them is due again after an hour, later after
   * twice as long each time, up to a day.
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
   * From here on the object is never used again. False: the blob has another object by now than was looked
   * at.
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

  /** The object has been removed. */
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
