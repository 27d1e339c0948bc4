import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Indexes for queries that read all referrers of a subject, or all repositories that link a blob. */
export class BoundedLookups1764100000000 implements MigrationInterface {
  readonly name = 'BoundedLookups1764100000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await queryRunner.query(statement);
  }
}

const UP = [
  `CREATE INDEX manifests_repository_id_subject_digest_artifact_type_idx
      ON manifests (repository_id, subject_digest, artifact_type, digest) WHERE subject_digest IS NOT NULL`,
  `CREATE INDEX repository_blobs_blob_id_repository_id_idx ON repository_blobs (blob_id, repository_id)`,
];

const DOWN = [
  `DROP INDEX repository_blobs_blob_id_repository_id_idx`,
  `DROP INDEX manifests_repository_id_subject_digest_artifact_type_idx`,
];
