import type { MigrationInterface, QueryRunner } from 'typeorm';
import { queryRows } from '../query-rows.js';

/** Manifests whose rows one statement fills. */
const MANIFESTS_AT_ONCE = 1_000;

/**
 * Fills `manifest_blobs.repository_id` of the rows that were there before the trigger. It takes as long as
 * the table is large, in short transactions: older replicas go on pushing and deleting. What was filled stays
 * when it is repeated.
 */
export class FilledRepositories1764220000001 implements MigrationInterface {
  readonly name = 'FilledRepositories1764220000001';
  readonly transaction = false;

  async up(queryRunner: QueryRunner): Promise<void> {
    const sql = 'SELECT min(manifest_id) AS first, max(manifest_id) AS last FROM manifest_blobs';
    const [ids] = await queryRows<{ first: string | null; last: string | null }>(queryRunner.manager, sql);
    // Ids begin at 1: both are 0 where there are no rows, and nothing is updated.
    const [first, last] = [Number(ids?.first ?? 0), Number(ids?.last ?? 0)];
    for (let from = first; from <= last; from += MANIFESTS_AT_ONCE) {
      await queryRunner.query(
        `UPDATE manifest_blobs b SET repository_id = m.repository_id
           FROM manifests m
          WHERE m.id = b.manifest_id AND b.repository_id IS NULL AND b.manifest_id >= $1 AND b.manifest_id < $2`,
        [from, from + MANIFESTS_AT_ONCE],
      );
    }
  }

  async down(): Promise<void> {
    // The column goes with the migration before this one.
  }
}
