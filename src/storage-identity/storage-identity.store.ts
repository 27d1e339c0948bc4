import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { queryRows } from '../database/query-rows.js';
import type { ObjectKey } from '../storage/object-key.js';

/** The identity in the database. */
export interface DatabaseIdentity {
  readonly id: string;
  /** Whether a storage was bound to this database. */
  readonly isBound: boolean;
}

/** An object of a blob. */
export interface KnownObject {
  readonly objectKey: ObjectKey;
  readonly sizeBytes: number;
}

/** Reads and writes the identity in the database. */
@Injectable()
export class StorageIdentityStore {
  constructor(private readonly dataSource: DataSource) {}

  /** Undefined if the row was deleted. */
  async read(): Promise<DatabaseIdentity | undefined> {
    const [row] = await queryRows<DatabaseIdentity>(
      this.dataSource.manager,
      'SELECT id, bound_at IS NOT NULL AS "isBound" FROM storage_identity WHERE is_only_row',
    );
    return row;
  }

  /**
   * Replaces the identity `former` by `id`, and marks the database as bound. Returns false if the identity is
   * no longer `former`.
   */
  async bind(former: string, id: string): Promise<boolean> {
    const rows = await queryRows(
      this.dataSource.manager,
      'UPDATE storage_identity SET id = $2, bound_at = now() WHERE id = $1 RETURNING id',
      [former, id],
    );
    return rows.length === 1;
  }

  /** How many of these ids belong to upload sessions, in any state. */
  async countSessions(ids: readonly string[]): Promise<number> {
    const [row] = await queryRows<{ count: number }>(
      this.dataSource.manager,
      'SELECT count(*)::int AS count FROM uploads WHERE id = ANY($1::uuid[])',
      [ids],
    );
    return row?.count ?? 0;
  }

  /** Up to `count` of the oldest and of the newest objects of blobs. */
  async sample(count: number): Promise<KnownObject[]> {
    const rows = await queryRows<{ object_key: ObjectKey; size_bytes: string }>(
      this.dataSource.manager,
      `(SELECT object_key, size_bytes FROM blobs ORDER BY id LIMIT $1)
        UNION
       (SELECT object_key, size_bytes FROM blobs ORDER BY id DESC LIMIT $1)`,
      [count],
    );
    return rows.map((row) => ({ objectKey: row.object_key, sizeBytes: Number(row.size_bytes) }));
  }
}
