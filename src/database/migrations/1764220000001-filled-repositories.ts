import type { MigrationInterface, QueryRunner } from 'typeorm';
import { queryRows } from '../query-rows.js';

/** Number of manifests per statement. */
const MANIFESTS_AT_ONCE = 1_000;

/**
 * Fills `manifest_blobs.repository_id` of rows older than the trigger, in short transactions, so that older
 * replicas can push and delete. Its time grows with the table. If interrupted, it continues with the
 * remaining rows.
 */
export class FilledRepositories1764220000001 implements MigrationInterface {
  readonly name = 'FilledRepositories1764220000001';
  readonly transaction = false;

  async up(queryRunner: QueryRunner): Promise<void> {
    const sql = 'SELECT min(manifest_id) AS first, max(manifest_id) AS last FROM manifest_blobs';
    const [ids] = await queryRows<{ first: string | null; last: string | null }>(queryRunner.manager, sql);
    // Ids start at 1. Without rows, both are 0 and nothing is updated.
    const [first, last] = [Number(ids?.first ?? 0), Number(ids?.last ?? 0)];
    for (let from = first; from <= last; from += MANIFESTS_AT_ONCE) {
      await queryRunner.query(
        `UPDATE manifest_blobs b SET repository_id = m.repository_id
           FROM manifests m
          WHERE m.id = b.manifest_id AND b.repository_id IS NULL
            AND b.manifest_id >= $1 AND b.manifest_id < $2`,
        [from, from + MANIFESTS_AT_ONCE],
      );
    }
  }

  async down(): Promise<void> {
    // The previous migration drops the column.
  }
}
