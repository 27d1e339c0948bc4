import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What this database knows of its claim to delete objects in the storage, in a table with one row. See
 * docs/adr/0033.
 */
export class StorageClaim1764560000000 implements MigrationInterface {
  readonly name = 'StorageClaim1764560000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE storage_claim');
  }
}

const UP = [
  `CREATE TABLE storage_claim (
      is_only_row boolean NOT NULL DEFAULT true,
      number bigint NOT NULL DEFAULT 0,
      token uuid,
      former_token uuid,
      next_token uuid,
      renewed_at timestamptz,
      CONSTRAINT storage_claim_pkey PRIMARY KEY (is_only_row),
      CONSTRAINT storage_claim_is_only_row_check CHECK (is_only_row)
    )`,
  `INSERT INTO storage_claim DEFAULT VALUES`,
];
