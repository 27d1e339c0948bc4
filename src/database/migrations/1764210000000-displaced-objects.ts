import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Objects that were a blob's until a push brought their bytes again. The foreign key has no cascade: a blob
 * whose row is deleted must not leave an object that no row names.
 */
export class DisplacedObjects1764210000000 implements MigrationInterface {
  readonly name = 'DisplacedObjects1764210000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE displaced_objects');
  }
}

const UP = [
  `CREATE TABLE displaced_objects (
      object_key text COLLATE "C" NOT NULL,
      blob_id bigint NOT NULL,
      reason text NOT NULL,
      removing boolean NOT NULL DEFAULT false,
      displaced_at timestamptz NOT NULL DEFAULT now(),
      look_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT displaced_objects_reason_check CHECK (reason IN ('missing', 'corrupt')),
      CONSTRAINT displaced_objects_pkey PRIMARY KEY (object_key)
    )`,
  `CREATE INDEX displaced_objects_blob_id_idx ON displaced_objects (blob_id)`,
  `CREATE INDEX displaced_objects_look_at_idx ON displaced_objects (look_at)`,
  `ALTER TABLE displaced_objects
      ADD CONSTRAINT displaced_objects_blob_id_fkey FOREIGN KEY (blob_id) REFERENCES blobs(id)`,
];
