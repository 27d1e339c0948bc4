import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Functions that link blobs, mount them and delete their links, beside a collector that deletes links and
 * blobs which nothing needs. Each is called by one statement outside a transaction, so its locks end with the
 * statement (docs/adr/0019).
 *
 * Each statement of a function sees what was committed before it started. So a function first locks a row,
 * then reads what the lock protects in a statement of its own (docs/adr/0030).
 */
export class LinkFunctions1764520000000 implements MigrationInterface {
  readonly name = 'LinkFunctions1764520000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of [ENSURE_REPOSITORY, LINK_BLOB, MOUNT_BLOB, UNLINK_BLOB])
      await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP FUNCTION unlink_blob, mount_blob, link_blob, ensure_repository');
  }
}

/**
 * Returns the id of the repository with this name, inserted if it does not exist. It keeps its name until the
 * transaction ends.
 */
const ENSURE_REPOSITORY = `
  CREATE FUNCTION ensure_repository(p_name text) RETURNS bigint LANGUAGE plpgsql AS $$
  DECLARE
    found_id bigint;
  BEGIN
    LOOP
      SELECT id INTO found_id FROM repositories WHERE name = p_name FOR KEY SHARE;
      IF FOUND THEN RETURN found_id; END IF;
      -- If another statement inserts it at the same time, this one waits and then reads that row, unless the
      -- repository was deleted meanwhile.
      INSERT INTO repositories (name) VALUES (p_name) ON CONFLICT (name) DO NOTHING
        RETURNING id INTO found_id;
      IF FOUND THEN RETURN found_id; END IF;
    END LOOP;
  END $$`;

/**
 * Links a blob, or renews its link: if the link is a candidate for collection, its grace starts again. The
 * link can't be deleted until the transaction ends. Returns whether the repository did not have the blob.
 */
const LINK_BLOB = `
  CREATE FUNCTION link_blob(p_repository bigint, p_blob bigint) RETURNS boolean LANGUAGE plpgsql AS $$
  DECLARE
    is_new boolean;
  BEGIN
    -- A false WHERE locks the row, too. DO NOTHING would not.
    INSERT INTO repository_blobs AS link (repository_id, blob_id) VALUES (p_repository, p_blob)
        ON CONFLICT (repository_id, blob_id) DO UPDATE
       SET candidate_since = now(), hidden_at = NULL,
           created_at = CASE WHEN link.hidden_at IS NULL THEN link.created_at ELSE now() END
     WHERE link.candidate_since IS NOT NULL OR link.hidden_at IS NOT NULL
    RETURNING created_at = now() INTO is_new;
    RETURN coalesce(is_new, false);
  END $$`;

/**
 * Links a blob of one repository into another one, which is inserted if it does not exist, and records that
 * in the audit log unless the repository had the blob. Returns false, without changes, if the source lacks
 * it.
 *
 * Order of locks: the link of the source, the blob, the target, its link.
 */
const MOUNT_BLOB = `
  CREATE FUNCTION mount_blob(p_source text, p_target text, p_digest text, p_actor text) RETURNS boolean
  LANGUAGE plpgsql AS $$
  DECLARE
    found_id bigint;
  BEGIN
    SELECT l.blob_id INTO found_id
      FROM blob_digests d
      JOIN repository_blobs l
        ON l.blob_id = d.blob_id AND l.repository_id = (SELECT id FROM repositories WHERE name = p_source)
     WHERE d.digest = p_digest AND l.hidden_at IS NULL FOR KEY SHARE OF l;
    IF NOT FOUND THEN RETURN false; END IF;
    PERFORM FROM blobs WHERE id = found_id FOR KEY SHARE;

    IF link_blob(ensure_repository(p_target), found_id) THEN
      INSERT INTO audit_events (action, actor, subject, repository, after)
      VALUES ('blob.mount', p_actor, p_digest, p_target, jsonb_build_object('from', p_source));
    END IF;
    RETURN true;
  END $$`;

/**
 * Deletes the link of a blob and records that in the audit log. If only deleted manifests need it, the link
 * is hidden instead, so that they can be restored; that counts as deleted. If a live manifest needs it,
 * nothing changes and `needed_by` is the digest of one. If there is no link, nothing changes.
 *
 * Order of locks: repository, blob, link. The blob comes before the link as in a commit: deleting the link
 * updates the blob's row, by a trigger.
 */
const UNLINK_BLOB = `
  CREATE FUNCTION unlink_blob(
    p_repository text, p_digest text, p_actor text, OUT is_deleted boolean, OUT needed_by text
  ) LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off AS $$
  DECLARE
    own_repository bigint;
    own_blob bigint;
  BEGIN
    is_deleted := false;
    SELECT id INTO own_repository FROM repositories WHERE name = p_repository FOR KEY SHARE;
    SELECT b.id INTO own_blob
      FROM blob_digests d JOIN blobs b ON b.id = d.blob_id
     WHERE d.digest = p_digest FOR KEY SHARE OF b;
    PERFORM FROM repository_blobs
      WHERE repository_id = own_repository AND blob_id = own_blob AND hidden_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN RETURN; END IF;

    -- Thousands of manifests may need the blob: without a bitmap, this ends at the first live one. A
    -- reference is missing if the manifest was pushed before the blob.
    SELECT m.digest INTO needed_by
      FROM (SELECT manifest_id FROM manifest_blobs WHERE blob_id = own_blob AND repository_id = own_repository
             UNION ALL
            SELECT r.manifest_id
              FROM blob_digests d
             CROSS JOIN LATERAL (SELECT manifest_id FROM manifest_missing_references
                                  WHERE digest = d.digest AND repository_id = own_repository OFFSET 0) AS r
             WHERE d.blob_id = own_blob) AS needing
     CROSS JOIN LATERAL (SELECT digest FROM live_manifests WHERE id = needing.manifest_id LIMIT 1) AS m
     LIMIT 1;
    IF FOUND THEN RETURN; END IF;

    UPDATE repository_blobs SET hidden_at = now()
     WHERE repository_id = own_repository AND blob_id = own_blob
       AND (EXISTS (SELECT FROM manifest_blobs WHERE blob_id = own_blob AND repository_id = own_repository)
            OR EXISTS (SELECT FROM blob_digests d
                        CROSS JOIN LATERAL (SELECT FROM manifest_missing_references
                                             WHERE digest = d.digest AND repository_id = own_repository
                                             LIMIT 1) AS r
                        WHERE d.blob_id = own_blob));
    IF NOT FOUND THEN
      DELETE FROM repository_blobs WHERE repository_id = own_repository AND blob_id = own_blob;
    END IF;
    is_deleted := true;
    INSERT INTO audit_events (action, actor, subject, repository)
    VALUES ('blob.delete', p_actor, p_digest, p_repository);
  END $$`;
