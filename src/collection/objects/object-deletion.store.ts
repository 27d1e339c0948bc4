import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '../../database/unit-of-work.js';

/** An object whose blob was collected, due to be deleted. */
export interface DueObject {
  readonly objectKey: string;
  readonly sizeBytes: number;
  /** A blob has the object, or it is displaced. It must not be deleted. */
  readonly isUsed: boolean;
}

/** An object that could not be deleted. */
export interface FailedDeletion {
  readonly objectKey: string;
  readonly error: string;
}

/** Keeps the collector's statements together: they never take the last connection. */
const KEY = 'collection';

const FIRST_BACKOFF = `interval '30 seconds'`;
const MAX_BACKOFF = `interval '1 hour'`;

// One index lookup per key: LATERAL and LIMIT force this plan, whatever the planner estimates.
const DUE = `
  SELECT due.object_key, due.size_bytes, used.is_used IS NOT NULL AS is_used
    FROM (SELECT object_key, size_bytes FROM object_deletions
           WHERE due_at <= now() ORDER BY due_at LIMIT $1) AS due
    LEFT JOIN LATERAL (
           (SELECT true AS is_used FROM blobs WHERE object_key = due.object_key LIMIT 1)
            UNION ALL
           (SELECT true FROM displaced_objects WHERE object_key = due.object_key LIMIT 1)
            LIMIT 1) AS used ON true`;

/** Rows that another collector works on are left to it. */
const LOCKED = `ARRAY(SELECT object_key FROM object_deletions WHERE object_key = ANY ($1)
                       ORDER BY object_key FOR UPDATE SKIP LOCKED)`;

/**
 * The rows of objects that are to be deleted. A row remains until its object is gone: so every object of the
 * registry has a row, here or of its blob.
 */
@Injectable()
export class ObjectDeletionStore {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  /** Up to `limit` objects that are due, those that are due for longest first. */
  async findDue(limit: number): Promise<DueObject[]> {
    const rows = await this.unitOfWork.statement<{
      object_key: string;
      size_bytes: string;
      is_used: boolean;
    }>(DUE, [limit], [KEY]);
    return rows.map((row) => ({
      objectKey: row.object_key,
      sizeBytes: Number(row.size_bytes),
      isUsed: row.is_used,
    }));
  }

  /** Deletes rows, after their objects were deleted. */
  async forget(objectKeys: readonly string[]): Promise<void> {
    const sql = `DELETE FROM object_deletions WHERE object_key = ANY (${LOCKED}) RETURNING object_key`;
    await this.unitOfWork.statement(sql, [objectKeys], [KEY]);
  }

  /** Deletes rows of objects that a blob has, or that are displaced. */
  async dropUsed(objectKeys: readonly string[]): Promise<void> {
    const sql = `DELETE FROM object_deletions d
      WHERE object_key = ANY (${LOCKED})
        AND (EXISTS (SELECT FROM blobs WHERE object_key = d.object_key)
          OR EXISTS (SELECT FROM displaced_objects WHERE object_key = d.object_key))
      RETURNING object_key`;
    await this.unitOfWork.statement(sql, [objectKeys], [KEY]);
  }

  /** Makes objects due again after a time that doubles with each attempt, up to an hour. */
  async postpone(failures: readonly FailedDeletion[]): Promise<void> {
    const sql = `UPDATE object_deletions AS d
          SET attempts = d.attempts + 1, last_error = failure.error,
              due_at = now() + least(${MAX_BACKOFF}, ${FIRST_BACKOFF} * 2 ^ least(d.attempts, 10))
         FROM unnest($1::text[], $2::text[]) AS failure (object_key, error)
        WHERE d.object_key = failure.object_key AND d.object_key = ANY (${LOCKED})
        RETURNING d.object_key`;
    const keys = failures.map(({ objectKey }) => objectKey);
    await this.unitOfWork.statement(sql, [keys, failures.map(({ error }) => error)], [KEY]);
  }
}
