import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The index with which `NeededLinks` finds the manifests that need a link. Pushes go on while it is built.
 */
export class IndexOfReferences1764220000002 implements MigrationInterface {
  readonly name = 'IndexOfReferences1764220000002';
  /** CONCURRENTLY can't run in a transaction. */
  readonly transaction = false;

  async up(queryRunner: QueryRunner): Promise<void> {
    // This waits for transactions that began before it, a backup for instance, and blocks no other
    // session meanwhile. To give up after the short time that is right for other locks would mean to build the index
    // anew.
    await queryRunner.query(`SET lock_timeout = '10min'`);
    try {
      // An attempt that failed leaves an index that isn't valid.
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
