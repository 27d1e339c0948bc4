import type { MigrationInterface, QueryRunner } from 'typeorm';
import { queryRows } from '../query-rows.js';

/** Number of ids per statement. */
const AT_ONCE = 1_000;

/**
 * Fills `manifest_missing_references.repository_id`, and marks blobs that no repository links any more, in
 * short transactions. Its time grows with the tables. If interrupted, it continues with the remaining rows.
 */
export class FilledCandidates1764500000002 implements MigrationInterface {
  readonly name = 'FilledCandidates1764500000002';
  readonly transaction = false;

  async up(queryRunner: QueryRunner): Promise<void> {
    await inSteps(
      queryRunner,
      'SELECT min(manifest_id) AS first, max(manifest_id) AS last FROM manifest_missing_references',
      `UPDATE manifest_missing_references r SET repository_id = m.repository_id
         FROM manifests m
        WHERE m.id = r.manifest_id AND r.repository_id IS NULL
          AND r.manifest_id >= $1 AND r.manifest_id < $2`,
    );
    await inSteps(
      queryRunner,
      'SELECT min(id) AS first, max(id) AS last FROM blobs',
      `UPDATE blobs b SET candidate_since = now()
        WHERE b.id >= $1 AND b.id < $2 AND b.candidate_since IS NULL
          AND NOT EXISTS (SELECT FROM repository_blobs l WHERE l.blob_id = b.id)`,
    );
  }

  async down(): Promise<void> {
    // An earlier migration drops the columns.
  }
}

async function inSteps(queryRunner: QueryRunner, range: string, update: string): Promise<void> {
  const [ids] = await queryRows<{ first: string | null; last: string | null }>(queryRunner.manager, range);
  // Ids start at 1. Without rows, both are 0 and nothing is updated.
  const [first, last] = [Number(ids?.first ?? 0), Number(ids?.last ?? 0)];
  for (let from = first; from <= last; from += AT_ONCE) {
    await queryRunner.query(update, [from, from + AT_ONCE]);
  }
}
