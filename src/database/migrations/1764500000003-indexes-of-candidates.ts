import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Indexes with which the collector finds its work. Those of candidates end in a key, so that a run can
 * continue after the last row that it looked at. Built without blocking pushes.
 */
export class IndexesOfCandidates1764500000003 implements MigrationInterface {
  readonly name = 'IndexesOfCandidates1764500000003';
  /** CONCURRENTLY can't run in a transaction. */
  readonly transaction = false;

  async up(queryRunner: QueryRunner): Promise<void> {
    // Waits for older transactions, for instance of a backup, without blocking other sessions.
    await queryRunner.query(`SET lock_timeout = '10min'`);
    try {
      for (const [name, definition] of INDEXES) {
        // A failed attempt leaves an invalid index.
        await queryRunner.query(`DROP INDEX CONCURRENTLY IF EXISTS ${name}`);
        await queryRunner.query(`CREATE INDEX CONCURRENTLY ${name} ON ${definition}`);
      }
      await queryRunner.query(`DROP INDEX CONCURRENTLY IF EXISTS manifest_missing_references_digest_idx`);
    } finally {
      await queryRunner.query(`RESET lock_timeout`);
    }
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `CREATE INDEX manifest_missing_references_digest_idx ON manifest_missing_references (digest)`,
    );
    for (const [name] of INDEXES) await queryRunner.query(`DROP INDEX ${name}`);
  }
}

const INDEXES: readonly (readonly [string, string])[] = [
  [
    'repository_blobs_candidate_since_repository_id_blob_id_idx',
    'repository_blobs (candidate_since, repository_id, blob_id) WHERE candidate_since IS NOT NULL',
  ],
  ['blobs_candidate_since_id_idx', 'blobs (candidate_since, id) WHERE candidate_since IS NOT NULL'],
  ['manifests_deletion_id_id_idx', 'manifests (deletion_id, id) WHERE deletion_id IS NOT NULL'],
  ['manifests_pushed_at_idx', 'manifests (pushed_at, id)'],
  ['repositories_deletion_id_idx', 'repositories (deletion_id) WHERE deletion_id IS NOT NULL'],
  ['tag_events_deletion_id_idx', 'tag_events (deletion_id) WHERE deletion_id IS NOT NULL'],
  // When a manifest lost a tag. A new tag costs no entry.
  [
    'tag_events_repository_id_from_digest_happened_at_idx',
    'tag_events (repository_id, from_digest, happened_at) WHERE from_digest IS NOT NULL',
  ],
  ['deletions_purging_repositories_idx', `deletions (id) WHERE state = 'purging' AND kind = 'repository'`],
  ['deletions_ended_at_idx', 'deletions (ended_at) WHERE ended_at IS NOT NULL'],
  [
    'manifest_missing_references_digest_repository_id_idx',
    'manifest_missing_references (digest, repository_id)',
  ],
];
