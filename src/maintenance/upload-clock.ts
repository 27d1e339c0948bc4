import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { queryRows } from '../database/query-rows.js';

/** Twice the longest time that a setting can have. */
const KEPT_SECONDS = 2 * 365 * 24 * 60 * 60;

/** Observations that are deleted when one is added. */
const MOST_AT_ONCE = 100;

/** Before whatever was written since the last observation. */
const LEVEL = `now() - 2 * $1::float8 * interval '1 second'`;

/**
 * Counts the time in which uploads are idle, whatever the clock of the database does.
 *
 * That clock may jump: by a fault of NTP, or in a virtual machine that was restored. By `now() - updated_at`
 * alone every idle session would then have been idle for too long. So the reaper records now and then what
 * the clock says, and counts no more of the time between two observations than there can have been. A jump is
 * hardly counted, and neither is the time in which no Berth was running.
 *
 *     seen_at    Mon 10:00   Mon 10:10   Sat 10:20   Mon 10:30   Mon 10:40
 *     seconds            0         600        1800        1800        2400
 *                                        └ a jump, of which 1200 seconds count
 *
 * Where the clock went back, earlier observations that are later than it now are moved to before the jump. So
 * `seen_at` never falls, and what was written while the clock was behind isn't taken for old when it is right
 * again.
 */
@Injectable()
export class UploadClock {
  constructor(private readonly dataSource: DataSource) {}

  /**
   * Records an observation, unless the last one is younger than that.
   *
   * @param intervalSeconds how often this is called, at least. Twice as much is the most that is counted at
   * once.
   */
  async observe(intervalSeconds: number): Promise<void> {
    const inserted = await this.query(
      `WITH latest AS (
         SELECT seconds, extract(epoch FROM now() - seen_at)::float8 AS elapsed
           FROM upload_clock ORDER BY id DESC LIMIT 1),
       levelled AS (
         UPDATE upload_clock SET seen_at = ${LEVEL}
          WHERE (SELECT elapsed FROM latest) < 0
            AND id > coalesce((SELECT id FROM upload_clock WHERE seen_at <= ${LEVEL} ORDER BY id DESC LIMIT 1), 0))
       INSERT INTO upload_clock (seconds, seen_at)
       SELECT coalesce(seconds + least(greatest(elapsed, 0), 2 * $1::float8), 0), now()
         FROM (SELECT 1) AS always LEFT JOIN latest ON true
        WHERE elapsed IS NULL OR elapsed < 0 OR elapsed >= $1::float8
       RETURNING id`,
      [intervalSeconds],
    );
    if (inserted.length === 0) return;
    const latest = 'SELECT seconds FROM upload_clock ORDER BY id DESC LIMIT 1';
    // The newest one of so long ago stays: `countedAgo` goes by it.
    const stays = `SELECT max(seconds) FROM upload_clock WHERE seconds <= (${latest}) - $1::float8`;
    await this.query(
      `DELETE FROM upload_clock
        WHERE id = ANY (ARRAY(SELECT id FROM upload_clock WHERE seconds < (${stays}) ORDER BY seconds LIMIT $2))
        RETURNING id`,
      [KEPT_SECONDS, MOST_AT_ONCE],
    );
  }

  private query(sql: string, parameters: unknown[]): Promise<unknown[]> {
    return queryRows(this.dataSource.manager, sql, parameters);
  }
}

/**
 * SQL for the moment since which that many seconds were counted, never later than that long ago by the clock.
 * NULL where there are no observations of so long ago.
 */
export function countedAgo(parameter: string): string {
  const seconds = `${parameter}::float8`;
  return `(SELECT least(now() - ${seconds} * interval '1 second',
                   seen.seen_at + (counted.seconds - ${seconds} - seen.seconds) * interval '1 second',
                   next.seen_at)
      FROM (SELECT seconds + least(greatest(extract(epoch FROM now() - seen_at)::float8, 0), ${seconds} / 4) AS seconds
              FROM upload_clock ORDER BY id DESC LIMIT 1) AS counted
     CROSS JOIN LATERAL (SELECT seconds, seen_at FROM upload_clock
                          WHERE seconds <= counted.seconds - ${seconds}
                          ORDER BY seconds DESC, id DESC LIMIT 1) AS seen
      LEFT JOIN LATERAL (SELECT seen_at FROM upload_clock
                          WHERE seconds > counted.seconds - ${seconds}
                          ORDER BY seconds, id LIMIT 1) AS next ON true)`;
}
