import type { MigrationInterface, QueryRunner } from 'typeorm';
import { DELETE_MANIFEST } from './1764220000004-manifest-functions.js';
import { AUDITED_DELETE_TAG, AUDITED_REMOVE_MANIFEST } from './1764450000001-audited-deletions.js';

/**
 * Deletions keep what they delete: a row of `deletions` can be restored (docs/adr/0029). A manifest keeps its
 * row, its references and its links; a repository loses its name only. Each function is called by one
 * statement outside a transaction, so its locks end with the statement (docs/adr/0019).
 *
 * A soft deletion locks the row with FOR UPDATE **before** it updates it. The update alone does not conflict
 * with the FOR KEY SHARE of a push that refers to the row. The lock makes it conflict, and makes the push
 * read the row again.
 *
 * `soft_delete_manifest` replaces `remove_manifest` and `delete_manifest`, which older replicas call.
 */
export class SoftDeletions1764510000000 implements MigrationInterface {
  readonly name = 'SoftDeletions1764510000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await queryRunner.query(statement);
  }
}

/**
 * Deletes a manifest with its tags. `deleted` is null if the repository does not exist, and false if the
 * manifest does not exist or can't be deleted: a live index lists it, whose digest is `listed_by`. The index
 * may have been pushed before the manifest.
 *
 * Order of locks: repository, manifest, tags by name.
 */
const SOFT_DELETE_MANIFEST = `
  CREATE FUNCTION soft_delete_manifest(
    p_repository text, p_digest text, p_actor text, OUT deleted boolean, OUT listed_by text
  ) LANGUAGE plpgsql SET enable_seqscan = off AS $$
  DECLARE
    own_repository bigint;
    own_id bigint;
    own_type text;
    own_deletion bigint;
    gone_tags text[];
  BEGIN
    SELECT id INTO own_repository FROM repositories WHERE name = p_repository FOR KEY SHARE;
    IF NOT FOUND THEN RETURN; END IF;
    SELECT id, media_type INTO own_id, own_type
      FROM manifests
     WHERE repository_id = own_repository AND digest = p_digest AND deletion_id IS NULL FOR UPDATE;
    deleted := FOUND;
    IF NOT deleted THEN RETURN; END IF;

    -- After the lock: a push that refers to the manifest locks it first, so its index is visible now.
    SELECT parent.digest INTO listed_by
      FROM (SELECT parent_id AS id FROM manifest_children WHERE child_id = own_id
             UNION ALL
            SELECT manifest_id FROM manifest_missing_references
             WHERE digest = p_digest AND repository_id = own_repository) AS listing
     CROSS JOIN LATERAL (SELECT digest FROM manifests
                          WHERE id = listing.id AND id <> own_id AND deletion_id IS NULL OFFSET 0) AS parent
     LIMIT 1;
    IF FOUND THEN
      deleted := false;
      RETURN;
    END IF;

    -- The time after the locks: what is pushed later does not follow the deletion.
    INSERT INTO deletions (repository_id, repository, kind, reference, actor, deleted_at)
    VALUES (own_repository, p_repository, 'manifest', p_digest, p_actor, clock_timestamp())
    RETURNING id INTO own_deletion;

    -- The lock on the manifest prevents new tags on it. Wait for tags that are being moved, and skip them.
    PERFORM FROM tags WHERE manifest_id = own_id ORDER BY name FOR UPDATE;
    WITH gone AS (DELETE FROM tags WHERE manifest_id = own_id RETURNING name),
    event AS (
      INSERT INTO tag_events (repository_id, tag, from_digest, to_digest, actor, deletion_id)
      SELECT own_repository, name, p_digest, NULL, p_actor, own_deletion FROM gone)
    SELECT coalesce(array_agg(name ORDER BY name), '{}') INTO gone_tags FROM gone;

    UPDATE manifests SET deletion_id = own_deletion, is_follower = false WHERE id = own_id;
    INSERT INTO audit_events (action, actor, subject, repository, before)
    VALUES ('manifest.delete', p_actor, p_digest, p_repository,
            jsonb_build_object('mediaType', own_type, 'tagCount', cardinality(gone_tags),
                               'tags', to_jsonb(gone_tags[1:100])));
  END $$`;

/** For older replicas, which have no response for an index that lists the manifest. */
const REMOVE_MANIFEST = `
  CREATE OR REPLACE FUNCTION remove_manifest(p_repository text, p_digest text, p_actor text)
  RETURNS boolean LANGUAGE plpgsql AS $$
  DECLARE
    result record;
  BEGIN
    SELECT * INTO result FROM soft_delete_manifest(p_repository, p_digest, p_actor);
    IF result.listed_by IS NOT NULL THEN
      RAISE EXCEPTION 'the index % lists the manifest %: delete the index first', result.listed_by, p_digest;
    END IF;
    RETURN result.deleted;
  END $$`;

const OLDEST_DELETE_MANIFEST = `
  CREATE OR REPLACE FUNCTION delete_manifest(p_repository text, p_digest text, p_actor text) RETURNS boolean
  LANGUAGE plpgsql AS $$
  BEGIN
    RETURN remove_manifest(p_repository, p_digest, p_actor);
  END $$`;

/** Deletes a tag. Returns null if the repository does not exist, false if the tag does not exist. */
const DELETE_TAG = `
  CREATE OR REPLACE FUNCTION delete_tag(p_repository text, p_tag text, p_actor text)
  RETURNS boolean LANGUAGE plpgsql AS $$
  DECLARE
    own_repository bigint;
    pointed_at bigint;
    own_digest text;
    own_deletion bigint;
  BEGIN
    SELECT id INTO own_repository FROM repositories WHERE name = p_repository FOR KEY SHARE;
    IF NOT FOUND THEN RETURN NULL; END IF;
    SELECT manifest_id INTO pointed_at
      FROM tags WHERE repository_id = own_repository AND name = p_tag FOR UPDATE;
    IF NOT FOUND THEN RETURN false; END IF;
    SELECT digest INTO STRICT own_digest FROM manifests WHERE id = pointed_at;
    -- The manifest stays, so nothing can follow.
    INSERT INTO deletions (repository_id, repository, kind, reference, actor, followed)
    VALUES (own_repository, p_repository, 'tag', p_tag, p_actor, true) RETURNING id INTO own_deletion;
    DELETE FROM tags WHERE repository_id = own_repository AND name = p_tag;
    INSERT INTO tag_events (repository_id, tag, from_digest, to_digest, actor, deletion_id)
    VALUES (own_repository, p_tag, own_digest, NULL, p_actor, own_deletion);
    INSERT INTO audit_events (action, actor, subject, repository, before)
    VALUES ('tag.delete', p_actor, p_tag, p_repository, jsonb_build_object('digest', own_digest));
    RETURN true;
  END $$`;

/**
 * Deletes a repository, whatever its size: it loses its name, by which all requests find it. A push waits, or
 * goes into a new repository of that name. Returns the id of the deletion; null if the repository does not
 * exist.
 */
const DELETE_REPOSITORY = `
  CREATE FUNCTION delete_repository(p_repository text, p_actor text, p_reason text DEFAULT NULL)
  RETURNS bigint LANGUAGE plpgsql AS $$
  DECLARE
    own_repository bigint;
    own_deletion bigint;
  BEGIN
    SELECT id INTO own_repository FROM repositories WHERE name = p_repository FOR UPDATE;
    IF NOT FOUND THEN RETURN NULL; END IF;
    INSERT INTO deletions (repository_id, repository, kind, actor, reason, followed)
    VALUES (own_repository, p_repository, 'repository', p_actor, p_reason, true)
    RETURNING id INTO own_deletion;
    UPDATE repositories SET name = NULL, deleted_name = name, deletion_id = own_deletion
     WHERE id = own_repository;
    INSERT INTO audit_events (action, actor, subject, repository)
    VALUES ('repository.delete', p_actor, p_repository, p_repository);
    RETURN own_deletion;
  END $$`;

const UP = [SOFT_DELETE_MANIFEST, REMOVE_MANIFEST, OLDEST_DELETE_MANIFEST, DELETE_TAG, DELETE_REPOSITORY];

const DOWN = [
  'DROP FUNCTION delete_repository',
  AUDITED_DELETE_TAG,
  DELETE_MANIFEST.replace('CREATE FUNCTION', 'CREATE OR REPLACE FUNCTION'),
  AUDITED_REMOVE_MANIFEST,
  'DROP FUNCTION soft_delete_manifest',
];
