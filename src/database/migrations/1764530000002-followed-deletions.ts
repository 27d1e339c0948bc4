import type { MigrationInterface, QueryRunner } from 'typeorm';
import { AS_COLLECTOR } from './1764530000001-collected-links-and-blobs.js';

/** The stage of a collection that extends a deletion to the manifests that nothing else holds. */
export class FollowedDeletions1764530000002 implements MigrationInterface {
  readonly name = 'FollowedDeletions1764530000002';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of [UNFOLLOWED_DELETIONS, DELETE_FOLLOWERS, DELETE_FOLLOWING_TAGS, FOLLOW_DELETION])
      await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      'DROP FUNCTION follow_deletion, delete_following_tags, delete_followers, unfollowed_deletions',
    );
  }
}

/** The ids of up to `p_limit` deletions that are not followed, after `p_after`. */
const UNFOLLOWED_DELETIONS = `
  CREATE FUNCTION unfollowed_deletions(p_after bigint, p_limit integer)
  RETURNS SETOF bigint ${AS_COLLECTOR} AS $$
  BEGIN
    RETURN QUERY SELECT id FROM deletions WHERE NOT followed AND id > p_after ORDER BY id LIMIT p_limit;
  END $$`;

/**
 * Deletes those of the manifests that nothing holds, as followers of a deletion. Returns how many, and how
 * many it could not lock. What was pushed or restored after the deletion stays.
 *
 * A tag, an index or a missing reference that is being written holds a lock on the manifest, or waits for
 * this one and then revives the follower.
 */
const DELETE_FOLLOWERS = `
  CREATE FUNCTION delete_followers(
    p_deletion bigint, p_manifests bigint[], OUT deleted integer, OUT busy integer
  ) ${AS_COLLECTOR} AS $$
  DECLARE
    existing bigint[];
    locked bigint[];
  BEGIN
    deleted := 0;
    busy := 0;
    SELECT array_agg(m.id) INTO existing
      FROM (SELECT DISTINCT unnest(p_manifests) AS id) AS wanted
     CROSS JOIN LATERAL (SELECT id FROM live_manifests WHERE id = wanted.id OFFSET 0) AS m;
    IF existing IS NULL THEN RETURN; END IF;
    SELECT array_agg(m.id) INTO locked
      FROM unnest(existing) AS wanted (id)
     CROSS JOIN LATERAL (SELECT id FROM live_manifests WHERE id = wanted.id FOR UPDATE SKIP LOCKED) AS m;
    busy := cardinality(existing) - coalesce(cardinality(locked), 0);

    UPDATE manifests SET deletion_id = p_deletion, is_follower = true
     WHERE id = ANY (ARRAY(SELECT m.id
                             FROM unnest(locked) AS l (id)
                            CROSS JOIN LATERAL (SELECT id, pushed_at FROM unheld_manifests
                                                 WHERE id = l.id OFFSET 0) AS m
                            WHERE m.pushed_at <= (SELECT deleted_at FROM deletions WHERE id = p_deletion)));
    GET DIAGNOSTICS deleted = ROW_COUNT;
  END $$`;

/**
 * Deletes the tags of the referrers tag schema and of cosign that stand for a deleted manifest: `p_tag`, and
 * `p_tag` with a suffix. Returns what they pointed at, and how many it looked at, deleted and could not lock.
 * A tag that was set after the deletion, also to the manifest that it had, stays.
 */
const DELETE_FOLLOWING_TAGS = `
  CREATE FUNCTION delete_following_tags(
    p_deletion bigint, p_repository bigint, p_tag text,
    OUT looked integer, OUT deleted integer, OUT busy integer, OUT manifests bigint[]
  ) ${AS_COLLECTOR} AS $$
  DECLARE
    deletion deletions;
    wanted text[];
    locked text[];
    gone text[];
  BEGIN
    SELECT array_agg(t.name) INTO wanted
      FROM unnest(ARRAY['', '.sig', '.att', '.sbom']) AS suffix
     CROSS JOIN LATERAL (SELECT name FROM tags
                          WHERE repository_id = p_repository AND name = (p_tag || suffix) COLLATE "C"
                         OFFSET 0) AS t;
    looked := coalesce(cardinality(wanted), 0);
    deleted := 0;
    busy := 0;
    IF looked = 0 THEN RETURN; END IF;
    SELECT array_agg(t.name) INTO locked
      FROM unnest(wanted) AS w (name)
     CROSS JOIN LATERAL (SELECT name FROM tags
                          WHERE repository_id = p_repository AND name = w.name COLLATE "C"
                            FOR UPDATE SKIP LOCKED) AS t;
    busy := looked - coalesce(cardinality(locked), 0);

    SELECT * INTO deletion FROM deletions WHERE id = p_deletion;
    SELECT array_agg(t.name), array_agg(t.manifest_id) INTO gone, manifests
      FROM unnest(locked) AS l (name)
     CROSS JOIN LATERAL (SELECT name, manifest_id, updated_at FROM tags
                          WHERE repository_id = p_repository AND name = l.name COLLATE "C" OFFSET 0) AS t
     CROSS JOIN LATERAL (SELECT pushed_at FROM live_manifests WHERE id = t.manifest_id OFFSET 0) AS m
     WHERE greatest(t.updated_at, m.pushed_at) <= deletion.deleted_at;
    deleted := coalesce(cardinality(gone), 0);
    WITH deleted_tag AS (
      DELETE FROM tags WHERE repository_id = p_repository AND name = ANY (gone) RETURNING name, manifest_id)
    INSERT INTO tag_events (repository_id, tag, from_digest, to_digest, actor, deletion_id)
    SELECT p_repository, t.name, (SELECT m.digest FROM live_manifests AS m WHERE m.id = t.manifest_id), NULL,
           deletion.actor, p_deletion
      FROM deleted_tag AS t;
  END $$`;

/**
 * Looks at what up to `p_limit` references of the deletion's manifests lead to, from the position that the
 * last call returned, and deletes what nothing else holds:
 *
 * 1. the children of an index
 * 2. children that were pushed after their index: it has missing references to them
 * 3. referrers without a tag
 * 4. tags of the referrers tag schema, `sha256-<hex>`, and those of cosign; then what they pointed at
 *
 * What it deletes can hold more, so a pass is followed by another one until a pass finds nothing. Then the
 * deletion is `followed`, and `p_manifest` is null.
 *
 * `p_is_clean`: whether the pass has deleted nothing so far, and could lock all that it looked at.
 */
const FOLLOW_DELETION = `
  CREATE FUNCTION follow_deletion(
    p_deletion bigint, p_limit integer,
    INOUT p_manifest bigint, INOUT p_relation integer, INOUT p_key text, INOUT p_is_clean boolean,
    OUT looked integer, OUT deleted integer, OUT untagged integer
  ) ${AS_COLLECTOR} AS $$
  DECLARE
    deletion deletions;
    own record;
    seen integer := 0;
    wanted bigint[];
    last_key text;
    found_count integer;
    found_busy integer;
    n integer;
  BEGIN
    looked := 0;
    deleted := 0;
    untagged := 0;
    SELECT * INTO deletion FROM deletions WHERE id = p_deletion AND NOT followed FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN p_manifest := NULL; RETURN; END IF;
    IF deletion.state NOT IN ('restorable', 'purging') THEN
      UPDATE deletions SET followed = true WHERE id = p_deletion;
      p_manifest := NULL;
      RETURN;
    END IF;

    FOR own IN SELECT m.id, m.repository_id, m.digest,
                      left(split_part(m.digest, ':', 1), 32) || '-'
                        || left(split_part(m.digest, ':', 2), 64) AS tag
                 FROM manifests AS m
                WHERE m.deletion_id = p_deletion AND m.id >= p_manifest
                ORDER BY m.id LIMIT p_limit
    LOOP
      IF own.id > p_manifest THEN p_relation := 1; p_key := ''; END IF;
      p_manifest := own.id;
      seen := seen + 1;
      WHILE p_relation <= 4 LOOP
        IF looked >= p_limit THEN RETURN; END IF;
        wanted := NULL;
        n := 0;
        CASE p_relation
        WHEN 1 THEN
          SELECT array_agg(child_id), max(child_id)::text, count(*) INTO wanted, last_key, n
            FROM (SELECT child_id FROM manifest_children
                   WHERE parent_id = own.id AND child_id > coalesce(nullif(p_key, '')::bigint, 0)
                   ORDER BY child_id LIMIT p_limit - looked) AS child;
        WHEN 2 THEN
          SELECT array_agg(child.id), max(r.digest), count(*) INTO wanted, last_key, n
            FROM (SELECT digest FROM manifest_missing_references
                   WHERE manifest_id = own.id AND digest > p_key COLLATE "C"
                   ORDER BY digest LIMIT p_limit - looked) AS r
            LEFT JOIN LATERAL (SELECT id FROM manifests
                                WHERE repository_id = own.repository_id AND digest = r.digest
                               OFFSET 0) AS child ON true;
        WHEN 3 THEN
          SELECT array_agg(id), max(digest), count(*) INTO wanted, last_key, n
            FROM (SELECT id, digest FROM manifests
                   WHERE repository_id = own.repository_id AND subject_digest = own.digest
                     AND digest > p_key COLLATE "C"
                   ORDER BY digest LIMIT p_limit - looked) AS referrer;
        ELSE
          SELECT t.looked, t.manifests, t.deleted, t.busy INTO n, wanted, found_count, found_busy
            FROM delete_following_tags(p_deletion, own.repository_id, own.tag) AS t;
          untagged := untagged + found_count;
          IF found_count + found_busy > 0 THEN p_is_clean := false; END IF;
        END CASE;
        looked := looked + n;
        IF wanted IS NOT NULL THEN
          SELECT f.deleted, f.busy INTO found_count, found_busy
            FROM delete_followers(p_deletion, wanted) AS f;
          deleted := deleted + found_count;
          IF found_count + found_busy > 0 THEN p_is_clean := false; END IF;
        END IF;
        IF p_relation < 4 AND looked >= p_limit THEN p_key := last_key; RETURN; END IF;
        p_relation := p_relation + 1;
        p_key := '';
      END LOOP;
      looked := looked + 1;
      p_manifest := own.id + 1;
      p_relation := 1;
      p_key := '';
    END LOOP;

    IF seen = p_limit THEN RETURN; END IF;
    IF p_is_clean THEN
      UPDATE deletions SET followed = true WHERE id = p_deletion;
      p_manifest := NULL;
    ELSE
      p_manifest := 0;
      p_relation := 1;
      p_key := '';
      p_is_clean := true;
    END IF;
  END $$`;
