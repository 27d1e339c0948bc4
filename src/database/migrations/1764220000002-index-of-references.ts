import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The index with which `NeededLinks` finds the manifests that need a link. Built without blocking pushes.
 */
export class IndexOfReferences1764220000002 implements MigrationInterface {
  readonly name = 'IndexOfReferences1764220000002';
  /** CONCURRENTLY can't run in a transaction. */
  readonly transaction = false;

  async up(queryRunner: QueryRunner): Promise<void> {
    // Waits for older transactions, for instance of a backup, without blocking other sessions. With the short
    // timeout of other migrations, the index would have to be built again after each timeout.
    await queryRunner.query(`SET lock_timeout = '10min'`);
    try {
      // A failed attempt leaves an invalid index.
      await queryRunner.query(`DROP INDEX CONCURRENTLY IF EXISTS manifest_blobs_blob_id_repository_id_idx`);
      await queryRunner.query(
        `CREATE INDEX CONCURRENTLY manifest_blobs_blob_id_repository_id_idx
             ON manifest_blobs (blob_id, repository_id)`,
      );
    } finally {
      await queryRunner.query(`RESET lock_timeout`);
    }
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`DROP INDEX manifest_blobs_blob_id_repository_id_idx`);
  }
}
