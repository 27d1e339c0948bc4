import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Indexes for lists that are sorted by time or size, and for events in a range of time. Built without
 * blocking pushes, then the three indexes that they replace are dropped.
 */
export class IndexesOfSortedLists1764360000003 implements MigrationInterface {
  readonly name = 'IndexesOfSortedLists1764360000003';
  /** CONCURRENTLY can't run in a transaction. */
  readonly transaction = false;

  async up(queryRunner: QueryRunner): Promise<void> {
    // Waits for older transactions, for instance of a backup, without blocking other sessions. With the short
    // timeout of other migrations, the index would have to be built again after each timeout.
    await queryRunner.query(`SET lock_timeout = '10min'`);
    try {
      for (const [name, definition] of INDEXES) {
        // A failed attempt leaves an invalid index.
        await queryRunner.query(`DROP INDEX CONCURRENTLY IF EXISTS ${name}`);
        await queryRunner.query(`CREATE INDEX CONCURRENTLY ${name} ON ${definition}`);
      }
      for (const [name] of SUPERSEDED) await queryRunner.query(`DROP INDEX CONCURRENTLY IF EXISTS ${name}`);
    } finally {
      await queryRunner.query(`RESET lock_timeout`);
    }
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const [name, definition] of SUPERSEDED)
      await queryRunner.query(`CREATE INDEX IF NOT EXISTS ${name} ON ${definition}`);
    for (const [name] of INDEXES) await queryRunner.query(`DROP INDEX IF EXISTS ${name}`);
  }
}

/**
 * Always true. A query must state the condition to use the index. Otherwise Postgres, which has statistics of
 * an average repository, used these indexes to find a tag or a manifest by name, and read whole repositories.
 */
const stated = (column: string, minimum: string) => `WHERE ${column} >= ${minimum}`;

const IN_PROGRESS = `WHERE state IN ('open', 'committing')`;

const INDEXES = [
  [
    'manifests_repository_id_created_at_digest_idx',
    `manifests (repository_id, created_at, digest) ${stated('created_at', `'-infinity'`)}`,
  ],
  [
    'manifests_repository_id_image_size_bytes_digest_idx',
    `manifests (repository_id, image_size_bytes, digest) ${stated('image_size_bytes', '0')}`,
  ],
  [
    'tags_repository_id_updated_at_name_idx',
    `tags (repository_id, updated_at, name) ${stated('updated_at', `'-infinity'`)}`,
  ],
  [
    'tags_repository_id_image_size_bytes_name_idx',
    `tags (repository_id, image_size_bytes, name) ${stated('image_size_bytes', '0')}`,
  ],
  ['tags_manifest_id_name_idx', 'tags (manifest_id, name)'],
  ['uploads_unfinished_created_at_id_idx', `uploads (created_at, id) ${IN_PROGRESS}`],
  ['uploads_unfinished_offset_bytes_id_idx', `uploads (offset_bytes, id) ${IN_PROGRESS}`],
  ['tag_events_repository_id_happened_at_id_idx', 'tag_events (repository_id, happened_at, id)'],
  ['tag_events_repository_id_tag_happened_at_id_idx', 'tag_events (repository_id, tag, happened_at, id)'],
  ['upload_events_upload_id_happened_at_id_idx', 'upload_events (upload_id, happened_at, id)'],
] as const;

const SUPERSEDED = [
  ['tags_manifest_id_idx', 'tags (manifest_id)'],
  ['tag_events_repository_id_tag_id_idx', 'tag_events (repository_id, tag, id)'],
  ['upload_events_upload_id_id_idx', 'upload_events (upload_id, id)'],
] as const;
