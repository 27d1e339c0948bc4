import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Failed logins, which are limited, and successful ones, which are exempt from a part of the limits. */
export class Logins1764420000000 implements MigrationInterface {
  readonly name = 'Logins1764420000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await queryRunner.query(statement);
  }
}

const UP = [
  `CREATE TABLE login_failures (
      network text COLLATE "C" NOT NULL,
      name_hash integer NOT NULL,
      minute timestamptz NOT NULL,
      failures integer NOT NULL,
      is_exempt boolean NOT NULL,
      CONSTRAINT login_failures_pkey PRIMARY KEY (network, name_hash, minute)
    )`,
  `CREATE INDEX login_failures_minute_idx ON login_failures (minute)`,
  `CREATE TABLE logins (
      account_id bigint NOT NULL,
      network text COLLATE "C" NOT NULL,
      credential text COLLATE "C" NOT NULL,
      last_at timestamptz NOT NULL,
      CONSTRAINT logins_pkey PRIMARY KEY (account_id, network, credential),
      CONSTRAINT logins_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
    )`,
  `CREATE INDEX logins_last_at_idx ON logins (last_at)`,
];

const DOWN = [`DROP TABLE logins`, `DROP TABLE login_failures`];
