import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A blob's link can't be deleted while a manifest of the repository refers to the blob: Postgres refuses it.
 * From now on; `ValidatedLinks` sees to the rows that are there. Short: no row is read. Pulls go on, pushes
 * wait.
 */
export class NeededLinks1764220000003 implements MigrationInterface {
  readonly name = 'NeededLinks1764220000003';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `ALTER TABLE manifest_blobs DROP CONSTRAINT manifest_blobs_repository_id_blob_id_fkey`,
    );
  }
}

const UP = [
  // Links are locked first, as a push does, so that this is in no deadlock with one.
  `LOCK TABLE repository_blobs, manifest_blobs IN SHARE ROW EXCLUSIVE MODE`,
  `ALTER TABLE manifest_blobs
     ADD CONSTRAINT manifest_blobs_repository_id_blob_id_fkey
         FOREIGN KEY (repository_id, blob_id) REFERENCES repository_blobs(repository_id, blob_id) NOT VALID`,
];
