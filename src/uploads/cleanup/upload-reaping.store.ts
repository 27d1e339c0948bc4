import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { queryRows } from '../../database/query-rows.js';
import { newUploadId, type UploadId } from '../../oci/upload-id.js';
import { countedAgo } from '../../maintenance/upload-clock.js';
import { recordingEvent } from '../../events/recording-event.js';
import { SESSION_COLUMNS, toSession, type UploadRow } from '../session/upload-row.js';
import type { LeaseRequest, UploadSession } from '../session/upload-session.js';
import type { AcquiredSession } from '../session/upload-session.store.js';

const SECONDS = `::float8 * interval '1 second'`;
/** Twice the longest lease that a setting can have. */
const LATEST_LEASE_END = `now() + interval '600 seconds'`;
const IS_FREE = '(lease_holder IS NULL OR lease_expires_at < clock_timestamp())';

/**
 * The rows of upload sessions, as those see them who clear up. Whatever has a writer is left alone.
 *
 * Batches are chosen as an ARRAY, once, and then found by their ids; a join with those who were chosen may be
 * one with the whole table.
 */
@Injectable()
export class UploadReapingStore {
  constructor(private readonly dataSource: DataSource) {}

  /**
   * Ends sessions on which nothing happened for that long, `limit` at the most. Each is ended, and answered,
   * once.
   */
  async expire(ttlSeconds: number, limit: number, request: LeaseRequest): Promise<UploadSession[]> {
    const update = `UPDATE uploads
          SET state = 'expired', version = version + 1, lease_holder = NULL, lease_expires_at = NULL, updated_at = now()
        WHERE id = ANY (ARRAY(SELECT id FROM uploads
                               WHERE state IN ('open', 'committing') AND updated_at < ${countedAgo('$1')} AND ${IS_FREE}
                               ORDER BY updated_at LIMIT $2 FOR UPDATE SKIP LOCKED))
        RETURNING ${SESSION_COLUMNS}`;
    const statement = recordingEvent(update, [ttlSeconds, limit], { kind: `'expired'`, origin: request });
    return (await this.query<UploadRow>(...statement)).map(toSession);
  }

  /**
   * Takes a session whose commit was interrupted at least that long ago and that nobody goes on with, none of
   * `tried`. Its time to live goes on. Any of them, so that those that can't be repaired don't keep others
   * from it: the next one from a place among the ids, which are random.
   */
  async acquireInterruptedCommit(
    idleSeconds: number,
    tried: readonly UploadId[],
    request: LeaseRequest,
  ): Promise<AcquiredSession | undefined> {
    const { replica, leaseSeconds } = request;
    const next = (further: string) => `(SELECT id FROM uploads
                     WHERE state = 'committing' ${further} AND updated_at < now() - $1${SECONDS} AND ${IS_FREE}
                       AND id <> ALL ($4::uuid[])
                     ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)`;
    const [row] = await this.query<UploadRow>(
      `UPDATE uploads
          SET version = version + 1, lease_holder = $2, last_holder = $2, lease_expires_at = clock_timestamp() + $3${SECONDS},
              abandoned = abandoned OR lease_holder IS NOT NULL
        WHERE id = coalesce(${next('AND id >= $5')}, ${next('')})
        RETURNING ${SESSION_COLUMNS}`,
      [idleSeconds, replica, leaseSeconds, tried, newUploadId()],
    );
    if (row === undefined) return undefined;
    const session = toSession(row);
    const { id, version } = session;
    const lease = { ...request, uploadId: id, version, acquiredAt: performance.now() };
    // Nothing is written to it any more.
    return { session, lease, needsFence: false };
  }

  /** Sessions that ended at least that long ago and may have left bytes, `limit` at the most. */
  async findUnreclaimed(idleSeconds: number, limit: number): Promise<UploadSession[]> {
    const rows = await this.query<UploadRow>(
      `SELECT ${SESSION_COLUMNS} FROM uploads
        WHERE state NOT IN ('open', 'committing') AND holds_bytes AND updated_at < now() - $1${SECONDS}
        ORDER BY updated_at LIMIT $2`,
      [idleSeconds, limit],
    );
    return rows.map(toSession);
  }

  /** What is left of a session that is over can't be removed now: others first. */
  async postpone(id: UploadId): Promise<void> {
    const sql = `UPDATE uploads SET updated_at = now()
                  WHERE id = $1 AND state NOT IN ('open', 'committing') RETURNING id`;
    await this.query(sql, [id]);
  }

  /** Nothing is left of a session that is over. */
  async markReclaimed(id: UploadId): Promise<void> {
    const sql = `UPDATE uploads SET holds_bytes = false
                  WHERE id = $1 AND state NOT IN ('open', 'committing') RETURNING id`;
    await this.query(sql, [id]);
  }

  /** Something may be left of a session that is over, after all. */
  async markUnreclaimed(id: UploadId): Promise<void> {
    const sql = `UPDATE uploads SET holds_bytes = true
                  WHERE id = $1 AND state NOT IN ('open', 'committing') RETURNING id`;
    await this.query(sql, [id]);
  }

  /** Which of these have a session whose bytes are still its own concern. */
  async whichHoldBytes(ids: readonly UploadId[]): Promise<ReadonlySet<UploadId>> {
    const sql = `SELECT id FROM uploads WHERE id = ANY ($1::uuid[]) AND holds_bytes`;
    return new Set((await this.query<{ id: UploadId }>(sql, [ids])).map(({ id }) => id));
  }

  /**
   * Forgets sessions that ended at least that long ago and have nothing left, `limit` at the most. Answers
   * how many.
   */
  async prune(idleSeconds: number, limit: number): Promise<number> {
    const rows = await this.query(
      `DELETE FROM uploads
        WHERE id = ANY (ARRAY(SELECT id FROM uploads
                               WHERE state NOT IN ('open', 'committing') AND NOT holds_bytes AND updated_at < ${countedAgo('$1')}
                               ORDER BY updated_at LIMIT $2))
        RETURNING id`,
      [idleSeconds, limit],
    );
    return rows.length;
  }

  /**
   * Sets times that are still to come to now, `limit` of each kind at the most: the clock was ahead when they
   * were written, and by them a session would not be over for as long as it was ahead. Returns how many rows
   * it corrected.
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
