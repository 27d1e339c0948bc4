import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { queryRows } from '../database/query-rows.js';
import { countedAgo } from '../maintenance/upload-clock.js';
import type { RequestKey } from './request-key.js';

/**
 * The requests with an `Idempotency-Key` that succeeded. Their rows are inserted by the functions that make
 * the change, in the same transaction (migration `IdempotentRequests`).
 */
@Injectable()
export class IdempotentRequests {
  constructor(private readonly dataSource: DataSource) {}

  /**
   * Whether the request has succeeded before. For requests that fail before they reach their function. Costs
   * nothing without a key.
   */
  async isRecorded(key: RequestKey | undefined): Promise<boolean> {
    if (key === undefined) return false;
    const sql = 'SELECT FROM idempotent_requests WHERE key = $1';
    return (await queryRows(this.dataSource.manager, sql, [key])).length > 0;
  }

  /**
   * Deletes at most `limit` rows older than `seconds`, the oldest first. Returns how many.
   *
   * A clock that jumps ahead must not forget what was recorded a moment ago: so the time must also have been
   * counted (see `UploadClock`).
   */
  async prune(seconds: number, limit: number): Promise<number> {
    const rows = await queryRows(
      this.dataSource.manager,
      `DELETE FROM idempotent_requests
        WHERE key = ANY (ARRAY(SELECT key FROM idempotent_requests
                                WHERE recorded_at < ${countedAgo('$1')}
                                ORDER BY recorded_at LIMIT $2))
        RETURNING recorded_at`,
      [seconds, limit],
    );
    return rows.length;
  }
}
