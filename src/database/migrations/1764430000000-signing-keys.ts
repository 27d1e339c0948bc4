import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The keys that sign tokens. A change of them raises the epoch, so that all processes read them again. */
export class SigningKeys1764430000000 implements MigrationInterface {
  readonly name = 'SigningKeys1764430000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE signing_keys');
  }
}

const UP = [
  `CREATE TABLE signing_keys (
      kid text COLLATE "C" NOT NULL,
      private_jwk jsonb NOT NULL,
      signs_from timestamptz NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT signing_keys_pkey PRIMARY KEY (kid)
    )`,
  `CREATE TRIGGER signing_keys_raise_access_epoch AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON signing_keys
     FOR EACH STATEMENT EXECUTE FUNCTION raise_access_epoch()`,
];
