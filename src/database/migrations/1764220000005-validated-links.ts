import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Restores links that were deleted before `NeededLinks` although a manifest needs them, then validates the
 * constraints. Each statement is its own transaction, blocks neither reads nor writes, and can be repeated.
 */
export class ValidatedLinks1764220000005 implements MigrationInterface {
  readonly name = 'ValidatedLinks1764220000005';
  readonly transaction = false;

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(): Promise<void> {
    // Earlier migrations drop the constraints. Restored links stay.
  }
}

const UP = [
  `INSERT INTO repository_blobs (repository_id, blob_id)
   SELECT DISTINCT b.repository_id, b.blob_id FROM manifest_blobs b
    WHERE NOT EXISTS (
            SELECT FROM repository_blobs l WHERE l.repository_id = b.repository_id AND l.blob_id = b.blob_id)
       ON CONFLICT DO NOTHING`,
  `ALTER TABLE manifest_blobs VALIDATE CONSTRAINT manifest_blobs_repository_id_blob_id_fkey`,
  `ALTER TABLE manifest_blobs VALIDATE CONSTRAINT manifest_blobs_repository_id_check`,
];
