import type { MigrationInterface, QueryRunner } from 'typeorm';
import { AS_COLLECTOR } from './1764530000001-collected-links-and-blobs.js';

/**
 * The stage of a collection that ends deletions: it deletes their manifests, repositories and events for
 * good. The triggers of `Candidates` date the links that are left over.
 */
export class PurgedDeletions1764530000003 implements MigrationInterface {
  readonly name = 'PurgedDeletions1764530000003';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(SIZES_OF_ALL);
    await queryRunner.query(
      `DROP FUNCTION prune_deletions, purge_repository, purging_repositories, purge_deletions,
         purge_manifests, expire_deletions`,
    );
  }
}

const sizesAfterDelete = (parents: string) => `
  CREATE OR REPLACE FUNCTION manifest_children_set_image_sizes_after_delete() RETURNS trigger
  LANGUAGE plpgsql AS $$
  DECLARE
    manifests bigint[] := (${parents});
  BEGIN
    IF manifests IS NOT NULL THEN PERFORM set_image_sizes(manifests); END IF;
    RETURN NULL;
  END $$`;

/** As `ImageSizes` has it. */
const SIZES_OF_ALL = sizesAfterDelete('SELECT array_agg(DISTINCT parent_id) FROM changed');

/** Other indexes lose no child while they can be restored, and get a new size when they are pushed again. */
const SIZES_OF_LIVE = sizesAfterDelete(`
      SELECT array_agg(m.id)
        FROM (SELECT DISTINCT parent_id FROM changed) AS parent
       CROSS JOIN LATERAL (SELECT id, repository_id FROM live_manifests
                            WHERE id = parent.parent_id OFFSET 0) AS m
       CROSS JOIN LATERAL (SELECT FROM repositories
                            WHERE id = m.repository_id AND name IS NOT NULL OFFSET 0) AS named`);

/**
 * Begins to purge up to `p_limit` deletions that can't be restored any more. From then on they can't,
 * whatever the setting. A deletion of a tag has nothing to delete, and ends at once. Returns how many.
 */
const EXPIRE_DELETIONS = `
  CREATE FUNCTION expire_deletions(p_undelete_seconds double precision, p_limit integer)
  RETURNS integer ${AS_COLLECTOR} AS $$
  DECLARE
    locked bigint[];
    n integer;
  BEGIN
    SELECT array_agg(d.id) INTO locked
      FROM (SELECT id FROM expired_deletions(p_undelete_seconds) WHERE followed LIMIT p_limit) AS expired
     CROSS JOIN LATERAL (SELECT id FROM deletions WHERE id = expired.id FOR UPDATE SKIP LOCKED) AS d;
    UPDATE deletions
       SET state = CASE kind WHEN 'tag' THEN 'purged' ELSE 'purging' END,
           ended_at = CASE kind WHEN 'tag' THEN now() END
     -- A restore may have been first. What else was selected does not change.
     WHERE id = ANY (locked) AND state = 'restorable' AND followed;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
  END $$`;

/**
 * Deletes the first of these manifests, which the caller has locked: as many as have `p_limit` references
 * together. Of a manifest that has more, it deletes that many references and not yet the manifest. From then
 * on an index can't revive it: it is no follower, and, before it loses anything else, no index lists it.
 *
 * Returns how many manifests and rows it deleted.
 */
const PURGE_MANIFESTS = `
  CREATE FUNCTION purge_manifests(
    p_manifests bigint[], p_limit integer, OUT purged integer, OUT deleted integer
  ) ${AS_COLLECTOR} AS $$
  DECLARE
    own bigint;
    n integer;
    chosen bigint[] := '{}';
  BEGIN
    purged := 0;
    deleted := 0;
    FOREACH own IN ARRAY coalesce(p_manifests, '{}') LOOP
      SELECT count(*) INTO n
        FROM ((SELECT 1 FROM manifest_blobs WHERE manifest_id = own LIMIT p_limit)
               UNION ALL (SELECT 1 FROM manifest_children WHERE parent_id = own LIMIT p_limit)
               UNION ALL (SELECT 1 FROM manifest_children WHERE child_id = own LIMIT p_limit)
               UNION ALL (SELECT 1 FROM manifest_missing_references WHERE manifest_id = own LIMIT p_limit)
               UNION ALL (SELECT 1 FROM tags WHERE manifest_id = own LIMIT p_limit)
               LIMIT p_limit) AS r;
      EXIT WHEN deleted > 0 AND deleted + n >= p_limit;
      IF n >= p_limit THEN
        deleted := p_limit;
        UPDATE manifests SET is_follower = false WHERE id = own AND is_follower;
        DELETE FROM manifest_children
         WHERE child_id = own
           AND parent_id = ANY (ARRAY(SELECT parent_id FROM manifest_children WHERE child_id = own
                                       LIMIT p_limit));
        GET DIAGNOSTICS n = ROW_COUNT;
        IF n = p_limit THEN RETURN; END IF;
        DELETE FROM manifest_blobs
         WHERE manifest_id = own
           AND blob_id = ANY (ARRAY(SELECT blob_id FROM manifest_blobs WHERE manifest_id = own
                                     ORDER BY blob_id LIMIT p_limit));
        DELETE FROM manifest_children
         WHERE parent_id = own
           AND child_id = ANY (ARRAY(SELECT child_id FROM manifest_children WHERE parent_id = own
                                      ORDER BY child_id LIMIT p_limit));
        DELETE FROM manifest_missing_references
         WHERE manifest_id = own
           AND digest = ANY (ARRAY(SELECT digest FROM manifest_missing_references WHERE manifest_id = own
                                    ORDER BY digest LIMIT p_limit));
        DELETE FROM tags
         WHERE manifest_id = own
           AND name = ANY (ARRAY(SELECT name FROM tags WHERE manifest_id = own ORDER BY name LIMIT p_limit));
        RETURN;
      END IF;
      chosen := chosen || own;
      deleted := deleted + n + 1;
    END LOOP;
    DELETE FROM manifests WHERE id = ANY (chosen);
    GET DIAGNOSTICS purged = ROW_COUNT;
  END $$`;

/**
 * Deletes manifests of deletions that are being purged, except of repositories, from the position that the
 * last call returned: by the id of the deletion, then from the newest manifest to the oldest, since an index
 * is newer than its children. Deletions without manifests end. At the end, `p_deletion` is null.
 *
 * Looks at up to 100 deletions and 100 manifests, and fewer if they have many references. The deletions of a
 * call are either all purged by an operator, or none is: `berth.skip_windows` applies to all of them.
 */
const PURGE_DELETIONS = `
  CREATE FUNCTION purge_deletions(
    p_limit integer, INOUT p_deletion bigint, INOUT p_manifest bigint,
    OUT looked integer, OUT purged integer, OUT ended integer
  ) ${AS_COLLECTOR} AS $$
  DECLARE
    own record;
    size integer := least(p_limit, 100);
    is_requested boolean;
    deletion_ids bigint[] := '{}';
    deletions_of bigint[] := '{}';
    locked bigint[] := '{}';
    ids bigint[];
    allowed bigint[];
    at integer;
  BEGIN
    looked := 0;
    purged := 0;
    ended := 0;
    FOR own IN SELECT id, purge_requested_at FROM deletions
                WHERE state = 'purging' AND followed AND kind <> 'repository' AND id >= p_deletion
                ORDER BY id LIMIT size FOR UPDATE SKIP LOCKED
    LOOP
      is_requested := coalesce(is_requested, own.purge_requested_at IS NOT NULL);
      EXIT WHEN is_requested <> (own.purge_requested_at IS NOT NULL);
      SELECT array_agg(id ORDER BY id DESC) INTO ids
        FROM (SELECT id FROM manifests
               WHERE deletion_id = own.id AND (own.id > p_deletion OR p_manifest IS NULL OR id < p_manifest)
               ORDER BY id DESC LIMIT size - cardinality(locked) FOR UPDATE SKIP LOCKED) AS m;
      deletion_ids := deletion_ids || own.id;
      IF ids IS NOT NULL THEN
        locked := locked || ids;
        deletions_of := deletions_of || array_fill(own.id, ARRAY[cardinality(ids)]);
      END IF;
      EXIT WHEN cardinality(locked) >= size;
    END LOOP;
    looked := cardinality(locked) + cardinality(deletion_ids);
    IF looked = 0 THEN p_deletion := NULL; RETURN; END IF;

    SELECT array_agg(l.id ORDER BY l.n) INTO allowed
      FROM unnest(locked) WITH ORDINALITY AS l (id, n)
     CROSS JOIN LATERAL (SELECT FROM purgeable_manifests WHERE id = l.id OFFSET 0) AS m;
    PERFORM set_config('berth.skip_windows', CASE WHEN is_requested THEN 'on' ELSE '' END, true);
    SELECT p.purged INTO purged FROM purge_manifests(allowed, p_limit) AS p;
    PERFORM set_config('berth.skip_windows', '', true);

    UPDATE deletions SET state = 'purged', ended_at = now()
     WHERE id = ANY (deletion_ids)
       AND NOT EXISTS (SELECT FROM manifests AS m WHERE m.deletion_id = deletions.id OFFSET 0);
    GET DIAGNOSTICS ended = ROW_COUNT;

    IF purged < coalesce(cardinality(allowed), 0) THEN
      -- Continues with the first that is left.
      at := array_position(locked, allowed[purged + 1]);
      p_deletion := deletions_of[at];
      p_manifest := locked[at] + 1;
    ELSIF cardinality(locked) >= size THEN
      p_deletion := deletions_of[cardinality(locked)];
      p_manifest := locked[cardinality(locked)];
    ELSE
      p_deletion := deletion_ids[cardinality(deletion_ids)] + 1;
      p_manifest := NULL;
    END IF;
  END $$`;

/** The ids of up to `p_limit` deletions of repositories that are being purged, after `p_after`. */
const PURGING_REPOSITORIES = `
  CREATE FUNCTION purging_repositories(p_after bigint, p_limit integer)
  RETURNS SETOF bigint ${AS_COLLECTOR} AS $$
  BEGIN
    RETURN QUERY SELECT id FROM deletions WHERE state = 'purging' AND kind = 'repository' AND id > p_after
                  ORDER BY id LIMIT p_limit;
  END $$`;

/**
 * Does one step of purging a deleted repository: ends other deletions of it, then deletes up to 100
 * manifests, then links, then events, and at last its row. Returns how many rows it changed, and how many
 * manifests it deleted. 0 if it can't go on now, or has ended: then `is_over` is set.
 */
const PURGE_REPOSITORY = `
  CREATE FUNCTION purge_repository(
    p_deletion bigint, p_limit integer, OUT changed integer, OUT purged integer, OUT is_over boolean
  ) ${AS_COLLECTOR} AS $$
  DECLARE
    own bigint;
    own_request timestamptz;
    ids bigint[];
  BEGIN
    changed := 0;
    purged := 0;
    is_over := false;
    SELECT purge_requested_at INTO own_request FROM deletions
     WHERE id = p_deletion AND state = 'purging' AND kind = 'repository' FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN RETURN; END IF;
    SELECT id INTO own FROM repositories
     WHERE deletion_id = p_deletion AND name IS NULL FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
      IF EXISTS (SELECT FROM repositories WHERE deletion_id = p_deletion AND name IS NULL) THEN
        RETURN;
      END IF;
    ELSE
      PERFORM set_config('berth.skip_windows', CASE WHEN own_request IS NULL THEN '' ELSE 'on' END, true);
      UPDATE deletions SET repository_id = NULL, followed = true, ended_at = coalesce(ended_at, now()),
                           state = CASE state WHEN 'restored' THEN state ELSE 'purged' END
       WHERE id = ANY (ARRAY(SELECT id FROM deletions WHERE repository_id = own AND id <> p_deletion
                              LIMIT p_limit FOR UPDATE SKIP LOCKED));
      GET DIAGNOSTICS changed = ROW_COUNT;
      IF changed > 0 THEN RETURN; END IF;

      SELECT array_agg(id) INTO ids
        FROM (SELECT id FROM manifests WHERE repository_id = own
               ORDER BY digest LIMIT least(p_limit, 100) FOR UPDATE SKIP LOCKED) AS m;
      SELECT p.purged, p.deleted INTO purged, changed FROM purge_manifests(ids, p_limit) AS p;
      IF changed > 0 OR EXISTS (SELECT FROM manifests WHERE repository_id = own) THEN RETURN; END IF;

      SELECT array_agg(blob_id) INTO ids
        FROM (SELECT blob_id FROM repository_blobs WHERE repository_id = own
               ORDER BY blob_id LIMIT p_limit FOR UPDATE SKIP LOCKED) AS link;
      DELETE FROM repository_blobs WHERE repository_id = own AND blob_id = ANY (ids);
      GET DIAGNOSTICS changed = ROW_COUNT;
      IF changed > 0 OR EXISTS (SELECT FROM repository_blobs WHERE repository_id = own) THEN RETURN; END IF;

      DELETE FROM tag_events
       WHERE id = ANY (ARRAY(SELECT id FROM tag_events WHERE repository_id = own
                              ORDER BY happened_at, id LIMIT p_limit));
      GET DIAGNOSTICS changed = ROW_COUNT;
      IF changed > 0 THEN RETURN; END IF;

      DELETE FROM repositories WHERE id = own;
    END IF;
    UPDATE deletions SET state = 'purged', ended_at = now() WHERE id = p_deletion;
    changed := 1;
    is_over := true;
  END $$`;

/**
 * Deletes up to `p_limit` rows of deletions that ended `p_seconds` ago. Their events lose the reference
 * first. Returns how many rows it changed.
 */
const PRUNE_DELETIONS = `
  CREATE FUNCTION prune_deletions(p_seconds double precision, p_limit integer)
  RETURNS integer ${AS_COLLECTOR} AS $$
  DECLARE
    old bigint[];
    changed integer;
    deleted integer;
  BEGIN
    SELECT array_agg(id) INTO old
      FROM (SELECT id FROM deletions WHERE ended_at <= now() - p_seconds * interval '1 second'
             ORDER BY ended_at LIMIT p_limit FOR UPDATE SKIP LOCKED) AS d;
    IF old IS NULL THEN RETURN 0; END IF;
    UPDATE tag_events SET deletion_id = NULL
     WHERE id = ANY (ARRAY(SELECT e.id
                             FROM unnest(old) AS d (id)
                            CROSS JOIN LATERAL (SELECT id FROM tag_events WHERE deletion_id = d.id
                                                 LIMIT p_limit) AS e
                            LIMIT p_limit));
    GET DIAGNOSTICS changed = ROW_COUNT;
    DELETE FROM deletions
     WHERE id = ANY (old)
       AND NOT EXISTS (SELECT FROM tag_events AS e WHERE e.deletion_id = deletions.id OFFSET 0)
       AND NOT EXISTS (SELECT FROM manifests AS m WHERE m.deletion_id = deletions.id OFFSET 0)
       AND NOT EXISTS (SELECT FROM repositories AS r WHERE r.deletion_id = deletions.id OFFSET 0);
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN changed + deleted;
  END $$`;

const UP = [
  SIZES_OF_LIVE,
  EXPIRE_DELETIONS,
  PURGE_MANIFESTS,
  PURGE_DELETIONS,
  PURGING_REPOSITORIES,
  PURGE_REPOSITORY,
  PRUNE_DELETIONS,
];
