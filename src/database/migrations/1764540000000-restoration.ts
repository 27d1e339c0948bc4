import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Restoring and purging deletions, and the indexes of their list. Both lock the deletion's row first and then
 * look at its state. The collector skips locked deletions, so one of them wins.
 *
 * `deletions.restoration` has the fields `actor`, `total` (manifests), `manifests` and `tags` (how many were
 * restored so far), `afterTag` (all tags up to this one were tried), `tagsNotRestored` (how many) and
 * `notRestored`: of the first of them `tag`, `reason` and, if its manifest is part of another deletion,
 * `deletionId`. That of a repository has `actor`, and `as` if it got another name.
 */
export class Restoration1764540000000 implements MigrationInterface {
  readonly name = 'Restoration1764540000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await queryRunner.query(statement);
  }
}

/** Only for use within a function. */
const NOTHING_RESTORED = 'BR001';

/** How many tags that were not restored are named. */
const MAX_NAMED = 100;

/**
 * Restores tags of a deletion, which the caller has locked, with their manifests of that time. The arrays are
 * sorted by tag. Records in `deletions.restoration` what was restored, and what was not and why.
 *
 * Order of locks: manifests by id, tags by name.
 */
const RESTORE_TAGS = `
  CREATE FUNCTION restore_tags(own deletions, wanted_tags text[], wanted_digests text[]) RETURNS void
  LANGUAGE plpgsql AS $$
  DECLARE
    ids bigint[];
    made integer;
    failed jsonb;
  BEGIN
    -- A manifest that only the collector deleted comes back with its tag, unless it is being purged.
    SELECT array_agg(DISTINCT m.id) INTO ids
      FROM unnest(wanted_digests) AS wanted (digest)
     CROSS JOIN LATERAL (SELECT id FROM manifests
                          WHERE repository_id = own.repository_id AND digest = wanted.digest COLLATE "C"
                            AND deletion_id IS NOT NULL AND is_follower) AS m;
    IF ids IS NOT NULL THEN
      PERFORM revive_manifests(ARRAY(SELECT unnest(ids) EXCEPT SELECT unnest(images_being_purged(ids))));
    END IF;

    -- A manifest can't be deleted while it is locked. What the next statement reads stays.
    PERFORM FROM (SELECT DISTINCT m.id
                    FROM unnest(wanted_digests) AS wanted (digest)
                   CROSS JOIN LATERAL (SELECT id FROM manifests
                                        WHERE repository_id = own.repository_id
                                          AND digest = wanted.digest COLLATE "C") AS m
                   ORDER BY m.id) AS found
     CROSS JOIN LATERAL (SELECT FROM manifests WHERE id = found.id FOR KEY SHARE) AS locked;
    WITH target AS (
      SELECT wanted.tag, m.id, m.digest
        FROM unnest(wanted_tags, wanted_digests) AS wanted (tag, digest)
       CROSS JOIN LATERAL (SELECT id, digest FROM manifests
                            WHERE repository_id = own.repository_id AND digest = wanted.digest COLLATE "C"
                              AND deletion_id IS NULL) AS m),
    made AS (
      INSERT INTO tags (repository_id, name, manifest_id, updated_by)
      SELECT own.repository_id, tag, id, own.restoration ->> 'actor' FROM target ORDER BY tag COLLATE "C"
          ON CONFLICT (repository_id, name) DO NOTHING
      RETURNING name)
    INSERT INTO tag_events (repository_id, tag, from_digest, to_digest, actor)
    SELECT own.repository_id, target.tag, NULL, target.digest, own.restoration ->> 'actor'
      FROM made JOIN target ON target.tag = made.name COLLATE "C";
    GET DIAGNOSTICS made = ROW_COUNT;

    SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
             'tag', wanted.tag,
             'reason', CASE WHEN held.digest IS NOT NULL THEN 'taken'
                            WHEN m.id IS NULL THEN 'purged' ELSE 'deleted' END,
             'deletionId', CASE WHEN held.digest IS NULL THEN m.deletion_id::text END))
             ORDER BY wanted.tag), '[]')
      INTO failed
      FROM unnest(wanted_tags, wanted_digests) AS wanted (tag, digest)
      LEFT JOIN LATERAL (SELECT m.digest FROM tags t JOIN manifests m ON m.id = t.manifest_id
                          WHERE t.repository_id = own.repository_id
                            AND t.name = wanted.tag COLLATE "C") AS held ON true
      LEFT JOIN LATERAL (SELECT id, deletion_id FROM manifests
                          WHERE repository_id = own.repository_id
                            AND digest = wanted.digest COLLATE "C") AS m ON true
     WHERE held.digest IS DISTINCT FROM wanted.digest;
    UPDATE deletions
       SET restoration = restoration || jsonb_build_object(
             'afterTag', wanted_tags[cardinality(wanted_tags)],
             'tags', (restoration ->> 'tags')::bigint + made,
             'tagsNotRestored', (restoration ->> 'tagsNotRestored')::bigint + jsonb_array_length(failed),
             'notRestored', jsonb_path_query_array((restoration -> 'notRestored') || failed,
                                                   '$[0 to ${MAX_NAMED - 1}]'))
     WHERE id = own.id;
  END $$`;

/**
 * Restores a part of a deletion that is being restored: at most `p_limit` manifests, or if none is left, at
 * most `p_limit` tags. Returns whether anything may be left. In the end the state is `restored`.
 *
 * Manifests come first, in the order of the index, so nothing is sorted. An index brings its children with
 * it (`revive_manifests`), so a live index always has live children.
 *
 * Order of locks: the deletion, its repository, manifests by id, tags by name.
 */
const RESTORE_BATCH = `
  CREATE FUNCTION restore_batch(p_id bigint, p_limit integer) RETURNS boolean LANGUAGE plpgsql AS $$
  DECLARE
    own deletions;
    ids bigint[];
    wanted_tags text[];
    wanted_digests text[];
  BEGIN
    SELECT * INTO own FROM deletions WHERE id = p_id AND state = 'restoring' FOR UPDATE;
    IF NOT FOUND THEN RETURN false; END IF;
    PERFORM FROM repositories WHERE id = own.repository_id FOR KEY SHARE;
    IF NOT FOUND THEN
      UPDATE deletions SET state = 'purged', ended_at = now() WHERE id = own.id;
      RETURN false;
    END IF;

    SELECT array_agg(m.id) INTO ids
      FROM (SELECT id FROM manifests WHERE deletion_id = own.id LIMIT p_limit) AS m;
    IF ids IS NOT NULL THEN
      PERFORM revive_manifests(ids);
      UPDATE deletions SET restoration = jsonb_set(restoration, '{manifests}',
               to_jsonb((restoration ->> 'manifests')::bigint + cardinality(ids)))
       WHERE id = own.id;
      RETURN true;
    END IF;

    SELECT array_agg(e.tag ORDER BY e.tag), array_agg(e.from_digest ORDER BY e.tag)
      INTO wanted_tags, wanted_digests
      FROM (SELECT DISTINCT ON (tag) tag, from_digest FROM tag_events
             WHERE deletion_id = own.id AND tag > own.restoration ->> 'afterTag'
             ORDER BY tag, id DESC LIMIT p_limit) AS e;
    IF wanted_tags IS NULL THEN
      -- Children that came back with an index of an earlier batch count, too.
      UPDATE deletions SET state = 'restored', ended_at = now(),
                           restoration = jsonb_set(restoration, '{manifests}', restoration -> 'total')
       WHERE id = own.id;
      RETURN false;
    END IF;

    PERFORM restore_tags(own, wanted_tags, wanted_digests);
    RETURN true;
  END $$`;

/**
 * Restores a deletion. A repository gets its name back, or `p_as`. What has at most `p_limit` manifests and
 * tags is restored at once. A larger deletion gets the state `restoring`; the job `restore` does the rest.
 * The deletion of a tag that can't be restored now stays as it is.
 *
 * Returns `{}`, or why it is refused: `{"refused": …}` with the fields that the error needs.
 */
const RESTORE_DELETION = `
  CREATE FUNCTION restore_deletion(
    p_id bigint, p_as text, p_undelete_seconds float8, p_limit integer, p_actor text
  ) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    own deletions;
    current_name text;
    new_name text;
    manifest_count bigint;
    tag_count bigint;
    obstacle jsonb;
  BEGIN
    SELECT * INTO own FROM deletions WHERE id = p_id FOR UPDATE;
    IF NOT FOUND THEN RETURN '{"refused": "unknown"}'; END IF;
    IF own.state <> 'restorable' THEN
      RETURN jsonb_build_object('refused', 'state', 'state', own.state);
    END IF;
    IF own.deleted_at <= now() - p_undelete_seconds * interval '1 second' THEN
      RETURN '{"refused": "late"}';
    END IF;

    IF own.kind = 'repository' THEN
      new_name := coalesce(p_as, own.repository);
      BEGIN
        UPDATE repositories SET name = new_name, deleted_name = NULL, deletion_id = NULL
         WHERE id = own.repository_id AND deletion_id = own.id;
        IF NOT FOUND THEN RETURN '{"refused": "state", "state": "purged"}'; END IF;
      EXCEPTION WHEN unique_violation THEN
        RETURN jsonb_build_object('refused', 'taken', 'name', new_name);
      END;
      current_name := new_name;
      UPDATE deletions SET state = 'restored', ended_at = now(), followed = true,
                           restoration = jsonb_build_object(
                             'actor', p_actor, 'as', nullif(p_as, own.repository))
       WHERE id = own.id;
    ELSE
      IF p_as IS NOT NULL THEN RETURN jsonb_build_object('refused', 'as', 'kind', own.kind); END IF;
      SELECT name INTO current_name FROM repositories
       WHERE id = own.repository_id AND name IS NOT NULL FOR KEY SHARE;
      IF NOT FOUND THEN
        RETURN jsonb_build_object('refused', 'repository', 'deletionId',
          (SELECT deletion_id::text FROM repositories WHERE id = own.repository_id));
      END IF;
      SELECT count(*) INTO manifest_count FROM manifests WHERE deletion_id = own.id;
      SELECT count(*) INTO tag_count FROM tag_events WHERE deletion_id = own.id;
      UPDATE deletions SET state = 'restoring', followed = true,
             restoration = jsonb_build_object(
               'actor', p_actor, 'total', manifest_count, 'manifests', 0, 'tags', 0, 'afterTag', '',
               'tagsNotRestored', 0, 'notRestored', '[]'::jsonb)
       WHERE id = own.id;
      IF greatest(manifest_count, tag_count) > p_limit THEN
        PERFORM want_job_run('restore', p_actor);
      ELSE
        BEGIN
          LOOP
            EXIT WHEN NOT restore_batch(own.id, p_limit);
          END LOOP;
          SELECT restoration -> 'notRestored' -> 0 INTO obstacle FROM deletions WHERE id = own.id;
          -- Of a tag there is nothing else to restore: undoes the above, so that it can be tried again.
          IF own.kind = 'tag' AND obstacle IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = '${NOTHING_RESTORED}';
          END IF;
        EXCEPTION WHEN SQLSTATE '${NOTHING_RESTORED}' THEN
          UPDATE deletions SET state = own.state, followed = own.followed, restoration = own.restoration
           WHERE id = own.id;
          RETURN obstacle || '{"refused": "tag"}';
        END;
      END IF;
    END IF;

    INSERT INTO audit_events (action, actor, subject, repository, after)
    VALUES ('deletion.restore', p_actor, coalesce(own.reference, current_name), current_name,
            jsonb_build_object('deletionId', own.id::text, 'kind', own.kind, 'deletedAt', own.deleted_at));
    RETURN '{}';
  END $$`;

/**
 * Asks the collector to purge a deletion without waiting for its windows, in a run that starts after this.
 * Idempotent. Refused if an index of another deletion lists one of its manifests and can still be restored:
 * it would come back incomplete.
 */
const REQUEST_PURGE = `
  CREATE FUNCTION request_purge(p_id bigint, p_undelete_seconds float8, p_actor text)
  RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    own deletions;
    needed jsonb;
  BEGIN
    SELECT * INTO own FROM deletions WHERE id = p_id FOR UPDATE;
    IF NOT FOUND THEN RETURN '{"refused": "unknown"}'; END IF;
    IF own.state NOT IN ('restorable', 'purging') THEN
      RETURN jsonb_build_object('refused', 'state', 'state', own.state);
    END IF;
    IF own.purge_requested_at IS NOT NULL THEN RETURN '{}'; END IF;

    SELECT jsonb_build_object('refused', 'needed', 'manifest', m.digest, 'index', parent.digest,
                              'deletionId', other.id::text)
      INTO needed
      FROM (SELECT id, digest FROM manifests WHERE deletion_id = own.id OFFSET 0) AS m
     CROSS JOIN LATERAL (SELECT parent_id FROM manifest_children WHERE child_id = m.id OFFSET 0) AS c
     CROSS JOIN LATERAL (SELECT digest, deletion_id FROM manifests
                          WHERE id = c.parent_id AND deletion_id <> own.id OFFSET 0) AS parent
     CROSS JOIN LATERAL (SELECT id FROM deletions
                          WHERE id = parent.deletion_id
                            AND (state = 'restoring'
                                 OR state = 'restorable'
                                    AND deleted_at > now() - p_undelete_seconds * interval '1 second')
                         OFFSET 0) AS other
     LIMIT 1;
    IF needed IS NOT NULL THEN RETURN needed; END IF;

    -- From now on it can't be restored. A deletion of a tag has nothing to delete.
    UPDATE deletions SET purge_requested_at = now(),
                         state = CASE kind WHEN 'tag' THEN 'purged' ELSE 'purging' END,
                         ended_at = CASE kind WHEN 'tag' THEN now() END
     WHERE id = own.id;
    IF own.kind <> 'tag' THEN PERFORM want_job_run('collect', p_actor); END IF;
    INSERT INTO audit_events (action, actor, subject, repository, before)
    VALUES ('deletion.purge', p_actor, coalesce(own.reference, own.repository), own.repository,
            jsonb_build_object('deletionId', own.id::text, 'kind', own.kind, 'deletedAt', own.deleted_at));
    RETURN '{}';
  END $$`;

const UP = [
  `ALTER TABLE deletions ADD COLUMN restoration jsonb`,
  `CREATE INDEX deletions_state_id_idx ON deletions (state, id)`,
  `CREATE INDEX deletions_repository_state_id_idx ON deletions (repository, state, id)`,
  RESTORE_TAGS,
  RESTORE_BATCH,
  RESTORE_DELETION,
  REQUEST_PURGE,
];

const DOWN = [
  `DROP FUNCTION request_purge, restore_deletion, restore_batch, restore_tags`,
  `DROP INDEX deletions_repository_state_id_idx, deletions_state_id_idx`,
  `ALTER TABLE deletions DROP COLUMN restoration`,
];
