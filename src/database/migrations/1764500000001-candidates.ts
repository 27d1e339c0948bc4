import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Triggers that note what may have become garbage: links when references go, blobs when links go. So no
 * statement can forget it, neither a cascade nor one that is written by hand. Rows are locked in the order of
 * their keys. Fast: reads no rows.
 *
 * `-infinity` instead of the time means that no window applies: an operator purged a deletion.
 */
export class Candidates1764500000001 implements MigrationInterface {
  readonly name = 'Candidates1764500000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await queryRunner.query(statement);
  }
}

/** `berth.skip_windows` is set by the statement that purges. */
const SINCE = `CASE WHEN current_setting('berth.skip_windows', true) = 'on' THEN '-infinity' ELSE now() END`;

/** The plans must not depend on statistics: LATERAL and OFFSET 0 force lookups by index. */
const MARK_LINKS = `
  CREATE FUNCTION mark_links(p_repositories bigint[], p_blobs bigint[]) RETURNS void LANGUAGE plpgsql AS $$
  BEGIN
    PERFORM FROM (SELECT DISTINCT repository_id, blob_id
                    FROM unnest(p_repositories, p_blobs) AS gone (repository_id, blob_id)
                   ORDER BY repository_id, blob_id) AS gone
     CROSS JOIN LATERAL (SELECT FROM repository_blobs
                          WHERE repository_id = gone.repository_id AND blob_id = gone.blob_id
                            FOR NO KEY UPDATE) AS link;
    UPDATE repository_blobs AS link SET candidate_since = ${SINCE}
      FROM (SELECT DISTINCT repository_id, blob_id
              FROM unnest(p_repositories, p_blobs) AS gone (repository_id, blob_id) OFFSET 0) AS gone
     WHERE link.repository_id = gone.repository_id AND link.blob_id = gone.blob_id;
  END $$`;

const UP = [
  MARK_LINKS,
  `CREATE FUNCTION mark_links_after_references() RETURNS trigger LANGUAGE plpgsql AS $$
   BEGIN
     PERFORM mark_links(array_agg(repository_id), array_agg(blob_id)) FROM gone HAVING count(*) > 0;
     RETURN NULL;
   END $$`,
  `CREATE TRIGGER manifest_blobs_mark_links AFTER DELETE ON manifest_blobs
     REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION mark_links_after_references()`,
  `CREATE FUNCTION mark_links_after_missing_references() RETURNS trigger LANGUAGE plpgsql AS $$
   BEGIN
     PERFORM mark_links(array_agg(gone.repository_id), array_agg(d.blob_id))
        FROM gone
       CROSS JOIN LATERAL (SELECT blob_id FROM blob_digests WHERE digest = gone.digest OFFSET 0) AS d
      HAVING count(*) > 0;
     RETURN NULL;
   END $$`,
  `CREATE TRIGGER manifest_missing_references_mark_links AFTER DELETE ON manifest_missing_references
     REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION mark_links_after_missing_references()`,
  `CREATE FUNCTION mark_blobs_after_links() RETURNS trigger LANGUAGE plpgsql AS $$
   BEGIN
     PERFORM FROM (SELECT DISTINCT blob_id FROM gone ORDER BY blob_id) AS lost
      CROSS JOIN LATERAL (SELECT FROM blobs WHERE id = lost.blob_id FOR NO KEY UPDATE) AS blob;
     UPDATE blobs AS blob SET candidate_since = lost.since
       FROM (SELECT blob_id,
                    CASE WHEN min(candidate_since) = '-infinity' THEN '-infinity' ELSE ${SINCE} END AS since
               FROM gone GROUP BY blob_id OFFSET 0) AS lost
      WHERE blob.id = lost.blob_id;
     RETURN NULL;
   END $$`,
  `CREATE TRIGGER repository_blobs_mark_blobs AFTER DELETE ON repository_blobs
     REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION mark_blobs_after_links()`,
];

const DOWN = [
  `DROP TRIGGER repository_blobs_mark_blobs ON repository_blobs`,
  `DROP TRIGGER manifest_missing_references_mark_links ON manifest_missing_references`,
  `DROP TRIGGER manifest_blobs_mark_links ON manifest_blobs`,
  `DROP FUNCTION mark_blobs_after_links, mark_links_after_missing_references, mark_links_after_references,
     mark_links`,
];
