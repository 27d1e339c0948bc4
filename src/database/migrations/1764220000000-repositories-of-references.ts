import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Adds the manifest's repository to `manifest_blobs`, so that a foreign key can refer to the blob's link. The
 * trigger fills the column for older replicas that use this schema. Fast: reads no rows. The check applies to
 * new rows. When the old rows are validated, a later migration makes the column NOT NULL without another
 * scan.
 */
export class RepositoriesOfReferences1764220000000 implements MigrationInterface {
  readonly name = 'RepositoriesOfReferences1764220000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await queryRunner.query(statement);
  }
}

const UP = [
  `ALTER TABLE manifest_blobs ADD COLUMN repository_id bigint`,
  `CREATE FUNCTION set_repository_of_manifest_blob() RETURNS trigger LANGUAGE plpgsql AS $$
   BEGIN
     NEW.repository_id := (SELECT m.repository_id FROM manifests m WHERE m.id = NEW.manifest_id);
     RETURN NEW;
   END $$`,
  `CREATE TRIGGER manifest_blobs_set_repository BEFORE INSERT ON manifest_blobs
     FOR EACH ROW WHEN (NEW.repository_id IS NULL) EXECUTE FUNCTION set_repository_of_manifest_blob()`,
  `ALTER TABLE manifest_blobs
     ADD CONSTRAINT manifest_blobs_repository_id_check CHECK (repository_id IS NOT NULL) NOT VALID`,
];

const DOWN = [
  `ALTER TABLE manifest_blobs DROP CONSTRAINT manifest_blobs_repository_id_check`,
  `DROP TRIGGER manifest_blobs_set_repository ON manifest_blobs`,
  `DROP FUNCTION set_repository_of_manifest_blob()`,
  `ALTER TABLE manifest_blobs DROP COLUMN repository_id`,
];
