import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Manifests whose link was deleted before `NeededLinks` get it back, so that their images are whole again.
 * Then the constraints hold for all rows. Each statement is a transaction of its own and blocks
 * neither reads nor writes, however long it takes. All can be repeated.
 */
export class ValidatedLinks1764220000005 implements MigrationInterface {
  readonly name = 'ValidatedLinks1764220000005';
  readonly transaction = false;

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(): Promise<void> {
    // The constraints go with the migrations that made them. Links that came back stay.
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
