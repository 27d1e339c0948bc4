import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Drops the foreign key from sessions to blobs. Deleting a blob would set it null, which locks the sessions
 * after the blob; a commit locks them the other way round. An id that no blob has any more is harmless, since
 * ids are not used again. Fast: reads no rows. Locks the tables in the order of a commit.
 */
export class UploadsWithoutBlobKey1764520000002 implements MigrationInterface {
  readonly name = 'UploadsWithoutBlobKey1764520000002';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await queryRunner.query(statement);
  }
}

const UP = [
  `LOCK TABLE uploads, blobs IN ACCESS EXCLUSIVE MODE`,
  `ALTER TABLE uploads DROP CONSTRAINT uploads_blob_id_fkey`,
  `DROP INDEX uploads_blob_id_idx`,
];

const DOWN = [
  `UPDATE uploads u SET blob_id = NULL
    WHERE blob_id IS NOT NULL AND NOT EXISTS (SELECT FROM blobs b WHERE b.id = u.blob_id)`,
  `CREATE INDEX uploads_blob_id_idx ON uploads (blob_id)`,
  `ALTER TABLE uploads
     ADD CONSTRAINT uploads_blob_id_fkey FOREIGN KEY (blob_id) REFERENCES blobs(id) ON DELETE SET NULL`,
];
