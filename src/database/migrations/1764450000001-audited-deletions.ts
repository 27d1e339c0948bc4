import type { MigrationInterface, QueryRunner } from 'typeorm';
import { DELETE_TAG } from './1764220000004-manifest-functions.js';
import { REMOVE_MANIFEST } from './1764360000005-remove-manifest-function.js';

/**
 * Deletions of manifests and tags record an event of the audit log. The parameters of the functions don't
 * change, so those of older replicas are recorded, too.
 */
export class AuditedDeletions1764450000001 implements MigrationInterface {
  readonly name = 'AuditedDeletions1764450000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of [AUDITED_REMOVE_MANIFEST, AUDITED_DELETE_TAG]) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const statement of [REMOVE_MANIFEST, DELETE_TAG])
      await queryRunner.query(statement.replace('CREATE FUNCTION', 'CREATE OR REPLACE FUNCTION'));
  }
}

/** As before, with an event. `tag_events` has all tags; the event names up to 100. */
export const AUDITED_REMOVE_MANIFEST = `
  CREATE OR REPLACE FUNCTION remove_manifest(p_repository text, p_digest text, p_actor text)
  RETURNS boolean LANGUAGE plpgsql AS $$
  DECLARE
    own_repository bigint;
    own_id bigint;
    own_type text;
    images bigint[];
    gone_tags text[];
  BEGIN
    SELECT id INTO own_repository FROM repositories WHERE name = p_repository;
    IF NOT FOUND THEN RETURN NULL; END IF;
    SELECT id, media_type INTO own_id, own_type
      FROM manifests WHERE repository_id = own_repository AND digest = p_digest FOR UPDATE;
    IF NOT FOUND THEN RETURN false; END IF;

    images := with_indexes_above(ARRAY[own_id]);
    PERFORM FROM manifests WHERE id = ANY (images) AND id <> own_id ORDER BY id FOR NO KEY UPDATE;

    -- An index that was deleted meanwhile has no rows here.
    INSERT INTO manifest_missing_references (manifest_id, digest)
    SELECT parent_id, p_digest FROM manifest_children WHERE child_id = own_id AND parent_id <> own_id
        ON CONFLICT DO NOTHING;

    -- The lock on the manifest prevents new tags on it. Wait for tags that are being moved, and skip them.
    PERFORM FROM tags WHERE manifest_id = ANY (images) ORDER BY name FOR UPDATE;
    WITH gone AS (DELETE FROM tags WHERE manifest_id = own_id RETURNING name),
    event AS (
      INSERT INTO tag_events (repository_id, tag, from_digest, to_digest, actor)
      SELECT own_repository, name, p_digest, NULL, p_actor FROM gone)
    SELECT coalesce(array_agg(name ORDER BY name), '{}') INTO gone_tags FROM gone;

    DELETE FROM manifests WHERE id = own_id;
    INSERT INTO audit_events (action, actor, subject, repository, before)
    VALUES ('manifest.delete', p_actor, p_digest, p_repository,
            jsonb_build_object('mediaType', own_type, 'tagCount', cardinality(gone_tags),
                               'tags', to_jsonb(gone_tags[1:100])));
    RETURN true;
  END $$`;

export const AUDITED_DELETE_TAG = `
  CREATE OR REPLACE FUNCTION delete_tag(p_repository text, p_tag text, p_actor text)
  RETURNS boolean LANGUAGE plpgsql AS $$
  DECLARE
    own_repository bigint;
    pointed_at bigint;
    own_digest text;
  BEGIN
    SELECT id INTO own_repository FROM repositories WHERE name = p_repository;
    IF NOT FOUND THEN RETURN NULL; END IF;
    SELECT manifest_id INTO pointed_at
      FROM tags WHERE repository_id = own_repository AND name = p_tag FOR UPDATE;
    IF NOT FOUND THEN RETURN false; END IF;
    SELECT digest INTO STRICT own_digest FROM manifests WHERE id = pointed_at;
    DELETE FROM tags WHERE repository_id = own_repository AND name = p_tag;
    INSERT INTO tag_events (repository_id, tag, from_digest, to_digest, actor)
    VALUES (own_repository, p_tag, own_digest, NULL, p_actor);
    INSERT INTO audit_events (action, actor, subject, repository, before)
    VALUES ('tag.delete', p_actor, p_tag, p_repository, jsonb_build_object('digest', own_digest));
    RETURN true;
  END $$`;
