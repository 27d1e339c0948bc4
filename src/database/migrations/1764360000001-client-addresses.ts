import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The address of the client that pushed a manifest or changed a tag. The statement of the store sets
 * `berth.client_address` for its transaction, and the columns default to it: so the functions that write
 * need no parameter for it. It stays null for pushes of older replicas.
 *
 * Events of a tag now have the time when they were written, not when their transaction began: so the times
 * are in the order of the changes.
 */
export class ClientAddresses1764360000001 implements MigrationInterface {
  readonly name = 'ClientAddresses1764360000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await queryRunner.query(statement);
  }
}

/** After the transaction that set it, the setting is an empty text. */
const CLIENT_ADDRESS = `NULLIF(current_setting('berth.client_address', true), '')`;

const UP = [
  // In the order of a push, to avoid a deadlock.
  `LOCK TABLE manifests, tag_events IN ACCESS EXCLUSIVE MODE`,
  `ALTER TABLE manifests ADD COLUMN client_address text`,
  `ALTER TABLE manifests ALTER COLUMN client_address SET DEFAULT ${CLIENT_ADDRESS}`,
  `ALTER TABLE tag_events ADD COLUMN client_address text`,
  `ALTER TABLE tag_events ALTER COLUMN client_address SET DEFAULT ${CLIENT_ADDRESS}`,
  `ALTER TABLE tag_events ALTER COLUMN happened_at SET DEFAULT clock_timestamp()`,
];

const DOWN = [
  `ALTER TABLE tag_events ALTER COLUMN happened_at SET DEFAULT now()`,
  `ALTER TABLE tag_events DROP COLUMN client_address`,
  `ALTER TABLE manifests DROP COLUMN client_address`,
];
