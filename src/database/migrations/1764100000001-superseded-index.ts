import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What `BoundedLookups` has made another index for. A transaction of its own: to drop an index keeps everybody from the table, and replicas that
 * serve meanwhile take its locks and those of others in another order.
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
