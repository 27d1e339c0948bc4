import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The stages of a collection that delete links and blobs. */
export class CollectedLinksAndBlobs1764530000001 implements MigrationInterface {
  readonly name = 'CollectedLinksAndBlobs1764530000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of [COLLECT_LINKS, COLLECT_BLOBS]) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP FUNCTION collect_blobs, collect_links');
  }
}

/**
 * Settings of each function of the collector. It never waits for requests: it skips rows that they have
 * locked, and any other wait ends its batch after half a second, before Postgres looks for a deadlock. Each
 * row is found by index, whatever the planner estimates.
 */
export const AS_COLLECTOR = `LANGUAGE plpgsql SET lock_timeout = '500ms'
  SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off`;

/**
 * Looks at up to `p_limit` links that have been candidates for `p_grace_seconds`, after the position that the
 * last call returned: deletes those that nothing needs, and takes the date of the others away.
 *
 * Locks first, then looks in statements of their own: each sees what was committed before it began, and a
 * request that refers to a link locks it before.
 */
const COLLECT_LINKS = `
  CREATE FUNCTION collect_links(
    p_grace_seconds double precision, p_limit integer,
    INOUT p_since timestamptz, INOUT p_repository bigint, INOUT p_blob bigint,
    OUT looked integer, OUT deleted integer
  ) ${AS_COLLECTOR} AS $$
  DECLARE
    since timestamptz[];
    repositories bigint[];
    blobs bigint[];
    unneeded_repositories bigint[];
    unneeded_blobs bigint[];
  BEGIN
    deleted := 0;
    SELECT array_agg(candidate_since ORDER BY candidate_since, repository_id, blob_id),
           array_agg(repository_id ORDER BY candidate_since, repository_id, blob_id),
           array_agg(blob_id ORDER BY candidate_since, repository_id, blob_id)
      INTO since, repositories, blobs
      FROM (SELECT candidate_since, repository_id, blob_id
              FROM repository_blobs
             WHERE candidate_since <= now() - p_grace_seconds * interval '1 second'
               AND (candidate_since, repository_id, blob_id) > (p_since, p_repository, p_blob)
             ORDER BY candidate_since, repository_id, blob_id LIMIT p_limit FOR UPDATE SKIP LOCKED) AS locked;
    looked := coalesce(cardinality(blobs), 0);
    IF looked = 0 THEN RETURN; END IF;
    p_since := since[looked];
    p_repository := repositories[looked];
    p_blob := blobs[looked];

    SELECT array_agg(link.repository_id), array_agg(link.blob_id) INTO unneeded_repositories, unneeded_blobs
      FROM unnest(repositories, blobs) AS locked (repository_id, blob_id)
     CROSS JOIN LATERAL (SELECT repository_id, blob_id FROM unneeded_links
                          WHERE repository_id = locked.repository_id AND blob_id = locked.blob_id
                         OFFSET 0) AS link;

    DELETE FROM repository_blobs AS link
     USING unnest(unneeded_repositories, unneeded_blobs) AS unneeded (repository_id, blob_id)
     WHERE link.repository_id = unneeded.repository_id AND link.blob_id = unneeded.blob_id;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    -- Those that remain.
    UPDATE repository_blobs AS link SET candidate_since = NULL
      FROM unnest(repositories, blobs) AS locked (repository_id, blob_id)
     WHERE link.repository_id = locked.repository_id AND link.blob_id = locked.blob_id;
  END $$`;

/**
 * Like `collect_links`, for blobs. The keys of their objects go into `object_deletions`, to be deleted after
 * `p_read_window_seconds`, when pulls that have begun are over. So do keys of objects that were displaced.
 *
 * A blob's digests go with it, so that the same content is a new blob when it is pushed again. Returns the
 * sum of the sizes.
 */
const COLLECT_BLOBS = `
  CREATE FUNCTION collect_blobs(
    p_read_window_seconds double precision, p_limit integer,
    INOUT p_since timestamptz, INOUT p_blob bigint,
    OUT looked integer, OUT deleted integer, OUT bytes bigint
  ) ${AS_COLLECTOR} AS $$
  DECLARE
    since timestamptz[];
    locked bigint[];
    unlinked bigint[];
  BEGIN
    deleted := 0;
    bytes := 0;
    SELECT array_agg(candidate_since ORDER BY candidate_since, id), array_agg(id ORDER BY candidate_since, id)
      INTO since, locked
      FROM (SELECT candidate_since, id
              FROM blobs
             WHERE candidate_since IS NOT NULL AND (candidate_since, id) > (p_since, p_blob)
             ORDER BY candidate_since, id LIMIT p_limit FOR UPDATE SKIP LOCKED) AS found;
    looked := coalesce(cardinality(locked), 0);
    IF looked = 0 THEN RETURN; END IF;
    p_since := since[looked];
    p_blob := locked[looked];

    SELECT array_agg(blob.id), coalesce(sum(blob.size_bytes), 0) INTO unlinked, bytes
      FROM unnest(locked) AS l (id)
     CROSS JOIN LATERAL (SELECT id, size_bytes FROM unlinked_blobs WHERE id = l.id OFFSET 0) AS blob;

    INSERT INTO object_deletions (object_key, size_bytes, digest, due_at)
    SELECT object.object_key, blob.size_bytes, blob.digest,
           CASE WHEN blob.candidate_since = '-infinity' THEN now()
                ELSE now() + p_read_window_seconds * interval '1 second' END
      FROM unnest(unlinked) AS u (id)
     CROSS JOIN LATERAL (SELECT b.id, b.size_bytes, b.object_key, b.candidate_since,
                                -- The first one is that of sha256.
                                coalesce((SELECT d.digest FROM blob_digests AS d WHERE d.blob_id = b.id
                                           ORDER BY d.digest LIMIT 1), '') AS digest
                           FROM blobs AS b WHERE b.id = u.id OFFSET 0) AS blob
     CROSS JOIN LATERAL (SELECT blob.object_key
                          UNION ALL
                         SELECT d.object_key FROM displaced_objects AS d WHERE d.blob_id = blob.id) AS object
        ON CONFLICT (object_key) DO NOTHING;
    DELETE FROM displaced_objects WHERE blob_id = ANY (unlinked);
    DELETE FROM blobs WHERE id = ANY (unlinked);
    GET DIAGNOSTICS deleted = ROW_COUNT;
    -- Those that remain.
    UPDATE blobs SET candidate_since = NULL WHERE id = ANY (locked);
  END $$`;
