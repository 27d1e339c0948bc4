import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Where the last body of an upload began. A replica that does not know the column leaves an older value. */
export class BodyStart1764340000000 implements MigrationInterface {
  readonly name = 'BodyStart1764340000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE uploads ADD COLUMN body_start jsonb');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE uploads DROP COLUMN body_start');
  }
}
