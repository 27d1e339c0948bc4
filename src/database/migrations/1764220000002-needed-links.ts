import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A blob's link can't be deleted while a manifest of the repository refers to the blob: Postgres refuses it. Manifests
 * whose link was deleted before get it back first, so that their images are whole again.
 */
export class NeededLinks1764220000002 implements MigrationInterface {
  readonly name = 'NeededLinks1764220000002';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await queryRunner.query(statement);
  }
}

const UP = [
  // An older replica must not delete a link between these statements. Pulls read links and go on; pushes wait. Links
  // are locked first, as a push does, so that this is in no deadlock with one.
  `LOCK TABLE repository_blobs IN SHARE ROW EXCLUSIVE MODE`,
  `LOCK TABLE manifest_blobs IN ACCESS EXCLUSIVE MODE`,
  `INSERT INTO repository_blobs (repository_id, blob_id)
   SELECT DISTINCT repository_id, blob_id FROM manifest_blobs
       ON CONFLICT DO NOTHING`,
  `ALTER TABLE manifest_blobs ALTER COLUMN repository_id SET NOT NULL`,
  `CREATE INDEX manifest_blobs_blob_id_repository_id_idx ON manifest_blobs (blob_id, repository_id)`,
  `ALTER TABLE manifest_blobs
     ADD CONSTRAINT manifest_blobs_repository_id_blob_id_fkey
         FOREIGN KEY (repository_id, blob_id) REFERENCES repository_blobs(repository_id, blob_id)`,
];

const DOWN = [
  `ALTER TABLE manifest_blobs DROP CONSTRAINT manifest_blobs_repository_id_blob_id_fkey`,
  `DROP INDEX manifest_blobs_blob_id_repository_id_idx`,
  `ALTER TABLE manifest_blobs ALTER COLUMN repository_id DROP NOT NULL`,
];
