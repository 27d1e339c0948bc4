import type { MigrationInterface, QueryRunner } from 'typeorm';

/** For the lists of users and of robots, which leave deleted accounts out. */
export class IndexOfAccounts1764440000000 implements MigrationInterface {
  readonly name = 'IndexOfAccounts1764440000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      'CREATE INDEX accounts_kind_name_idx ON accounts (kind, name) WHERE deleted_at IS NULL',
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP INDEX accounts_kind_name_idx');
  }
}
