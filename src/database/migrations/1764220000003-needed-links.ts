import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * From now on, Postgres refuses to delete a blob's link while a manifest of the repository refers to the
 * blob. `ValidatedLinks` checks the existing rows. Fast: reads no rows. Blocks pushes, but not pulls.
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
  // Locks links first, as a push does, to avoid a deadlock.
  `LOCK TABLE repository_blobs, manifest_blobs IN SHARE ROW EXCLUSIVE MODE`,
  `ALTER TABLE manifest_blobs
     ADD CONSTRAINT manifest_blobs_repository_id_blob_id_fkey
         FOREIGN KEY (repository_id, blob_id) REFERENCES repository_blobs(repository_id, blob_id) NOT VALID`,
];
