import type { MigrationInterface, QueryRunner } from 'typeorm';

/** For the list of grants by subject or pattern. */
export class IndexesOfGrants1764450000002 implements MigrationInterface {
  readonly name = 'IndexesOfGrants1764450000002';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('CREATE INDEX grants_subject_id_idx ON grants (subject, id)');
    await queryRunner.query('CREATE INDEX grants_pattern_id_idx ON grants (pattern, id)');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP INDEX grants_pattern_id_idx');
    await queryRunner.query('DROP INDEX grants_subject_id_idx');
  }
}
