import type { MigrationInterface, QueryRunner } from 'typeorm';
import { queryRows } from '../query-rows.js';

/** Number of manifests per statement. */
const MANIFESTS_AT_ONCE = 1_000;

/**
 * Computes the sizes of images that are older than the triggers of `ImageSizes`, in short transactions, so
 * that older replicas can push and delete. A trigger copies them to the tags. Its time grows with the table.
 * If interrupted, it continues with the remaining rows.
 */
export class FilledImageSizes1764360000002 implements MigrationInterface {
  readonly name = 'FilledImageSizes1764360000002';
  readonly transaction = false;

  async up(queryRunner: QueryRunner): Promise<void> {
    const sql = 'SELECT min(id) AS first, max(id) AS last FROM manifests';
    const [ids] = await queryRows<{ first: string | null; last: string | null }>(queryRunner.manager, sql);
    // Ids start at 1. Without rows, both are 0 and nothing is updated.
    const [first, last] = [Number(ids?.first ?? 0), Number(ids?.last ?? 0)];
    for (let from = first; from <= last; from += MANIFESTS_AT_ONCE) {
      await queryRunner.query(
        `UPDATE manifests m SET image_size_bytes = image.size
           FROM (SELECT id, image_size(ARRAY[id], NULL) AS size FROM manifests
                  WHERE id >= $1 AND id < $2 AND image_size_bytes = 0
                    FOR NO KEY UPDATE) AS image
          WHERE m.id = image.id AND image.size <> 0`,
        [from, from + MANIFESTS_AT_ONCE],
      );
    }
  }

  async down(): Promise<void> {
    // `ImageSizes` drops the columns.
  }
}
