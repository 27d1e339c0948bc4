import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Drops an index that `BoundedLookups` has replaced. In its own transaction, because DROP INDEX locks the
 * table, and running replicas lock this and other tables in another order.
 */
export class SupersededIndex1764100000001 implements MigrationInterface {
  readonly name = 'SupersededIndex1764100000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP INDEX repository_blobs_blob_id_idx');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('CREATE INDEX repository_blobs_blob_id_idx ON repository_blobs (blob_id)');
  }
}
