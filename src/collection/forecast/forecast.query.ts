import { Injectable, Logger } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Configuration } from '../../config/configuration.js';
import { oneAtATime } from '../../common/one-at-a-time.js';
import { isStatementError } from '../../database/errors/database-errors.js';
import { ListQueries } from '../../database/list-queries.js';
import { queryRows } from '../../database/query-rows.js';
import type { Forecast } from './forecast.js';

const seconds = (parameter: string) => `${parameter}::float8 * interval '1 second'`;
const UNDELETE = seconds('$1');
const GRACE = seconds('$2');
const READ_WINDOW = seconds('$3');
const MAX_REPOSITORIES = '$4::integer';

/**
 * When each deletion ends, and whether an operator ended its windows. `expired_deletions` is what the next
 * run purges. One that is being restored never ends.
 */
const ENDS = `
  SELECT d.id, d.kind, d.repository_id, d.purge_requested_at IS NOT NULL AS skips,
         CASE WHEN d.state = 'purging' OR d.id IN (SELECT id FROM expired_deletions($1::float8)) THEN now()
              ELSE d.deleted_at + ${UNDELETE} END AS ends_at
    FROM deletions d
   WHERE d.state IN ('restorable', 'purging') AND d.kind <> 'tag'`;

/** Repositories that are deleted, until then with all their links. */
const REPOSITORIES = `
  SELECT r.id, e.ends_at, e.skips FROM ends e JOIN repositories r ON r.deletion_id = e.id AND r.name IS NULL
   WHERE e.kind = 'repository'`;

/**
 * Deleted manifests. One that an index of another deletion lists stays until that
 * deletion ends, too.
 */
const MANIFESTS = `
  SELECT m.id, m.repository_id, greatest(e.ends_at, parents.ends_at) AS ends_at, e.skips
    FROM ends e
    JOIN manifests m ON m.deletion_id = e.id
   CROSS JOIN LATERAL (
           SELECT max(CASE WHEN p.deletion_id IS NULL THEN 'infinity'
                           ELSE coalesce(pe.ends_at, 'infinity') END) AS ends_at
             FROM manifest_children c JOIN manifests p ON p.id = c.parent_id
             LEFT JOIN ends pe ON pe.id = p.deletion_id
            WHERE c.child_id = m.id) AS parents
   WHERE e.kind <> 'repository'`;

/** What deleted manifests need: their blobs, and blobs that were pushed after them. */
const DELETED_NEEDS = `
  SELECT m.repository_id, r.blob_id, m.ends_at, m.skips
    FROM manifests_ending m JOIN manifest_blobs r ON r.manifest_id = m.id
   UNION ALL
  SELECT m.repository_id, d.blob_id, m.ends_at, m.skips
    FROM manifests_ending m
    JOIN manifest_missing_references r ON r.manifest_id = m.id
    JOIN blob_digests d ON d.digest = r.digest
    JOIN repository_blobs l ON l.repository_id = m.repository_id AND l.blob_id = d.blob_id`;

/** Whether a manifest needs the link that does not end: a live one, or one that is being restored. */
const IS_HELD = `
  EXISTS (SELECT FROM manifest_blobs r JOIN manifests m ON m.id = r.manifest_id
           WHERE r.blob_id = need.blob_id AND r.repository_id = need.repository_id
             AND (m.deletion_id IS NULL OR m.deletion_id NOT IN (SELECT id FROM ends)) OFFSET 0)
  OR EXISTS (SELECT FROM blob_digests d
              JOIN manifest_missing_references r
                ON r.digest = d.digest AND r.repository_id = need.repository_id
              JOIN manifests m ON m.id = r.manifest_id
             WHERE d.blob_id = need.blob_id
               AND (m.deletion_id IS NULL OR m.deletion_id NOT IN (SELECT id FROM ends)) OFFSET 0)`;

/**
 * Links that go, why, and when. The last manifest that needs a link decides whether its grace applies. A
 * repository's links go with it, without a grace: no client can see them.
 */
const LINKS = `
  SELECT DISTINCT ON (repository_id, blob_id) * FROM (
    SELECT l.repository_id, l.blob_id, 'unneeded' AS reason, l.candidate_since = '-infinity' AS skips,
           CASE l.candidate_since WHEN '-infinity' THEN now() ELSE l.candidate_since + ${GRACE} END AS goes_at
      FROM repository_blobs candidate
     CROSS JOIN LATERAL (SELECT * FROM unneeded_links l
                          WHERE l.repository_id = candidate.repository_id AND l.blob_id = candidate.blob_id
                         OFFSET 0) AS l
     WHERE candidate.candidate_since IS NOT NULL
     UNION ALL
    SELECT need.repository_id, need.blob_id, 'deleted', need.skips,
           CASE WHEN need.skips THEN need.ends_at ELSE need.ends_at + ${GRACE} END
      FROM (SELECT DISTINCT ON (repository_id, blob_id) * FROM needs
             ORDER BY repository_id, blob_id, ends_at DESC, skips) AS need
     WHERE need.ends_at < 'infinity' AND NOT (${IS_HELD})
     UNION ALL
    SELECT l.repository_id, l.blob_id, 'repository',
           r.skips AND EXISTS (SELECT FROM manifest_blobs m
                                WHERE m.blob_id = l.blob_id AND m.repository_id = l.repository_id OFFSET 0),
           r.ends_at
      FROM repositories_ending r JOIN repository_blobs l ON l.repository_id = r.id) AS link
   ORDER BY repository_id, blob_id, goes_at, reason DESC`;

/** Blobs that lose their last link, and those without one. Objects that were displaced go with them. */
const BLOBS = `
  SELECT b.id, b.size_bytes, b.size_bytes * (1 + displaced.n) AS object_bytes, 1 + displaced.n AS objects,
         gone.goes_at,
         CASE WHEN gone.skips THEN gone.goes_at ELSE gone.goes_at + ${READ_WINDOW} END AS freed_at,
         gone.repositories, gone.repository_id
    FROM (SELECT blob_id, count(*) AS links, max(goes_at) AS goes_at,
                 (array_agg(skips ORDER BY goes_at DESC, skips DESC))[1] AS skips,
                 count(DISTINCT repository_id) AS repositories, min(repository_id) AS repository_id
            FROM links GROUP BY blob_id
           UNION ALL
          SELECT u.id, 0, now(), u.candidate_since = '-infinity', 0, NULL
            FROM blobs candidate
           CROSS JOIN LATERAL (SELECT id, candidate_since FROM unlinked_blobs u
                                WHERE u.id = candidate.id OFFSET 0) AS u
           WHERE candidate.candidate_since IS NOT NULL) AS gone
    JOIN blobs b ON b.id = gone.blob_id
   CROSS JOIN LATERAL (SELECT count(*) AS n FROM displaced_objects d WHERE d.blob_id = b.id) AS displaced
   WHERE gone.links = (SELECT count(*) FROM repository_blobs l WHERE l.blob_id = b.id)`;

/** Links with their sizes, and which of them belong to blobs that go. */
const SIZED = `
  SELECT l.*, b.size_bytes, f.id IS NOT NULL AND f.repositories = 1 AS is_freed, f.freed_at
    FROM links l JOIN blobs b ON b.id = l.blob_id LEFT JOIN blobs_ending f ON f.id = l.blob_id`;

const sum = (column: string, condition = 'true') =>
  `coalesce(sum(${column}) FILTER (WHERE ${condition}), 0)::float8`;
const count = (condition = 'true') => `count(*) FILTER (WHERE ${condition})::float8`;

/** Sums of `sized`, now and in the end. */
const unlinked = (when: string) => `
  jsonb_build_object('links', ${count(when)}, 'bytesUnlinked', ${sum('size_bytes', when)})`;
const total = (now: 'now()' | `'infinity'::timestamptz`) => `
  (SELECT ${unlinked(`goes_at <= ${now}`)} FROM sized)
  || (SELECT jsonb_build_object('blobs', ${count(`goes_at <= ${now}`)}) FROM blobs_ending)
  || (SELECT jsonb_build_object('objects', coalesce(sum(n), 0)::float8,
                                'bytesFreed', coalesce(sum(bytes), 0)::float8)
        FROM (SELECT objects AS n, object_bytes AS bytes FROM blobs_ending WHERE freed_at <= ${now}
               UNION ALL
              SELECT 1, size_bytes FROM object_deletions WHERE due_at <= ${now}) AS object)`;

/** As times are in all other responses. */
const iso = (time: string) => `to_char((${time}) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

const stage = (from: string, at: string, bytes: string) => `
  (SELECT jsonb_build_object('count', count(*)::float8, 'bytes', coalesce(sum(${bytes}), 0)::float8,
                             'nextAt', ${iso(`min(${at})`)}, 'lastAt', ${iso(`max(${at})`)}) FROM ${from})`;

/** It reads garbage and what is deleted. `pg` returns `float8` as a number. */
const FORECAST = `
  WITH ends AS MATERIALIZED (${ENDS}),
       repositories_ending AS MATERIALIZED (${REPOSITORIES}),
       manifests_ending AS MATERIALIZED (${MANIFESTS}),
       needs AS MATERIALIZED (${DELETED_NEEDS}),
       links AS MATERIALIZED (${LINKS}),
       blobs_ending AS MATERIALIZED (${BLOBS}),
       sized AS MATERIALIZED (${SIZED})
  SELECT jsonb_build_object(
    'measuredAt', ${iso('now()')},
    'isComplete', NOT EXISTS (SELECT FROM deletions WHERE NOT followed),
    'stages', jsonb_build_object(
      'followers', (SELECT jsonb_build_object('count', count(*)::float8) FROM deletions WHERE NOT followed),
      'deletions', ${stage(`(SELECT e.ends_at FROM ends e) AS e`, 'ends_at', '0')}
        || (SELECT jsonb_build_object('bytes', ${sum('size_bytes', `reason <> 'unneeded'`)}) FROM sized),
      'links', ${stage(`sized WHERE reason = 'unneeded'`, 'goes_at', 'size_bytes')},
      'blobs', ${stage('blobs_ending WHERE repositories = 0', 'goes_at', 'size_bytes')},
      'objects', ${stage('object_deletions', 'due_at', 'size_bytes')}
        || (SELECT jsonb_build_object('failing', count(*)::float8,
                                      'lastError', (array_agg(last_error ORDER BY attempts DESC))[1])
              FROM object_deletions WHERE attempts > 0)),
    'now', ${total('now()')},
    'afterWindows', ${total(`'infinity'::timestamptz`)},
    'repositories', (
      SELECT coalesce(jsonb_agg(row ORDER BY bytes DESC, name), '[]')
        FROM (SELECT jsonb_build_object(
                       'repository', coalesce(r.name, r.deleted_name), 'isDeleted', r.name IS NULL,
                       'now', own.now, 'afterWindows', own.after_windows, 'reasons', own.reasons,
                       'nextAt', ${iso('own.next_at')}, 'lastAt', ${iso('own.last_at')}) AS row,
                     own.bytes, coalesce(r.name, r.deleted_name) AS name
                FROM (SELECT repository_id, sum(size_bytes) AS bytes,
                             min(goes_at) AS next_at, max(goes_at) AS last_at,
                             ${unlinked('goes_at <= now()')}
                               || jsonb_build_object(
                                    'bytesFreed', ${sum('size_bytes', 'is_freed AND freed_at <= now()')})
                               AS now,
                             ${unlinked('true')}
                               || jsonb_build_object('bytesFreed', ${sum('size_bytes', 'is_freed')})
                               AS after_windows,
                             jsonb_build_object(${['unneeded', 'deleted', 'repository']
                               .map((reason) => `'${reason}', ${sum('size_bytes', `reason = '${reason}'`)}`)
                               .join(', ')}) AS reasons
                        FROM sized GROUP BY repository_id
                       ORDER BY sum(size_bytes) DESC, repository_id LIMIT ${MAX_REPOSITORIES}) AS own
                JOIN repositories r ON r.id = own.repository_id) AS listed)
  ) AS forecast`;

/** It looks at all manifests, by index. */
const UNTAGGED = 'SELECT manifests::float8 AS count, bytes::float8 AS bytes FROM untagged_forecast()';

/** How long the part about manifests without a tag may take. */
const UNTAGGED_TIMEOUT_MS = 5_000;

/** Repositories that a forecast lists: those with most bytes. */
const LISTED_REPOSITORIES = 100;

type Untagged = Pick<Forecast['stages']['untagged'], 'count' | 'bytes'>;
type Measured = Omit<Forecast, 'stages'> & { readonly stages: Omit<Forecast['stages'], 'untagged'> };

/** Says what collections will delete, with the selections of the collector, without deleting anything. */
@Injectable()
export class ForecastQuery {
  /** It reads all garbage. */
  readonly measure = oneAtATime(() => this.query());
  private readonly logger = new Logger(ForecastQuery.name);

  constructor(
    private readonly lists: ListQueries,
    private readonly configuration: Configuration,
  ) {}

  private query(): Promise<Forecast> {
    const { gcUndeleteSeconds, gcGraceSeconds, gcReadWindowSeconds, gcUntaggedSeconds } = this.configuration;
    return this.lists.snapshot(async (reads) => {
      const [row] = await queryRows<{ forecast: Measured }>(reads, FORECAST, [
        ...[gcUndeleteSeconds, gcGraceSeconds, gcReadWindowSeconds, LISTED_REPOSITORIES],
      ]);
      if (row === undefined) throw new Error('the forecast returned no row');
      const untagged = { enabled: gcUntaggedSeconds > 0, ...(await this.untagged(reads)) };
      return { ...row.forecast, stages: { untagged, ...row.forecast.stages } };
    });
  }

  /**
   * The last statement of the snapshot: if it fails, mostly at its limit, it aborts the transaction, and
   * nothing else is lost. The limit ends with the transaction.
   */
  private async untagged(reads: EntityManager): Promise<Untagged> {
    await reads.query(`SET LOCAL statement_timeout = ${UNTAGGED_TIMEOUT_MS}`);
    try {
      const [row] = await queryRows<Untagged>(reads, UNTAGGED);
      if (row === undefined) throw new Error('the forecast of manifests without a tag returned no row');
      return row;
    } catch (error) {
      if (!isStatementError(error)) throw error;
      this.logger.warn({ err: error }, 'the forecast of manifests without a tag failed');
      return { count: null, bytes: null };
    }
  }
}
