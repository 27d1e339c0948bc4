import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The certificate authority of `TLS=auto`. The first process that needs it inserts it: see docs/adr/0025. */
export class TlsAuthority1764410000000 implements MigrationInterface {
  readonly name = 'TlsAuthority1764410000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `CREATE TABLE tls_authority (
          is_only_row boolean NOT NULL DEFAULT true,
          certificate text NOT NULL,
          private_key text NOT NULL,
          created_at timestamptz NOT NULL DEFAULT now(),
          CONSTRAINT tls_authority_pkey PRIMARY KEY (is_only_row),
          CONSTRAINT tls_authority_is_only_row_check CHECK (is_only_row)
        )`,
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE tls_authority');
  }
}
