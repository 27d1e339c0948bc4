import { initialMidstate } from '../../../src/uploads/hash/midstate.js';

/** The digest of no bytes: what the seeded sessions have come to, and can be committed as. */
export const NO_BYTES = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
/** The process that holds some sessions. */
export const HOLDER = 'replica-1';

const MIDSTATES = JSON.stringify([initialMidstate('sha256')]);

/** Of eighty sessions … */
const STATE = `CASE WHEN k < 12 THEN 'open' WHEN k < 16 THEN 'committing'
                    WHEN k = 16 THEN 'cancelled' ELSE 'committed' END`;
/** … one is idle for too long and six have been over for long, */
const DAYS = 'CASE WHEN k = 8 OR k BETWEEN 17 AND 22 THEN 8 ELSE 0 END';
/** … three are being written to, by fifty processes, */
const IS_HELD = 'k BETWEEN 9 AND 11';
/**
 * … four are commits that were interrupted, and one is over and has left bytes; most are over, and are kept
 * for a week.
 */
const HOLDS_BYTES = 'k <= 16';

/** Upload sessions in all states, their events, and observations of the clock. */
export function uploadStatements(uploads: number): string[] {
  return [
    `INSERT INTO uploads (id, repository, state, midstates, driver_state, version, lease_holder,
                        lease_expires_at, last_holder, holds_bytes, digest, blob_id, created_at, updated_at)
   SELECT gen_random_uuid(), format('team-%s/service-%s', n % 97, n % 3000), ${STATE},
          '${MIDSTATES}', '{"sizeBytes": 0}', 1,
          CASE WHEN ${IS_HELD} THEN 'replica-' || n / 80 % 50 END,
          CASE WHEN ${IS_HELD} THEN now() + interval '1 day' END,
          'replica-' || n % 50, ${HOLDS_BYTES},
          CASE WHEN k BETWEEN 12 AND 15 THEN '${NO_BYTES}' END, CASE WHEN k > 16 THEN 1 + n END,
          now() - interval '9 days' - n * interval '1 second',
          now() - interval '1 hour' - ${DAYS} * interval '1 day' - n % 3600 * interval '1 second'
     FROM generate_series(1, ${uploads}) AS n, LATERAL (SELECT n % 80) AS of (k)`,
    `INSERT INTO upload_events (upload_id, kind, offset_bytes, replica, happened_at)
   SELECT u.id, e.kind, 0, 'replica-1',
          u.updated_at - CASE WHEN u.updated_at < now() - interval '7 days'
                              THEN interval '30 days' ELSE interval '0' END
     FROM uploads u, (VALUES ('started'), ('checkpoint'), ('resumed')) AS e (kind)`,
    'DELETE FROM upload_clock',
    `INSERT INTO upload_clock (seconds, seen_at)
   SELECT n * 600, now() - (10000 - n) * interval '10 minutes' FROM generate_series(1, 10000) AS n`,
  ];
}
