import type { MigrationInterface, QueryRunner } from 'typeorm';
import { PUSH_MANIFEST } from './1764220000004-manifest-functions.js';
import { PUT_MANIFEST } from './1764360000004-put-manifest-function.js';

/**
 * A push sees live manifests and links that are not hidden, and revives what is deleted: its own row, and
 * children that the collector deleted (docs/adr/0029). `put_manifest` keeps its parameters, and
 * `push_manifest`, which the oldest replicas call, calls it.
 */
export class RevivingPushes1764510000001 implements MigrationInterface {
  readonly name = 'RevivingPushes1764510000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await queryRunner.query(statement);
  }
}

/**
 * Locks these manifests and all below them, live ones too, by id. Returns their ids. LATERAL forces lookups
 * by index, whatever the planner estimates.
 */
const LOCK_IMAGES = `
  CREATE FUNCTION lock_images(p_ids bigint[]) RETURNS bigint[]
  LANGUAGE plpgsql SET enable_seqscan = off AS $$
  DECLARE
    images bigint[];
  BEGIN
    WITH RECURSIVE image (id) AS (
      SELECT unnest(p_ids)
       UNION
      SELECT c.child_id
        FROM image i
       CROSS JOIN LATERAL (SELECT child_id FROM manifest_children WHERE parent_id = i.id OFFSET 0) AS c)
    SELECT array_agg(id ORDER BY id) INTO images FROM image;
    PERFORM FROM unnest(images) AS image (id)
     CROSS JOIN LATERAL (SELECT FROM manifests WHERE id = image.id FOR NO KEY UPDATE) AS manifest;
    RETURN images;
  END $$`;

/**
 * Which of these deleted manifests can't be revived: they, or manifests below them, are part of a deletion
 * that is being purged, or whose purge was requested. So manifests below them may be gone. Locks first: what
 * is whole now stays so.
 */
const IMAGES_BEING_PURGED = `
  CREATE FUNCTION images_being_purged(p_ids bigint[]) RETURNS bigint[]
  LANGUAGE plpgsql SET enable_seqscan = off AS $$
  BEGIN
    PERFORM lock_images(p_ids);
    RETURN ARRAY(
      WITH RECURSIVE image (top, id) AS (
        SELECT id, id FROM unnest(p_ids) AS id
         UNION
        SELECT i.top, c.child_id
          FROM image i
         CROSS JOIN LATERAL (SELECT child_id FROM manifest_children WHERE parent_id = i.id OFFSET 0) AS c)
      SELECT DISTINCT i.top
        FROM image i
       CROSS JOIN LATERAL (SELECT deletion_id FROM manifests WHERE id = i.id OFFSET 0) AS m
       CROSS JOIN LATERAL (SELECT FROM deletions
                            WHERE id = m.deletion_id AND state IN ('purging', 'purged') OFFSET 0) AS d);
  END $$`;

/**
 * Makes deleted manifests live, and the deleted manifests below them, whatever deleted these. Their links are
 * no longer hidden. Tags don't come back.
 *
 * Locks all these manifests by id, and then their links by repository and blob, before it looks at them. So a
 * deletion of a manifest or a link at the same time comes first and is undone, or waits and is refused.
 */
const REVIVE_MANIFESTS = `
  CREATE FUNCTION revive_manifests(p_ids bigint[]) RETURNS void
  LANGUAGE plpgsql SET enable_seqscan = off AS $$
  DECLARE
    images bigint[] := lock_images(p_ids);
    revived bigint[];
  BEGIN
    WITH changed AS (
      UPDATE manifests m SET deletion_id = NULL, is_follower = false, pushed_at = now()
        FROM (SELECT unnest(images) AS id OFFSET 0) AS image
       WHERE m.id = image.id AND m.deletion_id IS NOT NULL
      RETURNING m.id)
    SELECT array_agg(id) INTO revived FROM changed;

    PERFORM FROM (SELECT DISTINCT r.repository_id, r.blob_id
                    FROM unnest(revived) AS manifest (id)
                   CROSS JOIN LATERAL (SELECT repository_id, blob_id FROM manifest_blobs
                                        WHERE manifest_id = manifest.id OFFSET 0) AS r
                   ORDER BY r.repository_id, r.blob_id) AS needed
     CROSS JOIN LATERAL (SELECT FROM repository_blobs
                          WHERE repository_id = needed.repository_id AND blob_id = needed.blob_id
                            FOR NO KEY UPDATE) AS link;
    UPDATE repository_blobs AS link SET hidden_at = NULL
      FROM (SELECT r.repository_id, r.blob_id
              FROM unnest(revived) AS manifest (id)
             CROSS JOIN LATERAL (SELECT repository_id, blob_id FROM manifest_blobs
                                  WHERE manifest_id = manifest.id OFFSET 0) AS r
            OFFSET 0) AS needed
     WHERE link.repository_id = needed.repository_id AND link.blob_id = needed.blob_id
       AND link.hidden_at IS NOT NULL;
  END $$`;

/**
 * Stores a manifest and sets tags to it. Returns the digests that the manifest refers to and the repository
 * lacks, in the order of the manifest. If there are any, nothing was changed, unless `p_accepts_missing`.
 *
 * A child is a manifest of the repository, or else a blob of it: caches of BuildKit list layers in an index.
 * References to blobs are rows of `manifest_blobs` in both cases. A child that the collector deleted, because
 * nothing held it, is revived, unless it is being purged. A child that a request deleted is missing, like a
 * blob whose link is hidden.
 *
 * A manifest may have more than 100,000 references, and statistics may be older than most rows of a table.
 * So the plans don't depend on them: LATERAL forces one index lookup per reference, and lists are compared by
 * grouping them, because a join could be a nested loop. `enable_seqscan` also applies to the checks of
 * foreign keys, whose plans are cached.
 *
 * Order of locks: repository, children by id, links by blob id, what is revived, the manifest, tags by name.
 * Each statement sees what was committed before it started, so what is read after a lock is what the lock
 * protects.
 */
const REVIVING_PUT_MANIFEST = `
  CREATE OR REPLACE FUNCTION put_manifest(
    p_repository text, p_digest text, p_media_type text, p_artifact_type text, p_subject text,
    p_annotations json, p_content bytea, p_blobs text[], p_children text[], p_accepts_missing boolean,
    p_tags text[], p_actor text
  ) RETURNS text[] LANGUAGE plpgsql SET enable_seqscan = off SET berth.image_sizes = 'set' AS $$
  DECLARE
    own_repository bigint;
    own_id bigint;
    own_size bigint;
    stored_size bigint;
    child_ids bigint[];
    deleted_ids bigint[];
    purged_ids bigint[];
    found_children text[];
    blob_ids bigint[];
    found_blobs text[];
    missing text[];
    new_tags text[];
  BEGIN
    SELECT id INTO own_repository FROM repositories WHERE name = p_repository FOR KEY SHARE;

    SELECT array_agg(child.id), array_agg(child.digest), array_agg(child.id) FILTER (WHERE child.is_deleted)
      INTO child_ids, found_children, deleted_ids
      FROM (SELECT m.id
              FROM unnest(p_children) AS wanted (digest)
             CROSS JOIN LATERAL (SELECT id FROM manifests
                                  WHERE repository_id = own_repository AND digest = wanted.digest COLLATE "C"
                                  LIMIT 1) AS m
             ORDER BY m.id) AS found
     CROSS JOIN LATERAL (SELECT id, digest, deletion_id IS NOT NULL AS is_deleted FROM manifests
                          WHERE id = found.id AND (deletion_id IS NULL OR is_follower)
                            FOR KEY SHARE) AS child;

    IF deleted_ids IS NOT NULL THEN
      purged_ids := images_being_purged(deleted_ids);
      IF purged_ids <> '{}' THEN
        SELECT array_agg(m.id), array_agg(m.digest), array_agg(m.id) FILTER (WHERE m.deletion_id IS NOT NULL)
          INTO child_ids, found_children, deleted_ids
          FROM (SELECT unnest(child_ids) EXCEPT SELECT unnest(purged_ids)) AS kept (id)
         CROSS JOIN LATERAL (SELECT id, digest, deletion_id FROM manifests WHERE id = kept.id OFFSET 0) AS m;
      END IF;
    END IF;

    SELECT array_agg(DISTINCT link.blob_id), array_agg(found.digest) INTO blob_ids, found_blobs
      FROM (SELECT d.blob_id, wanted.digest
              FROM (SELECT unnest(p_blobs)
                     UNION ALL
                    (SELECT unnest(p_children) EXCEPT SELECT unnest(found_children))) AS wanted (digest)
             CROSS JOIN LATERAL (SELECT blob_id FROM blob_digests
                                  WHERE digest = wanted.digest COLLATE "C" LIMIT 1) AS d
             ORDER BY d.blob_id) AS found
     CROSS JOIN LATERAL (SELECT blob_id FROM repository_blobs
                          WHERE repository_id = own_repository AND blob_id = found.blob_id
                            AND hidden_at IS NULL FOR KEY SHARE) AS link;

    missing := '{}';
    IF coalesce(cardinality(found_children), 0) + coalesce(cardinality(found_blobs), 0)
        < cardinality(p_blobs) + cardinality(p_children) THEN
      SELECT coalesce(array_agg(digest ORDER BY n), '{}') INTO missing
        FROM (SELECT digest, min(n) AS n
                FROM (SELECT wanted.digest, n
                        FROM unnest(p_blobs || p_children) WITH ORDINALITY AS wanted (digest, n)
                       UNION ALL
                      SELECT unnest(found_children || found_blobs), NULL) AS reference
               GROUP BY digest HAVING bool_and(n IS NOT NULL)) AS absent;
      IF missing <> '{}' AND NOT p_accepts_missing THEN RETURN missing; END IF;
    END IF;

    WHILE own_repository IS NULL LOOP
      -- If another statement inserts it at the same time, this one waits and reads that row. If another one
      -- deletes that repository in between, this one inserts a new one.
      INSERT INTO repositories (name) VALUES (p_repository) ON CONFLICT (name) DO NOTHING;
      SELECT id INTO own_repository FROM repositories WHERE name = p_repository FOR KEY SHARE;
    END LOOP;

    IF deleted_ids IS NOT NULL THEN PERFORM revive_manifests(deleted_ids); END IF;
    own_size := image_size(child_ids, blob_ids);

    -- The bytes of an existing manifest are equal: the digest identifies them. A deleted one becomes live
    -- again, as if it were new.
    INSERT INTO manifests AS own (repository_id, digest, media_type, artifact_type, subject_digest,
                                  annotations, content, size_bytes, image_size_bytes, created_by)
    VALUES (own_repository, p_digest, p_media_type, p_artifact_type, p_subject, p_annotations, p_content,
            octet_length(p_content), own_size, p_actor)
        ON CONFLICT (repository_id, digest) DO UPDATE
       SET media_type = EXCLUDED.media_type, artifact_type = EXCLUDED.artifact_type,
           deletion_id = NULL, is_follower = false, pushed_at = now(),
           created_at = CASE WHEN own.deletion_id IS NULL THEN own.created_at ELSE EXCLUDED.created_at END,
           created_by = CASE WHEN own.deletion_id IS NULL THEN own.created_by ELSE EXCLUDED.created_by END,
           client_address = CASE WHEN own.deletion_id IS NULL THEN own.client_address
                                 ELSE EXCLUDED.client_address END
    RETURNING id, image_size_bytes INTO own_id, stored_size;

    INSERT INTO manifest_blobs (manifest_id, blob_id, repository_id)
    SELECT own_id, unnest(blob_ids), own_repository ON CONFLICT DO NOTHING;
    INSERT INTO manifest_children (parent_id, child_id)
    SELECT own_id, unnest(child_ids) ON CONFLICT DO NOTHING;
    IF missing <> '{}' THEN
      -- What it referred to before it was deleted, and what was deleted since.
      DELETE FROM manifest_blobs AS r
       USING (SELECT blob_id FROM manifest_blobs WHERE manifest_id = own_id
              EXCEPT SELECT unnest(blob_ids)) AS lost
       WHERE r.manifest_id = own_id AND r.blob_id = lost.blob_id;
      DELETE FROM manifest_children AS r
       USING (SELECT child_id FROM manifest_children WHERE parent_id = own_id
              EXCEPT SELECT unnest(child_ids)) AS lost
       WHERE r.parent_id = own_id AND r.child_id = lost.child_id;
    END IF;
    -- An existing manifest, and content of it that was missing until now.
    IF stored_size <> own_size THEN PERFORM set_image_sizes(ARRAY[own_id]); END IF;
    -- Nearly no manifest has any. A DELETE without rows would call a trigger.
    IF EXISTS (SELECT FROM manifest_missing_references WHERE manifest_id = own_id) THEN
      DELETE FROM manifest_missing_references WHERE manifest_id = own_id;
    END IF;
    INSERT INTO manifest_missing_references (manifest_id, repository_id, digest)
    SELECT own_id, own_repository, unnest(missing) ON CONFLICT DO NOTHING;

    -- Inserts new tags, and locks existing ones: a false WHERE locks, too.
    WITH made AS (
      INSERT INTO tags (repository_id, name, manifest_id, updated_by)
      SELECT own_repository, name, own_id, p_actor
        FROM (SELECT DISTINCT name COLLATE "C" AS name FROM unnest(p_tags) AS name ORDER BY 1) AS wanted
          ON CONFLICT (repository_id, name) DO UPDATE SET manifest_id = EXCLUDED.manifest_id WHERE false
      RETURNING name)
    SELECT array_agg(name) INTO new_tags FROM made;

    WITH moved AS (
      SELECT t.name AS tag, (SELECT m.digest FROM manifests m WHERE m.id = t.manifest_id) AS from_digest
        FROM tags t
       WHERE t.repository_id = own_repository AND t.name = ANY (p_tags) AND t.manifest_id <> own_id),
    move AS (
      UPDATE tags SET manifest_id = own_id, updated_at = now(), updated_by = p_actor
       WHERE repository_id = own_repository AND name = ANY (p_tags) AND manifest_id <> own_id)
    INSERT INTO tag_events (repository_id, tag, from_digest, to_digest, actor)
    SELECT own_repository, tag, from_digest, p_digest, p_actor FROM moved
     UNION ALL
    SELECT own_repository, unnest(new_tags), NULL, p_digest, p_actor;

    RETURN missing;
  END $$`;

const REVIVING_PUSH_MANIFEST = `
  CREATE OR REPLACE FUNCTION push_manifest(
    p_repository text, p_digest text, p_media_type text, p_artifact_type text, p_subject text,
    p_annotations json, p_content bytea, p_blobs text[], p_children text[], p_accepts_missing boolean,
    p_tags text[], p_actor text
  ) RETURNS text[] LANGUAGE plpgsql AS $$
  BEGIN
    RETURN put_manifest(p_repository, p_digest, p_media_type, p_artifact_type, p_subject, p_annotations,
                        p_content, p_blobs, p_children, p_accepts_missing, p_tags, p_actor);
  END $$`;

const UP = [
  LOCK_IMAGES,
  IMAGES_BEING_PURGED,
  REVIVE_MANIFESTS,
  REVIVING_PUT_MANIFEST,
  REVIVING_PUSH_MANIFEST,
];

const replacing = (created: string) => created.replace('CREATE FUNCTION', 'CREATE OR REPLACE FUNCTION');

const DOWN = [
  replacing(PUSH_MANIFEST),
  replacing(PUT_MANIFEST),
  'DROP FUNCTION revive_manifests, images_being_purged, lock_images',
];
