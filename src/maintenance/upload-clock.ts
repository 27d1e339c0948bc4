import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { queryRows } from '../database/query-rows.js';

/** Twice the longest time to live that can be configured. */
const KEPT_SECONDS = 2 * 365 * 24 * 60 * 60;

/** Old observations that are deleted with each new one. */
const MAX_DELETED = 100;

/** A time before everything that was written since the last observation. */
const LEVEL = `now() - 2 * $1::float8 * interval '1 second'`;

/**
 * Measures how long uploads are idle, even if the clock of the database jumps.
 *
 * The clock can jump because of an NTP fault or a restored virtual machine. With `now() - updated_at` alone,
 * a jump would expire every idle session. So the reaper regularly records the clock's time. Between two
 * observations it counts no more time than can have passed. A jump counts for very little, and so does the
 * time in which no Berth was running.
 *
 *     seen_at    Mon 10:00   Mon 10:10   Sat 10:20   Mon 10:30   Mon 10:40
 *     seconds            0         600        1800        1800        2400
 *                                        └ a jump: 1200 seconds count
 *
 * If the clock went back, observations in its future are moved to before the jump. So `seen_at` never
 * decreases, and rows that were written while the clock was behind don't look old when it is right again.
 */
@Injectable()
export class UploadClock {
  constructor(private readonly dataSource: DataSource) {}

  /**
   * Records an observation, unless the last one is less than `intervalSeconds` old.
   *
   * @param intervalSeconds the longest time between two calls. At most twice as much is counted between two
   * observations.
   */
  async observe(intervalSeconds: number): Promise<void> {
    const inserted = await this.query(
      `WITH latest AS (
         SELECT seconds, extract(epoch FROM now() - seen_at)::float8 AS elapsed
           FROM upload_clock ORDER BY id DESC LIMIT 1),
       levelled AS (
         UPDATE upload_clock SET seen_at = ${LEVEL}
          WHERE (SELECT elapsed FROM latest) < 0
            AND id > coalesce((SELECT id FROM upload_clock
                              WHERE seen_at <= ${LEVEL} ORDER BY id DESC LIMIT 1), 0))
       INSERT INTO upload_clock (seconds, seen_at)
       SELECT coalesce(seconds + least(greatest(elapsed, 0), 2 * $1::float8), 0), now()
         FROM (SELECT 1) AS always LEFT JOIN latest ON true
        WHERE elapsed IS NULL OR elapsed < 0 OR elapsed >= $1::float8
       RETURNING id`,
      [intervalSeconds],
    );
    if (inserted.length === 0) return;
    const latest = 'SELECT seconds FROM upload_clock ORDER BY id DESC LIMIT 1';
    // `countedAgo` needs the newest one that is so old: it stays.
    const stays = `SELECT max(seconds) FROM upload_clock WHERE seconds <= (${latest}) - $1::float8`;
    await this.query(
      `DELETE FROM upload_clock
        WHERE id = ANY (ARRAY(SELECT id FROM upload_clock
                               WHERE seconds < (${stays}) ORDER BY seconds LIMIT $2))
        RETURNING id`,
      [KEPT_SECONDS, MAX_DELETED],
    );
  }

  private query(sql: string, parameters: unknown[]): Promise<unknown[]> {
    return queryRows(this.dataSource.manager, sql, parameters);
  }
}

/**
 * SQL expression for the time since which this many seconds were counted; at least as long ago by the clock.
 * NULL if no observation is old enough.
 */
export function countedAgo(parameter: string): string {
  const seconds = `${parameter}::float8`;
  return `(SELECT least(now() - ${seconds} * interval '1 second',
                   seen.seen_at + (counted.seconds - ${seconds} - seen.seconds) * interval '1 second',
                   next.seen_at)
      FROM (SELECT seconds
                   + least(greatest(extract(epoch FROM now() - seen_at)::float8, 0), ${seconds} / 4)
                     AS seconds
              FROM upload_clock ORDER BY id DESC LIMIT 1) AS counted
     CROSS JOIN LATERAL (SELECT seconds, seen_at FROM upload_clock
                          WHERE seconds <= counted.seconds - ${seconds}
                          ORDER BY seconds DESC, id DESC LIMIT 1) AS seen
      LEFT JOIN LATERAL (SELECT seen_at FROM upload_clock
                          WHERE seconds > counted.seconds - ${seconds}
                          ORDER BY seconds, id LIMIT 1) AS next ON true)`;
}
