import type { MigrationInterface, QueryRunner } from 'typeorm';
import { AS_COLLECTOR } from './1764530000001-collected-links-and-blobs.js';

/** The stage of a collection that deletes manifests without a tag, and the weekly check. */
export class UntaggedManifests1764530000004 implements MigrationInterface {
  readonly name = 'UntaggedManifests1764530000004';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `DROP FUNCTION correct_future_dates, check_blobs, check_links, delete_untagged_by_event,
         delete_untagged_by_push, delete_untagged`,
    );
  }
}

/** Positions before this are settled: statements that wrote rows before it have ended. */
const SETTLED = `now() - interval '5 minutes'`;

/**
 * Deletes those of the manifests that have been without a tag for `p_seconds`, each in a deletion of its own.
 * They are followers: an index that lists one brings it back. Returns how many, and those that it could not
 * lock.
 */
const DELETE_UNTAGGED = `
  CREATE FUNCTION delete_untagged(
    p_seconds double precision, p_manifests bigint[], OUT deleted integer, OUT busy bigint[]
  ) ${AS_COLLECTOR} AS $$
  DECLARE
    untagged bigint[];
    locked bigint[];
    own record;
    new_deletion bigint;
  BEGIN
    deleted := 0;
    SELECT array_agg(m.id) INTO untagged
      FROM (SELECT DISTINCT unnest(p_manifests) AS id) AS wanted
     CROSS JOIN LATERAL (SELECT id FROM untagged_manifests(p_seconds) WHERE id = wanted.id OFFSET 0) AS m;
    IF untagged IS NULL THEN RETURN; END IF;
    SELECT array_agg(m.id) INTO locked
      FROM unnest(untagged) AS u (id)
     CROSS JOIN LATERAL (SELECT id FROM live_manifests WHERE id = u.id FOR UPDATE SKIP LOCKED) AS m;
    busy := ARRAY(SELECT unnest(untagged) EXCEPT SELECT unnest(locked));

    FOR own IN SELECT m.id, m.repository_id, m.digest, coalesce(r.name, r.deleted_name) AS repository
                 FROM unnest(locked) AS l (id)
                CROSS JOIN LATERAL (SELECT * FROM untagged_manifests(p_seconds) WHERE id = l.id OFFSET 0) AS m
                CROSS JOIN LATERAL (SELECT name, deleted_name FROM repositories
                                     WHERE id = m.repository_id OFFSET 0) AS r
    LOOP
      INSERT INTO deletions (repository_id, repository, kind, reference)
      VALUES (own.repository_id, own.repository, 'untagged', own.digest) RETURNING id INTO new_deletion;
      UPDATE manifests SET deletion_id = new_deletion, is_follower = true WHERE id = own.id;
      deleted := deleted + 1;
    END LOOP;
  END $$`;

/**
 * Looks at up to `p_limit` manifests that were pushed `p_seconds` ago or earlier, after the position that the
 * last call returned, and deletes those without a tag. Each is looked at once: if it loses its tag later,
 * `delete_untagged_by_event` looks at it, and if what holds it is deleted, `follow_deletion`.
 *
 * Returns how many it looked at, and how many of these, from the first, need no other look: they are not
 * busy, and no earlier one can appear.
 */
const DELETE_UNTAGGED_BY_PUSH = `
  CREATE FUNCTION delete_untagged_by_push(
    p_seconds double precision, p_limit integer, INOUT p_pushed_at timestamptz, INOUT p_manifest bigint,
    OUT looked integer, OUT deleted integer, OUT settled_at timestamptz, OUT settled_manifest bigint,
    OUT is_settled boolean
  ) ${AS_COLLECTOR} AS $$
  DECLARE
    times timestamptz[];
    ids bigint[];
    skipped bigint[];
    settled integer;
  BEGIN
    SELECT array_agg(pushed_at ORDER BY pushed_at, id), array_agg(id ORDER BY pushed_at, id) INTO times, ids
      FROM (SELECT pushed_at, id FROM manifests
             WHERE (pushed_at, id) > (p_pushed_at, p_manifest)
               AND pushed_at <= now() - p_seconds * interval '1 second'
             ORDER BY pushed_at, id LIMIT p_limit) AS m;
    looked := coalesce(cardinality(ids), 0);
    deleted := 0;
    is_settled := true;
    IF looked = 0 THEN RETURN; END IF;
    SELECT d.deleted, d.busy INTO deleted, skipped FROM delete_untagged(p_seconds, ids) AS d;
    SELECT coalesce(min(m.n) - 1, looked) INTO settled
      FROM unnest(ids, times) WITH ORDINALITY AS m (id, pushed_at, n)
     WHERE m.id = ANY (skipped) OR m.pushed_at > ${SETTLED};
    is_settled := settled = looked;
    settled_at := times[settled];
    settled_manifest := ids[settled];
    p_pushed_at := times[looked];
    p_manifest := ids[looked];
  END $$`;

/** Like `delete_untagged_by_push`, for manifests that lost a tag. Events are looked at by id. */
const DELETE_UNTAGGED_BY_EVENT = `
  CREATE FUNCTION delete_untagged_by_event(
    p_seconds double precision, p_limit integer, INOUT p_event bigint,
    OUT looked integer, OUT deleted integer, OUT settled_event bigint, OUT is_settled boolean
  ) ${AS_COLLECTOR} AS $$
  DECLARE
    own record;
    events bigint[] := '{}';
    times timestamptz[] := '{}';
    manifests_of bigint[] := '{}';
    skipped bigint[];
    settled integer;
  BEGIN
    FOR own IN SELECT e.id, e.happened_at, (SELECT m.id FROM manifests AS m
                                             WHERE m.repository_id = e.repository_id
                                               AND m.digest = e.from_digest) AS manifest
                 FROM tag_events AS e WHERE e.id > p_event ORDER BY e.id LIMIT p_limit
    LOOP
      -- An event of the future, after a jump of the clock, must not keep others waiting.
      EXIT WHEN own.happened_at > now() - p_seconds * interval '1 second' AND own.happened_at <= now();
      events := events || own.id;
      times := times || own.happened_at;
      manifests_of := manifests_of || own.manifest;
    END LOOP;
    looked := cardinality(events);
    deleted := 0;
    is_settled := true;
    IF looked = 0 THEN RETURN; END IF;
    SELECT d.deleted, d.busy INTO deleted, skipped
      FROM delete_untagged(p_seconds, array_remove(manifests_of, NULL)) AS d;
    SELECT coalesce(min(e.n) - 1, looked) INTO settled
      FROM unnest(manifests_of, times) WITH ORDINALITY AS e (manifest, happened_at, n)
     WHERE e.manifest = ANY (skipped) OR e.happened_at > ${SETTLED} AND e.happened_at <= now();
    is_settled := settled = looked;
    settled_event := events[settled];
    p_event := events[looked];
  END $$`;

/**
 * Looks at the next `p_limit` links, by key. Counts those that nothing needs and that have no date, which the
 * triggers should have set, and sets it. What is counted is true of one moment.
 */
const CHECK_LINKS = `
  CREATE FUNCTION check_links(
    p_limit integer, INOUT p_repository bigint, INOUT p_blob bigint, OUT looked integer, OUT undated integer
  ) ${AS_COLLECTOR} AS $$
  DECLARE
    repositories bigint[];
    blobs bigint[];
    undated_repositories bigint[];
    undated_blobs bigint[];
  BEGIN
    SELECT array_agg(repository_id ORDER BY repository_id, blob_id),
           array_agg(blob_id ORDER BY repository_id, blob_id)
      INTO repositories, blobs
      FROM (SELECT repository_id, blob_id FROM repository_blobs
             WHERE (repository_id, blob_id) > (p_repository, p_blob)
             ORDER BY repository_id, blob_id LIMIT p_limit) AS link;
    looked := coalesce(cardinality(blobs), 0);
    undated := 0;
    IF looked = 0 THEN RETURN; END IF;
    p_repository := repositories[looked];
    p_blob := blobs[looked];
    SELECT array_agg(link.repository_id), array_agg(link.blob_id) INTO undated_repositories, undated_blobs
      FROM unnest(repositories, blobs) AS l (repository_id, blob_id)
     CROSS JOIN LATERAL (SELECT repository_id, blob_id FROM unneeded_links
                          WHERE repository_id = l.repository_id AND blob_id = l.blob_id
                            AND candidate_since IS NULL OFFSET 0) AS link;
    undated := coalesce(cardinality(undated_blobs), 0);
    IF undated > 0 THEN PERFORM mark_links(undated_repositories, undated_blobs); END IF;
  END $$`;

/** Like `check_links`, for blobs that no repository links. */
const CHECK_BLOBS = `
  CREATE FUNCTION check_blobs(p_limit integer, INOUT p_blob bigint, OUT looked integer, OUT undated integer)
  ${AS_COLLECTOR} AS $$
  DECLARE
    ids bigint[];
    undated_blobs bigint[];
  BEGIN
    SELECT array_agg(id ORDER BY id) INTO ids
      FROM (SELECT id FROM blobs WHERE id > p_blob ORDER BY id LIMIT p_limit) AS blob;
    looked := coalesce(cardinality(ids), 0);
    undated := 0;
    IF looked = 0 THEN RETURN; END IF;
    p_blob := ids[looked];
    SELECT array_agg(blob.id) INTO undated_blobs
      FROM unnest(ids) AS l (id)
     CROSS JOIN LATERAL (SELECT id FROM unlinked_blobs
                          WHERE id = l.id AND candidate_since IS NULL OFFSET 0) AS blob;
    undated := coalesce(cardinality(undated_blobs), 0);
    UPDATE blobs SET candidate_since = now()
     WHERE id = ANY (ARRAY(SELECT b.id FROM unnest(undated_blobs) AS u (id)
                            CROSS JOIN LATERAL (SELECT id FROM blobs
                                                 WHERE id = u.id AND candidate_since IS NULL
                                                   FOR NO KEY UPDATE SKIP LOCKED) AS b));
  END $$`;

/**
 * Sets up to `p_limit` dates of each kind that lie more than a day ahead to now: the clock of the database
 * was ahead when they were written. Otherwise what they belong to would stay for that long. Returns how many.
 */
const CORRECT_FUTURE_DATES = `
  CREATE FUNCTION correct_future_dates(p_read_window_seconds double precision, p_limit integer)
  RETURNS integer ${AS_COLLECTOR} AS $$
  DECLARE
    ahead timestamptz := now() + interval '1 day';
    changed integer;
    corrected integer;
  BEGIN
    UPDATE repository_blobs AS link SET candidate_since = now()
      FROM (SELECT repository_id, blob_id FROM repository_blobs WHERE candidate_since > ahead
             LIMIT p_limit FOR UPDATE SKIP LOCKED) AS found
     WHERE link.repository_id = found.repository_id AND link.blob_id = found.blob_id;
    GET DIAGNOSTICS corrected = ROW_COUNT;
    UPDATE deletions SET deleted_at = now()
     WHERE id = ANY (ARRAY(SELECT id FROM deletions WHERE state = 'restorable' AND deleted_at > ahead
                            LIMIT p_limit FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS changed = ROW_COUNT;
    corrected := corrected + changed;
    UPDATE object_deletions SET due_at = now() + p_read_window_seconds * interval '1 second'
     WHERE object_key = ANY (ARRAY(SELECT object_key FROM object_deletions
                                    WHERE due_at > ahead + p_read_window_seconds * interval '1 second'
                                    LIMIT p_limit FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN corrected + changed;
  END $$`;

const UP = [
  DELETE_UNTAGGED,
  DELETE_UNTAGGED_BY_PUSH,
  DELETE_UNTAGGED_BY_EVENT,
  CHECK_LINKS,
  CHECK_BLOBS,
  CORRECT_FUTURE_DATES,
];
