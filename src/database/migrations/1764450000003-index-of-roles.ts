import type { MigrationInterface, QueryRunner } from 'typeorm';

/** For the check that an admin is left: few accounts have a role of the registry. */
export class IndexOfRoles1764450000003 implements MigrationInterface {
  readonly name = 'IndexOfRoles1764450000003';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `CREATE INDEX accounts_registry_role_idx ON accounts (registry_role) WHERE registry_role IS NOT NULL`,
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP INDEX accounts_registry_role_idx');
  }
}
