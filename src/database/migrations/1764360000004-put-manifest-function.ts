import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * `put_manifest` replaces `push_manifest`, which older replicas call: the children of an index may be blobs,
 * and the number of references is not limited. It computes the size of the image itself, instead of the
 * triggers of `ImageSizes`: then the row of a new manifest is written once.
 */
export class PutManifestFunction1764360000004 implements MigrationInterface {
  readonly name = 'PutManifestFunction1764360000004';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(PUT_MANIFEST);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP FUNCTION put_manifest');
  }
}

/**
 * Stores a manifest and sets tags to it. Returns the digests that the manifest refers to and the repository
 * lacks, in the order of the manifest. If there are any, nothing was changed, unless `p_accepts_missing`.
 *
 * A child is a manifest of the repository, or else a blob of it: caches of BuildKit list layers in an index.
 * References to blobs are rows of `manifest_blobs` in both cases.
 *
 * A manifest may have more than 100,000 references, and statistics may be older than most rows of a table.
 * So the plans don't depend on them: LATERAL forces one index lookup per reference, and lists are compared by
 * grouping them, because a join could be a nested loop. `enable_seqscan` also applies to the checks of
 * foreign keys, whose plans are cached.
 *
 * Order of locks: repository, children by id, links by blob id, the manifest, tags by name. Each statement
 * sees what was committed before it started, so what is read after a lock is what the lock protects.
 */
export const PUT_MANIFEST = `
  CREATE FUNCTION put_manifest(
    p_repository text, p_digest text, p_media_type text, p_artifact_type text, p_subject text, p_annotations json,
    p_content bytea, p_blobs text[], p_children text[], p_accepts_missing boolean, p_tags text[], p_actor text
  ) RETURNS text[] LANGUAGE plpgsql SET enable_seqscan = off SET berth.image_sizes = 'set' AS $$
  DECLARE
    own_repository bigint;
    own_id bigint;
    own_size bigint;
    stored_size bigint;
    child_ids bigint[];
    found_children text[];
    blob_ids bigint[];
    found_blobs text[];
    missing text[];
    new_tags text[];
  BEGIN
    SELECT id INTO own_repository FROM repositories WHERE name = p_repository FOR KEY SHARE;

    SELECT array_agg(child.id), array_agg(child.digest) INTO child_ids, found_children
      FROM (SELECT m.id
              FROM unnest(p_children) AS wanted (digest)
             CROSS JOIN LATERAL (SELECT id FROM manifests
                                  WHERE repository_id = own_repository AND digest = wanted.digest COLLATE "C"
                                  LIMIT 1) AS m
             ORDER BY m.id) AS found
     CROSS JOIN LATERAL (SELECT id, digest FROM manifests WHERE id = found.id FOR KEY SHARE) AS child;

    SELECT array_agg(DISTINCT link.blob_id), array_agg(found.digest) INTO blob_ids, found_blobs
      FROM (SELECT d.blob_id, wanted.digest
              FROM (SELECT unnest(p_blobs)
                     UNION ALL (SELECT unnest(p_children) EXCEPT SELECT unnest(found_children))) AS wanted (digest)
             CROSS JOIN LATERAL (SELECT blob_id FROM blob_digests
                                  WHERE digest = wanted.digest COLLATE "C" LIMIT 1) AS d
             ORDER BY d.blob_id) AS found
     CROSS JOIN LATERAL (SELECT blob_id FROM repository_blobs
                          WHERE repository_id = own_repository AND blob_id = found.blob_id FOR KEY SHARE) AS link;

    missing := '{}';
    IF coalesce(cardinality(found_children), 0) + coalesce(cardinality(found_blobs), 0)
        < cardinality(p_blobs) + cardinality(p_children) THEN
      SELECT coalesce(array_agg(digest ORDER BY n), '{}') INTO missing
        FROM (SELECT digest, min(n) AS n
                FROM (SELECT wanted.digest, n FROM unnest(p_blobs || p_children) WITH ORDINALITY AS wanted (digest, n)
                       UNION ALL
                      SELECT unnest(found_children || found_blobs), NULL) AS reference
               GROUP BY digest HAVING bool_and(n IS NOT NULL)) AS absent;
      IF missing <> '{}' AND NOT p_accepts_missing THEN RETURN missing; END IF;
    END IF;

    IF own_repository IS NULL THEN
      -- If another statement inserts it at the same time, this one waits and reads that row.
      INSERT INTO repositories (name) VALUES (p_repository) ON CONFLICT (name) DO NOTHING;
      SELECT id INTO STRICT own_repository FROM repositories WHERE name = p_repository FOR KEY SHARE;
    END IF;

    own_size := image_size(child_ids, blob_ids);

    -- The bytes of an existing manifest are equal: the digest identifies them.
    INSERT INTO manifests (repository_id, digest, media_type, artifact_type, subject_digest, annotations, content,
                           size_bytes, image_size_bytes, created_by)
    VALUES (own_repository, p_digest, p_media_type, p_artifact_type, p_subject, p_annotations, p_content,
            octet_length(p_content), own_size, p_actor)
        ON CONFLICT (repository_id, digest) DO UPDATE
       SET media_type = EXCLUDED.media_type, artifact_type = EXCLUDED.artifact_type
    RETURNING id, image_size_bytes INTO own_id, stored_size;

    INSERT INTO manifest_blobs (manifest_id, blob_id, repository_id)
    SELECT own_id, unnest(blob_ids), own_repository ON CONFLICT DO NOTHING;
    INSERT INTO manifest_children (parent_id, child_id)
    SELECT own_id, unnest(child_ids) ON CONFLICT DO NOTHING;
    -- An existing manifest, and content of it that was missing until now.
    IF stored_size <> own_size THEN PERFORM set_image_sizes(ARRAY[own_id]); END IF;
    DELETE FROM manifest_missing_references WHERE manifest_id = own_id;
    INSERT INTO manifest_missing_references (manifest_id, digest)
    SELECT own_id, unnest(missing) ON CONFLICT DO NOTHING;

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
