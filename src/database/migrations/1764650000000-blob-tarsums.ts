import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Tarsums of blobs. Not in `blob_digests`, whose key is the digest alone: different blobs can have the same
 * tarsum (docs/adr/0040).
 */
export class BlobTarsums1764650000000 implements MigrationInterface {
  readonly name = 'BlobTarsums1764650000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `CREATE TABLE blob_tarsums (
         tarsum text COLLATE "C" NOT NULL,
         blob_id bigint NOT NULL,
         CONSTRAINT blob_tarsums_pkey PRIMARY KEY (tarsum, blob_id),
         CONSTRAINT blob_tarsums_blob_id_fkey FOREIGN KEY (blob_id) REFERENCES blobs ON DELETE CASCADE
       )`,
    );
    await queryRunner.query('CREATE INDEX blob_tarsums_blob_id_idx ON blob_tarsums (blob_id)');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE blob_tarsums');
  }
}
