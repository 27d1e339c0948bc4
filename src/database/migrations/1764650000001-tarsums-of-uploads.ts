import type { MigrationInterface, QueryRunner } from 'typeorm';
import { COMMIT_OF_STORED_CONTENT } from './1764610000000-commit-of-stored-content.js';

/**
 * A session has the tarsums that its client announced or named, and a commit makes them the blob's. The
 * parameters of the function don't change, so older replicas call this one, too.
 */
export class TarsumsOfUploads1764650000001 implements MigrationInterface {
  readonly name = 'TarsumsOfUploads1764650000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE uploads ADD COLUMN tarsums jsonb');
    await queryRunner.query(COMMIT_WITH_TARSUMS);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(COMMIT_OF_STORED_CONTENT);
    await queryRunner.query('ALTER TABLE uploads DROP COLUMN tarsums');
  }
}

/**
 * Makes the bytes of a session a blob of its repository and ends the session. If the registry has the
 * content, its blob is linked instead; if that blob still has the lost object `p_lost_key`, it gets
 * `p_object_key` in its place, and the lost object is remembered in `displaced_objects`. Without
 * `p_object_key` only existing content is linked. The session's tarsums of all its bytes are the blob's, too.
 *
 * Returns one row: `is_fenced`, and the blob with its object. Without a blob, nothing was changed.
 *
 * Idempotent, as long as the blob exists. If it was collected meanwhile, a repetition returns no blob: its
 * object may be deleted at any time, and an object key is used once.
 *
 * `enable_seqscan`: tables of the collector may be empty when the plans are made, and large later.
 *
 * Locks are taken in this order: content, session, blob, repository, link. Each statement sees what was
 * committed before it began, so what is read after a lock is what the lock protects.
 */
const COMMIT_WITH_TARSUMS = `
  CREATE OR REPLACE FUNCTION commit_upload(
    p_upload uuid, p_version bigint,
    p_repository text, p_canonical text, p_digests text[], p_size_bytes bigint,
    p_object_key text, p_lost_key text, p_lost_reason text,
    p_replica text, p_actor text, p_client_address text, p_duration_ms bigint,
    OUT is_fenced boolean, OUT stored_id bigint, OUT stored_key text
  ) LANGUAGE plpgsql SET enable_seqscan = off AS $$
  DECLARE
    previous_state text;
    own_tarsums jsonb;
  BEGIN
    -- Commits of one content run one after the other. The seed is that of 'content' in advisory-lock.ts.
    PERFORM pg_advisory_xact_lock(hashtextextended(p_canonical, 0));

    SELECT state, tarsums INTO previous_state, own_tarsums
      FROM uploads
     WHERE id = p_upload AND version = p_version
       AND (state IN ('committing', 'committed')
            OR state = 'open' AND digest = p_canonical AND offset_bytes = 0) FOR UPDATE;
    is_fenced := NOT FOUND;
    IF is_fenced THEN RETURN; END IF;

    -- If the collector deletes it at the same time, this waits and finds none.
    SELECT b.id, b.object_key INTO stored_id, stored_key
      FROM blob_digests d JOIN blobs b ON b.id = d.blob_id
     WHERE d.digest = p_canonical FOR KEY SHARE OF b;
    IF stored_id IS NULL THEN
      IF p_object_key IS NULL OR previous_state = 'committed' THEN RETURN; END IF;
      IF EXISTS (SELECT FROM object_deletions WHERE object_key = p_object_key) THEN RETURN; END IF;
      INSERT INTO blobs (size_bytes, object_key) VALUES (p_size_bytes, p_object_key)
      RETURNING id, object_key INTO stored_id, stored_key;
      -- Without ON CONFLICT: a blob without its canonical digest could not be found.
      INSERT INTO blob_digests (digest, blob_id) VALUES (p_canonical, stored_id);
    ELSIF stored_key = p_lost_key AND previous_state <> 'committed' THEN
      UPDATE blobs SET object_key = p_object_key
       WHERE id = stored_id AND object_key = p_lost_key
         AND NOT EXISTS (SELECT FROM displaced_objects WHERE object_key = p_object_key)
         AND NOT EXISTS (SELECT FROM object_deletions WHERE object_key = p_object_key);
      IF FOUND THEN
        INSERT INTO displaced_objects (object_key, blob_id, reason)
        VALUES (p_lost_key, stored_id, p_lost_reason);
        stored_key := p_object_key;
      END IF;
    END IF;
    INSERT INTO blob_digests (digest, blob_id)
    SELECT digest, stored_id FROM unnest(p_digests) AS digest WHERE digest <> p_canonical
        ON CONFLICT (digest) DO NOTHING;
    IF own_tarsums IS NOT NULL THEN
      INSERT INTO blob_tarsums (tarsum, blob_id)
      SELECT own->>'tarsum', stored_id FROM jsonb_array_elements(own_tarsums) AS own
       WHERE own->>'tarsum' IS NOT NULL AND (own->>'lengthBytes')::bigint = p_size_bytes
          ON CONFLICT DO NOTHING;
    END IF;

    PERFORM link_blob(ensure_repository(p_repository), stored_id);

    UPDATE uploads
       SET state = 'committed', blob_id = stored_id, holds_bytes = stored_key IS DISTINCT FROM p_object_key,
           offset_bytes = p_size_bytes, lease_holder = NULL, lease_expires_at = NULL, updated_at = now()
     WHERE id = p_upload;
    IF previous_state <> 'committed' THEN
      INSERT INTO upload_events (upload_id, kind, offset_bytes, replica, actor, client_address, duration_ms)
      VALUES (p_upload, 'committed', p_size_bytes, p_replica, p_actor, p_client_address, p_duration_ms);
    END IF;
  END $$`;
