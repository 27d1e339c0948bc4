import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Functions that push and delete manifests and tags. Each is called by one statement outside a transaction,
 * so its locks end with the statement, even if the replica is frozen or slow (docs/adr/0019).
 *
 * Order of locks: repository, children by id, links by blob id, the manifest, tags by name. Each statement of
 * a function sees what was committed before it started, so what is read after a lock is what the lock
 * protects.
 */
export class ManifestFunctions1764220000004 implements MigrationInterface {
  readonly name = 'ManifestFunctions1764220000004';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of [PUSH_MANIFEST, DELETE_MANIFEST, DELETE_TAG]) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const name of ['push_manifest', 'delete_manifest', 'delete_tag'])
      await queryRunner.query(`DROP FUNCTION ${name}`);
  }
}

/**
 * Stores a manifest and sets tags to it. Returns the digests that the manifest refers to and the repository
 * lacks. If there are any, nothing was changed, unless `p_accepts_missing`.
 */
export const PUSH_MANIFEST = `
  CREATE FUNCTION push_manifest(
    p_repository text, p_digest text, p_media_type text, p_artifact_type text, p_subject text,
    p_annotations json,
    p_content bytea, p_blobs text[], p_children text[], p_accepts_missing boolean, p_tags text[], p_actor text
  ) RETURNS text[] LANGUAGE plpgsql AS $$
  DECLARE
    own_repository bigint;
    own_id bigint;
    child_ids bigint[];
    blob_ids bigint[];
    found_digests text[];
    missing text[];
    new_tags text[];
  BEGIN
    SELECT id INTO own_repository FROM repositories WHERE name = p_repository FOR KEY SHARE;

    SELECT array_agg(id), array_agg(digest) INTO child_ids, found_digests
      FROM (SELECT id, digest FROM manifests
             WHERE repository_id = own_repository AND digest = ANY (p_children)
             ORDER BY id FOR KEY SHARE) AS child;
    SELECT array_agg(DISTINCT blob_id), found_digests || array_agg(digest) INTO blob_ids, found_digests
      FROM (SELECT l.blob_id, d.digest
              FROM blob_digests d
              JOIN repository_blobs l ON l.blob_id = d.blob_id AND l.repository_id = own_repository
             WHERE d.digest = ANY (p_blobs)
             ORDER BY l.blob_id FOR KEY SHARE OF l) AS link;

    SELECT coalesce(array_agg(wanted.digest ORDER BY n), '{}') INTO missing
      FROM unnest(p_blobs || p_children) WITH ORDINALITY AS wanted (digest, n)
     WHERE NOT EXISTS (
       SELECT FROM unnest(found_digests) AS present (digest) WHERE present.digest = wanted.digest);
    IF missing <> '{}' AND NOT p_accepts_missing THEN
      RETURN missing;
    END IF;

    IF own_repository IS NULL THEN
      -- Of two that make it at once the second one waits here, and gets the row of the first one.
      INSERT INTO repositories (name) VALUES (p_repository) ON CONFLICT (name) DO NOTHING;
      SELECT id INTO STRICT own_repository FROM repositories WHERE name = p_repository FOR KEY SHARE;
    END IF;

    -- The bytes of a manifest that is there can't differ: the digest names them.
    INSERT INTO manifests (repository_id, digest, media_type, artifact_type, subject_digest, annotations,
                           content, size_bytes, created_by)
    VALUES (own_repository, p_digest, p_media_type, p_artifact_type, p_subject, p_annotations, p_content,
            octet_length(p_content), p_actor)
        ON CONFLICT (repository_id, digest) DO UPDATE
       SET media_type = EXCLUDED.media_type, artifact_type = EXCLUDED.artifact_type
    RETURNING id INTO own_id;

    INSERT INTO manifest_blobs (manifest_id, blob_id, repository_id)
    SELECT own_id, unnest(blob_ids), own_repository ON CONFLICT DO NOTHING;
    INSERT INTO manifest_children (parent_id, child_id)
    SELECT own_id, unnest(child_ids) ON CONFLICT DO NOTHING;
    DELETE FROM manifest_missing_references WHERE manifest_id = own_id;
    INSERT INTO manifest_missing_references (manifest_id, digest)
    SELECT own_id, unnest(missing) ON CONFLICT DO NOTHING;

    -- Makes the tags that are new, and locks those that are there: a false WHERE locks, too.
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

/**
 * Deletes a manifest and its tags. Indexes that list it keep its digest as a missing reference. Returns null
 * if the repository does not exist, false if the manifest does not exist.
 */
export const DELETE_MANIFEST = `
  CREATE FUNCTION delete_manifest(p_repository text, p_digest text, p_actor text) RETURNS boolean
  LANGUAGE plpgsql AS $$
  DECLARE
    own_repository bigint;
    own_id bigint;
  BEGIN
    SELECT id INTO own_repository FROM repositories WHERE name = p_repository;
    IF NOT FOUND THEN RETURN NULL; END IF;
    SELECT id INTO own_id
      FROM manifests WHERE repository_id = own_repository AND digest = p_digest FOR UPDATE;
    IF NOT FOUND THEN RETURN false; END IF;

    -- FOR KEY SHARE: a parent that is being deleted at the same time is waited for, and left out.
    INSERT INTO manifest_missing_references (manifest_id, digest)
    SELECT id, p_digest
      FROM (SELECT m.id FROM manifest_children c JOIN manifests m ON m.id = c.parent_id
             WHERE c.child_id = own_id AND c.parent_id <> own_id
             ORDER BY m.id FOR KEY SHARE OF m) AS parents
        ON CONFLICT DO NOTHING;

    -- The lock on the manifest prevents new tags on it. Wait for tags that are being moved, and skip them.
    PERFORM FROM tags WHERE manifest_id = own_id ORDER BY name FOR UPDATE;
    WITH gone AS (DELETE FROM tags WHERE manifest_id = own_id RETURNING name)
    INSERT INTO tag_events (repository_id, tag, from_digest, to_digest, actor)
    SELECT own_repository, name, p_digest, NULL, p_actor FROM gone;

    DELETE FROM manifests WHERE id = own_id;
    RETURN true;
  END $$`;

/** Deletes a tag. Returns null if the repository does not exist, false if the tag does not exist. */
export const DELETE_TAG = `
  CREATE FUNCTION delete_tag(p_repository text, p_tag text, p_actor text) RETURNS boolean
  LANGUAGE plpgsql AS $$
  DECLARE
    own_repository bigint;
    pointed_at bigint;
  BEGIN
    SELECT id INTO own_repository FROM repositories WHERE name = p_repository;
    IF NOT FOUND THEN RETURN NULL; END IF;
    SELECT manifest_id INTO pointed_at
      FROM tags WHERE repository_id = own_repository AND name = p_tag FOR UPDATE;
    IF NOT FOUND THEN RETURN false; END IF;
    DELETE FROM tags WHERE repository_id = own_repository AND name = p_tag;
    INSERT INTO tag_events (repository_id, tag, from_digest, to_digest, actor)
    SELECT own_repository, p_tag, digest, NULL, p_actor FROM manifests WHERE id = pointed_at;
    RETURN true;
  END $$`;
