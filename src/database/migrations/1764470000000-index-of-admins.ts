import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Many changes of accounts and secrets count the admins, who are few. */
export class IndexOfAdmins1764470000000 implements MigrationInterface {
  readonly name = 'IndexOfAdmins1764470000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      'CREATE INDEX accounts_registry_role_idx ON accounts (registry_role) WHERE registry_role IS NOT NULL',
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP INDEX accounts_registry_role_idx');
  }
}
