import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The size of an image, on its manifest and on the tags that point at it, so that lists can be sorted by it.
 * Triggers keep it up to date, whatever writes: older replicas, cascades, statements by hand.
 *
 * Fast: reads no rows. `FilledImageSizes` computes the sizes of existing manifests.
 */
export class ImageSizes1764360000000 implements MigrationInterface {
  readonly name = 'ImageSizes1764360000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await queryRunner.query(statement);
  }
}

/** How many manifests below an index are added up, nested ones included. Limits the cost of its push. */
const MAX_MANIFESTS = 10_000;

/**
 * The bytes of these blobs, of the blobs that the manifests refer to, and of those that the manifests below
 * them refer to. Each blob counts once. LATERAL and OFFSET 0 force lookups by index, whatever the planner
 * estimates. An image lists no manifests: its push runs the simpler query.
 */
const IMAGE_SIZE = `
  CREATE FUNCTION image_size(p_manifests bigint[], p_blobs bigint[]) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
  BEGIN
    IF p_manifests IS NULL THEN
      RETURN (SELECT coalesce(sum(b.size_bytes), 0)
                FROM unnest(p_blobs) AS r (blob_id)
               CROSS JOIN LATERAL (SELECT size_bytes FROM blobs WHERE id = r.blob_id OFFSET 0) AS b);
    END IF;
    RETURN (
      WITH RECURSIVE image (id) AS (
        SELECT unnest(p_manifests)
         UNION
        SELECT c.child_id
          FROM image i
         CROSS JOIN LATERAL (SELECT child_id FROM manifest_children WHERE parent_id = i.id OFFSET 0) AS c)
      SELECT coalesce(sum(b.size_bytes), 0)
        FROM (SELECT unnest(p_blobs) AS blob_id
               UNION
              SELECT r.blob_id
                FROM (SELECT id FROM image LIMIT ${MAX_MANIFESTS}) AS i
               CROSS JOIN LATERAL (SELECT blob_id FROM manifest_blobs WHERE manifest_id = i.id OFFSET 0) AS r
             ) AS r
       CROSS JOIN LATERAL (SELECT size_bytes FROM blobs WHERE id = r.blob_id OFFSET 0) AS b);
  END $$`;

/** These manifests and the indexes above them. Few manifests have one when their references change. */
const WITH_INDEXES_ABOVE = `
  CREATE FUNCTION with_indexes_above(p_manifests bigint[]) RETURNS bigint[] LANGUAGE plpgsql STABLE AS $$
  BEGIN
    IF NOT EXISTS (SELECT FROM manifest_children WHERE child_id = ANY (p_manifests)) THEN
      RETURN p_manifests;
    END IF;
    RETURN (
      WITH RECURSIVE above (id) AS (
        SELECT unnest(p_manifests)
         UNION
        SELECT c.parent_id
          FROM above a
         CROSS JOIN LATERAL (SELECT parent_id FROM manifest_children WHERE child_id = a.id OFFSET 0) AS c)
      SELECT array_agg(id) FROM above);
  END $$`;

/**
 * Computes the sizes of these manifests and of the indexes above them. The locks are in the order of ids, so
 * that two calls don't deadlock. What the UPDATE reads is as new as the locks.
 */
const SET_IMAGE_SIZES = `
  CREATE FUNCTION set_image_sizes(p_manifests bigint[]) RETURNS void LANGUAGE plpgsql AS $$
  DECLARE
    images bigint[] := with_indexes_above(p_manifests);
  BEGIN
    PERFORM FROM manifests WHERE id = ANY (images) ORDER BY id FOR NO KEY UPDATE;
    UPDATE manifests m SET image_size_bytes = image.size
      FROM (SELECT id, image_size(ARRAY[id], NULL) AS size FROM unnest(images) AS id OFFSET 0) AS image
     WHERE m.id = image.id AND m.image_size_bytes <> image.size;
  END $$`;

/** `put_manifest` sets it, because it computes the size itself: the triggers would cost a third more. */
const NOT_SET = `current_setting('berth.image_sizes', true) IS DISTINCT FROM 'set'`;

/** Computes the sizes after a change of references. `column` is the manifest that has them. */
const afterChange = (change: 'INSERT' | 'DELETE', table: string, column: string) => {
  const name = `${table}_set_image_sizes_after_${change.toLowerCase()}`;
  return [
    `CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS $$
     DECLARE
       manifests bigint[] := (SELECT array_agg(DISTINCT ${column}) FROM changed);
     BEGIN
       IF manifests IS NOT NULL THEN PERFORM set_image_sizes(manifests); END IF;
       RETURN NULL;
     END $$`,
    `CREATE TRIGGER ${name} AFTER ${change} ON ${table}
       REFERENCING ${change === 'INSERT' ? 'NEW' : 'OLD'} TABLE AS changed
       FOR EACH STATEMENT ${change === 'INSERT' ? `WHEN (${NOT_SET})` : ''} EXECUTE FUNCTION ${name}()`,
  ];
};

/**
 * A push locks the manifest's row before its tags, so a tag that is set meanwhile gets the new size from one
 * of these two triggers.
 */
const SIZES_OF_TAGS = [
  `CREATE FUNCTION set_image_size_of_tag() RETURNS trigger LANGUAGE plpgsql AS $$
   BEGIN
     NEW.image_size_bytes := (SELECT m.image_size_bytes FROM manifests m WHERE m.id = NEW.manifest_id);
     RETURN NEW;
   END $$`,
  `CREATE TRIGGER tags_set_image_size BEFORE INSERT OR UPDATE OF manifest_id ON tags
     FOR EACH ROW EXECUTE FUNCTION set_image_size_of_tag()`,
  `CREATE FUNCTION copy_image_size_to_tags() RETURNS trigger LANGUAGE plpgsql AS $$
   BEGIN
     UPDATE tags SET image_size_bytes = NEW.image_size_bytes WHERE manifest_id = NEW.id;
     RETURN NULL;
   END $$`,
  `CREATE TRIGGER manifests_copy_image_size AFTER UPDATE OF image_size_bytes ON manifests
     FOR EACH ROW WHEN (NEW.image_size_bytes <> OLD.image_size_bytes)
     EXECUTE FUNCTION copy_image_size_to_tags()`,
];

const UP = [
  // In the order of a push, to avoid a deadlock.
  `LOCK TABLE manifests, manifest_blobs, manifest_children, tags, tag_events IN ACCESS EXCLUSIVE MODE`,
  `ALTER TABLE manifests ADD COLUMN image_size_bytes bigint NOT NULL DEFAULT 0`,
  `ALTER TABLE tags ADD COLUMN image_size_bytes bigint NOT NULL DEFAULT 0`,
  IMAGE_SIZE,
  WITH_INDEXES_ABOVE,
  SET_IMAGE_SIZES,
  ...afterChange('INSERT', 'manifest_blobs', 'manifest_id'),
  ...afterChange('INSERT', 'manifest_children', 'parent_id'),
  ...afterChange('DELETE', 'manifest_children', 'parent_id'),
  ...SIZES_OF_TAGS,
];

const DOWN = [
  `DROP TRIGGER manifests_copy_image_size ON manifests`,
  `DROP TRIGGER tags_set_image_size ON tags`,
  `DROP TRIGGER manifest_children_set_image_sizes_after_delete ON manifest_children`,
  `DROP TRIGGER manifest_children_set_image_sizes_after_insert ON manifest_children`,
  `DROP TRIGGER manifest_blobs_set_image_sizes_after_insert ON manifest_blobs`,
  `DROP FUNCTION copy_image_size_to_tags, set_image_size_of_tag,
     manifest_children_set_image_sizes_after_delete, manifest_children_set_image_sizes_after_insert,
     manifest_blobs_set_image_sizes_after_insert, set_image_sizes, with_indexes_above,
     image_size`,
  `ALTER TABLE tags DROP COLUMN image_size_bytes`,
  `ALTER TABLE manifests DROP COLUMN image_size_bytes`,
];
