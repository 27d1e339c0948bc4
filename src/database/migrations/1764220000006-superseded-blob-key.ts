import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Drops the foreign key that `NeededLinks` has replaced: the link's own foreign key protects the blob. In its
 * own transaction, because it locks `blobs`. Fast: reads no rows, since the valid check proves NOT NULL.
 * Locks the tables in the order of a push, which may run on an older replica.
 */
export class SupersededBlobKey1764220000006 implements MigrationInterface {
  readonly name = 'SupersededBlobKey1764220000006';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await queryRunner.query(statement);
  }
}

const UP = [
  `LOCK TABLE blobs, manifest_blobs IN ACCESS EXCLUSIVE MODE`,
  `ALTER TABLE manifest_blobs ALTER COLUMN repository_id SET NOT NULL`,
  `ALTER TABLE manifest_blobs DROP CONSTRAINT manifest_blobs_repository_id_check`,
  `ALTER TABLE manifest_blobs DROP CONSTRAINT manifest_blobs_blob_id_fkey`,
  `DROP INDEX manifest_blobs_blob_id_idx`,
];

const DOWN = [
  `CREATE INDEX manifest_blobs_blob_id_idx ON manifest_blobs (blob_id)`,
  `ALTER TABLE manifest_blobs
     ADD CONSTRAINT manifest_blobs_blob_id_fkey FOREIGN KEY (blob_id) REFERENCES blobs(id)`,
  `ALTER TABLE manifest_blobs
     ADD CONSTRAINT manifest_blobs_repository_id_check CHECK (repository_id IS NOT NULL)`,
  `ALTER TABLE manifest_blobs ALTER COLUMN repository_id DROP NOT NULL`,
];
