import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { queryRows } from '../../database/query-rows.js';
import { newUploadId, type UploadId } from '../../oci/upload-id.js';
import { countedAgo } from '../../maintenance/upload-clock.js';
import { recordingEvent } from '../../events/recording-event.js';
import { uploadsEnded } from '../../observability/metrics/upload.metrics.js';
import { SESSION_COLUMNS, toSession, type UploadRow } from '../session/upload-row.js';
import type { LeaseRequest, UploadSession } from '../session/upload-session.js';
import type { AcquiredSession } from '../session/upload-session.store.js';

const SECONDS = `::float8 * interval '1 second'`;
/** Twice the maximum of `UPLOAD_LEASE_SECONDS`. */
const LATEST_LEASE_END = `now() + interval '600 seconds'`;
const IS_FREE = '(lease_holder IS NULL OR lease_expires_at < clock_timestamp())';

/**
 * The statements of the reaper on rows of upload sessions. They skip sessions that have a writer.
 *
 * A batch is selected as an ARRAY of ids first. With a join instead, Postgres might read the whole table.
 */
@Injectable()
export class UploadReapingStore {
  constructor(private readonly dataSource: DataSource) {}

  /**
   * Expires at most `limit` sessions that were idle for `ttlSeconds`, and returns them. Each session is
   * expired, and returned, once.
   */
  async expire(ttlSeconds: number, limit: number, request: LeaseRequest): Promise<UploadSession[]> {
    const update = `UPDATE uploads
          SET state = 'expired', version = version + 1, lease_holder = NULL, lease_expires_at = NULL,
              updated_at = now()
        WHERE id = ANY (ARRAY(SELECT id FROM uploads
                               WHERE state IN ('open', 'committing')
                                 AND updated_at < ${countedAgo('$1')} AND ${IS_FREE}
                               ORDER BY updated_at LIMIT $2 FOR UPDATE SKIP LOCKED))
        RETURNING ${SESSION_COLUMNS}`;
    const statement = recordingEvent(update, [ttlSeconds, limit], { kind: `'expired'`, origin: request });
    const expired = (await this.query<UploadRow>(...statement)).map(toSession);
    uploadsEnded.inc(['expired'], expired.length);
    return expired;
  }

  /**
   * Acquires a session whose commit was interrupted at least `idleSeconds` ago, except those in `tried`. Its
   * time to live continues. Starts at a random id, so that commits that can't be repaired don't keep others
   * waiting.
   */
  async acquireInterruptedCommit(
    idleSeconds: number,
    tried: readonly UploadId[],
    request: LeaseRequest,
  ): Promise<AcquiredSession | undefined> {
    const { replica, leaseSeconds } = request;
    const next = (further: string) => `(SELECT id FROM uploads
                     WHERE state = 'committing' ${further}
                       AND updated_at < now() - $1${SECONDS} AND ${IS_FREE}
                       AND id <> ALL ($4::uuid[])
                     ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)`;
    const [row] = await this.query<UploadRow>(
      `UPDATE uploads
          SET version = version + 1, lease_holder = $2, last_holder = $2,
              lease_expires_at = clock_timestamp() + $3${SECONDS},
              abandoned = abandoned OR lease_holder IS NOT NULL
        WHERE id = coalesce(${next('AND id >= $5')}, ${next('')})
        RETURNING ${SESSION_COLUMNS}`,
      [idleSeconds, replica, leaseSeconds, tried, newUploadId()],
    );
    if (row === undefined) return undefined;
    const session = toSession(row);
    const { id, version } = session;
    const lease = { ...request, uploadId: id, version, acquiredAt: performance.now() };
    // No bytes are written to it any more.
    return { session, lease, needsFence: false };
  }

  /** Returns at most `limit` sessions that ended at least `idleSeconds` ago and may have bytes left. */
  async findUnreclaimed(idleSeconds: number, limit: number): Promise<UploadSession[]> {
    const rows = await this.query<UploadRow>(
      `SELECT ${SESSION_COLUMNS} FROM uploads
        WHERE state NOT IN ('open', 'committing') AND holds_bytes AND updated_at < now() - $1${SECONDS}
        ORDER BY updated_at LIMIT $2`,
      [idleSeconds, limit],
    );
    return rows.map(toSession);
  }

  /** Moves an ended session, whose bytes can't be removed now, behind the others. */
  async postpone(id: UploadId): Promise<void> {
    const sql = `UPDATE uploads SET updated_at = now()
                  WHERE id = $1 AND state NOT IN ('open', 'committing') RETURNING id`;
    await this.query(sql, [id]);
  }

  /** Records that an ended session has no bytes left. */
  async markReclaimed(id: UploadId): Promise<void> {
    const sql = `UPDATE uploads SET holds_bytes = false
                  WHERE id = $1 AND state NOT IN ('open', 'committing') RETURNING id`;
    await this.query(sql, [id]);
  }

  /** Records that an ended session may have bytes left. */
  async markUnreclaimed(id: UploadId): Promise<void> {
    const sql = `UPDATE uploads SET holds_bytes = true
                  WHERE id = $1 AND state NOT IN ('open', 'committing') RETURNING id`;
    await this.query(sql, [id]);
  }

  /** Returns those of `ids` that have a session which may hold bytes. */
  async whichHoldBytes(ids: readonly UploadId[]): Promise<ReadonlySet<UploadId>> {
    const sql = `SELECT id FROM uploads WHERE id = ANY ($1::uuid[]) AND holds_bytes`;
    return new Set((await this.query<{ id: UploadId }>(sql, [ids])).map(({ id }) => id));
  }

  /**
   * Deletes at most `limit` sessions that ended at least `idleSeconds` ago and have no bytes left. Returns
   * how many.
   */
  async prune(idleSeconds: number, limit: number): Promise<number> {
    const rows = await this.query(
      `DELETE FROM uploads
        WHERE id = ANY (ARRAY(SELECT id FROM uploads
                               WHERE state NOT IN ('open', 'committing') AND NOT holds_bytes
                                 AND updated_at < ${countedAgo('$1')}
                               ORDER BY updated_at LIMIT $2))
        RETURNING id`,
      [idleSeconds, limit],
    );
    return rows.length;
  }

  /**
   * Sets times in the future to now, at most `limit` of each kind. The clock was ahead when they were
   * written; without this, such a session would live that much longer. Returns the number of corrected rows.
   */
  async correctFutureTimes(leaseSeconds: number, limit: number): Promise<number> {
    const some = (condition: string) =>
      `ARRAY(SELECT id FROM uploads WHERE ${condition} LIMIT $2 FOR UPDATE SKIP LOCKED)`;
    const written = (state: string) => some(`${state} AND updated_at > now() ORDER BY updated_at`);
    const isOver = `state NOT IN ('open', 'committing')`;
    const rows = await this.query(
      `UPDATE uploads
          SET updated_at = least(updated_at, now()),
              lease_expires_at = least(lease_expires_at, clock_timestamp() + $1${SECONDS})
        WHERE id = ANY (${written(`state IN ('open', 'committing')`)}
                        || ${written(`${isOver} AND holds_bytes`)}
                        || ${written(`${isOver} AND NOT holds_bytes`)}
                        || ${some(`lease_holder IS NOT NULL AND lease_expires_at > ${LATEST_LEASE_END}`)})
        RETURNING id`,
      [leaseSeconds, limit],
    );
    return rows.length;
  }

  private query<Row>(sql: string, parameters: readonly unknown[]): Promise<Row[]> {
    return queryRows<Row>(this.dataSource.manager, sql, [...parameters]);
  }
}
