import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * `remove_manifest` replaces `delete_manifest`, which older replicas call. A deletion now changes the size of
 * the indexes above, and of their tags. So it locks these in the order of a push: all manifests before all
 * tags. Otherwise it could deadlock with a push that moves a tag from the manifest to such an index.
 */
export class RemoveManifestFunction1764360000005 implements MigrationInterface {
  readonly name = 'RemoveManifestFunction1764360000005';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(REMOVE_MANIFEST);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP FUNCTION remove_manifest');
  }
}

/**
 * Deletes a manifest and its tags. Indexes that list it keep its digest as a missing reference. Returns null
 * if the repository does not exist, false if the manifest does not exist.
 *
 * Order of locks: the manifest, the indexes above by id, tags by name.
 */
export const REMOVE_MANIFEST = `
  CREATE FUNCTION remove_manifest(p_repository text, p_digest text, p_actor text) RETURNS boolean LANGUAGE plpgsql AS $$
  DECLARE
    own_repository bigint;
    own_id bigint;
    images bigint[];
  BEGIN
    SELECT id INTO own_repository FROM repositories WHERE name = p_repository;
    IF NOT FOUND THEN RETURN NULL; END IF;
    SELECT id INTO own_id FROM manifests WHERE repository_id = own_repository AND digest = p_digest FOR UPDATE;
    IF NOT FOUND THEN RETURN false; END IF;

    images := with_indexes_above(ARRAY[own_id]);
    PERFORM FROM manifests WHERE id = ANY (images) AND id <> own_id ORDER BY id FOR NO KEY UPDATE;

    -- An index that was deleted meanwhile has no rows here.
    INSERT INTO manifest_missing_references (manifest_id, digest)
    SELECT parent_id, p_digest FROM manifest_children WHERE child_id = own_id AND parent_id <> own_id
        ON CONFLICT DO NOTHING;

    -- The lock on the manifest prevents new tags on it. Wait for tags that are being moved, and skip them.
    PERFORM FROM tags WHERE manifest_id = ANY (images) ORDER BY name FOR UPDATE;
    WITH gone AS (DELETE FROM tags WHERE manifest_id = own_id RETURNING name)
    INSERT INTO tag_events (repository_id, tag, from_digest, to_digest, actor)
    SELECT own_repository, name, p_digest, NULL, p_actor FROM gone;

    DELETE FROM manifests WHERE id = own_id;
    RETURN true;
  END $$`;
