import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The identity that this database shares with its storage, in a table with one row. See docs/adr/0017. */
export class StorageIdentity1764200000000 implements MigrationInterface {
  readonly name = 'StorageIdentity1764200000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE storage_identity');
  }
}

const UP = [
  `CREATE TABLE storage_identity (
      is_only_row boolean NOT NULL DEFAULT true,
      id uuid NOT NULL,
      bound_at timestamptz,
      CONSTRAINT storage_identity_pkey PRIMARY KEY (is_only_row),
      CONSTRAINT storage_identity_is_only_row_check CHECK (is_only_row)
    )`,
  `INSERT INTO storage_identity (id) VALUES (gen_random_uuid())`,
];
