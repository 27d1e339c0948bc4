import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Requests with an `Idempotency-Key` are recorded in the transaction of their change (docs/adr/0037). For
 * each function that such a request calls there is one that ends in `_once`, with the request's key before
 * the other parameters. It does nothing and reports success if the key is recorded.
 *
 * The key is locked before everything else. So a repeat that arrives while the request runs waits for it, and
 * holds nothing meanwhile. What fails is not recorded.
 */
export class IdempotentRequests1764620000000 implements MigrationInterface {
  readonly name = 'IdempotentRequests1764620000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `DROP FUNCTION put_manifest_once, soft_delete_manifest_once, delete_tag_once, mount_blob_once,
                     unlink_blob_once, release_request, claim_request`,
    );
    await queryRunner.query('DROP TABLE idempotent_requests');
  }
}

/** Records the request. Returns false if it is recorded: by an earlier transaction, never by an open one. */
const CLAIM_REQUEST = `
  CREATE FUNCTION claim_request(p_key bytea) RETURNS boolean LANGUAGE plpgsql AS $$
  BEGIN
    -- If another transaction has inserted the key, this waits for its end.
    INSERT INTO idempotent_requests (key) VALUES (p_key) ON CONFLICT (key) DO NOTHING;
    RETURN FOUND;
  END $$`;

/** For a request that changed nothing. `enable_seqscan`: the plan may be made while the table is empty. */
const RELEASE_REQUEST = `
  CREATE FUNCTION release_request(p_key bytea) RETURNS void LANGUAGE plpgsql SET enable_seqscan = off AS $$
  BEGIN
    DELETE FROM idempotent_requests WHERE key = p_key;
  END $$`;

const PUT_MANIFEST_ONCE = `
  CREATE FUNCTION put_manifest_once(
    p_key bytea, p_repository text, p_digest text, p_media_type text, p_artifact_type text, p_subject text,
    p_annotations json, p_content bytea, p_blobs text[], p_children text[], p_accepts_missing boolean,
    p_tags text[], p_actor text
  ) RETURNS text[] LANGUAGE plpgsql AS $$
  DECLARE
    missing text[];
  BEGIN
    IF NOT claim_request(p_key) THEN RETURN '{}'; END IF;
    missing := put_manifest(p_repository, p_digest, p_media_type, p_artifact_type, p_subject, p_annotations,
                            p_content, p_blobs, p_children, p_accepts_missing, p_tags, p_actor);
    IF missing <> '{}' AND NOT p_accepts_missing THEN PERFORM release_request(p_key); END IF;
    RETURN missing;
  END $$`;

const SOFT_DELETE_MANIFEST_ONCE = `
  CREATE FUNCTION soft_delete_manifest_once(
    p_key bytea, p_repository text, p_digest text, p_actor text, OUT deleted boolean, OUT listed_by text
  ) LANGUAGE plpgsql AS $$
  BEGIN
    deleted := true;
    IF NOT claim_request(p_key) THEN RETURN; END IF;
    SELECT d.deleted, d.listed_by INTO deleted, listed_by
      FROM soft_delete_manifest(p_repository, p_digest, p_actor) AS d;
    IF deleted IS NOT TRUE THEN PERFORM release_request(p_key); END IF;
  END $$`;

const DELETE_TAG_ONCE = `
  CREATE FUNCTION delete_tag_once(p_key bytea, p_repository text, p_tag text, p_actor text)
  RETURNS boolean LANGUAGE plpgsql AS $$
  DECLARE
    deleted boolean;
  BEGIN
    IF NOT claim_request(p_key) THEN RETURN true; END IF;
    deleted := delete_tag(p_repository, p_tag, p_actor);
    IF deleted IS NOT TRUE THEN PERFORM release_request(p_key); END IF;
    RETURN deleted;
  END $$`;

const MOUNT_BLOB_ONCE = `
  CREATE FUNCTION mount_blob_once(p_key bytea, p_source text, p_target text, p_digest text, p_actor text)
  RETURNS boolean LANGUAGE plpgsql AS $$
  BEGIN
    IF NOT claim_request(p_key) OR mount_blob(p_source, p_target, p_digest, p_actor) THEN RETURN true; END IF;
    PERFORM release_request(p_key);
    RETURN false;
  END $$`;

const UNLINK_BLOB_ONCE = `
  CREATE FUNCTION unlink_blob_once(
    p_key bytea, p_repository text, p_digest text, p_actor text, OUT is_deleted boolean, OUT needed_by text
  ) LANGUAGE plpgsql AS $$
  BEGIN
    is_deleted := true;
    IF NOT claim_request(p_key) THEN RETURN; END IF;
    SELECT u.is_deleted, u.needed_by INTO is_deleted, needed_by
      FROM unlink_blob(p_repository, p_digest, p_actor) AS u;
    IF NOT is_deleted THEN PERFORM release_request(p_key); END IF;
  END $$`;

const UP = [
  `CREATE TABLE idempotent_requests (
     key bytea NOT NULL,
     recorded_at timestamptz NOT NULL DEFAULT now(),
     CONSTRAINT idempotent_requests_pkey PRIMARY KEY (key))`,
  'CREATE INDEX idempotent_requests_recorded_at_idx ON idempotent_requests (recorded_at)',
  CLAIM_REQUEST,
  RELEASE_REQUEST,
  PUT_MANIFEST_ONCE,
  SOFT_DELETE_MANIFEST_ONCE,
  DELETE_TAG_ONCE,
  MOUNT_BLOB_ONCE,
  UNLINK_BLOB_ONCE,
];
