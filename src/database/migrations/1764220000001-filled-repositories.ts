import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Fills `manifest_blobs.repository_id` of the rows that were there before the trigger. A transaction of its own, which
 * locks no table: it takes as long as the table is large, and older replicas go on pushing.
 */
export class FilledRepositories1764220000001 implements MigrationInterface {
  readonly name = 'FilledRepositories1764220000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `UPDATE manifest_blobs b SET repository_id = m.repository_id
         FROM manifests m
        WHERE m.id = b.manifest_id AND b.repository_id IS NULL`,
    );
  }

  async down(): Promise<void> {
    // The column goes with the migration before this one.
  }
}
