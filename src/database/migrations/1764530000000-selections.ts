import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What each stage of a collection selects. The dry run reads the same views and functions, so that it can't
 * differ from what a run does.
 *
 * A stage first locks rows and then looks them up here by their key, in a statement of its own. `OFFSET 0`
 * keeps each condition a lookup by index that ends at the first row: as a join, it could read all references
 * to a blob that millions of manifests have.
 */
export class Selections1764530000000 implements MigrationInterface {
  readonly name = 'Selections1764530000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await queryRunner.query(statement);
  }
}

/**
 * Links whose blob no manifest of their repository needs, neither a live one nor one that can be restored. A
 * manifest that was pushed before the blob needs it, too. A link is collected `GC_GRACE_SECONDS` after its
 * `candidate_since`.
 */
const UNNEEDED_LINKS = `
  CREATE VIEW unneeded_links AS
  SELECT link.*
    FROM repository_blobs AS link
   WHERE NOT EXISTS (SELECT FROM manifest_blobs AS r
                      WHERE r.blob_id = link.blob_id AND r.repository_id = link.repository_id OFFSET 0)
     AND NOT EXISTS (SELECT FROM blob_digests AS d
                      CROSS JOIN LATERAL (SELECT FROM manifest_missing_references
                                           WHERE digest = d.digest AND repository_id = link.repository_id
                                           LIMIT 1) AS r
                      WHERE d.blob_id = link.blob_id OFFSET 0)`;

/** Blobs that no repository links. They have no grace: without a link, no client can see them. */
const UNLINKED_BLOBS = `
  CREATE VIEW unlinked_blobs AS
  SELECT blob.*
    FROM blobs AS blob
   WHERE NOT EXISTS (SELECT FROM repository_blobs AS l WHERE l.blob_id = blob.id OFFSET 0)`;

/** Live manifests that have no tag and that no live index, subject or missing reference holds. */
const UNHELD_MANIFESTS = `
  CREATE VIEW unheld_manifests AS
  SELECT m.*
    FROM live_manifests AS m
   WHERE NOT EXISTS (SELECT FROM tags AS t WHERE t.manifest_id = m.id OFFSET 0)
     AND NOT EXISTS (SELECT FROM manifest_children AS c
                      CROSS JOIN LATERAL (SELECT FROM live_manifests WHERE id = c.parent_id LIMIT 1) AS parent
                      WHERE c.child_id = m.id OFFSET 0)
     AND NOT EXISTS (SELECT FROM manifest_missing_references AS r
                      CROSS JOIN LATERAL (SELECT FROM live_manifests
                                           WHERE id = r.manifest_id LIMIT 1) AS parent
                      WHERE r.digest = m.digest AND r.repository_id = m.repository_id OFFSET 0)
     AND NOT EXISTS (SELECT FROM live_manifests AS subject
                      WHERE subject.repository_id = m.repository_id AND subject.digest = m.subject_digest
                     OFFSET 0)`;

/** Manifests that nothing holds, and whose last tag or push was that long ago. */
const UNTAGGED_MANIFESTS = `
  CREATE FUNCTION untagged_manifests(p_seconds double precision) RETURNS SETOF unheld_manifests
  LANGUAGE sql STABLE AS $$
    SELECT m.*
      FROM unheld_manifests AS m
     WHERE m.pushed_at <= now() - p_seconds * interval '1 second'
       AND NOT EXISTS (SELECT FROM tag_events AS e
                        WHERE e.repository_id = m.repository_id AND e.from_digest = m.digest
                          AND e.happened_at > now() - p_seconds * interval '1 second' OFFSET 0)
  $$`;

/** Deletions that can't be restored any more, or that an operator purges. */
const EXPIRED_DELETIONS = `
  CREATE FUNCTION expired_deletions(p_undelete_seconds double precision) RETURNS SETOF deletions
  LANGUAGE sql STABLE AS $$
    SELECT * FROM deletions
     WHERE state = 'restorable' AND deleted_at <= now() - p_undelete_seconds * interval '1 second'
  $$`;

/**
 * Manifests of deletions that are being purged, unless an index lists them that may become live again: it is
 * live, or its deletion can be restored, or it is a follower, which a push revives. So an index goes before
 * its children. An index that was pushed without the manifest has a missing reference to it, and does not
 * keep it.
 */
const PURGEABLE_MANIFESTS = `
  CREATE VIEW purgeable_manifests AS
  SELECT m.*
    FROM manifests AS m
   WHERE EXISTS (SELECT FROM deletions AS d WHERE d.id = m.deletion_id AND d.state = 'purging' OFFSET 0)
     AND NOT EXISTS (SELECT FROM manifest_children AS c
                      CROSS JOIN LATERAL (SELECT deletion_id, is_follower FROM manifests
                                           WHERE id = c.parent_id LIMIT 1) AS parent
                      WHERE c.child_id = m.id
                        AND (parent.is_follower
                             OR NOT EXISTS (SELECT FROM deletions AS d
                                             WHERE d.id = parent.deletion_id
                                               AND d.state IN ('purging', 'purged')
                                            OFFSET 0))
                        AND NOT EXISTS (SELECT FROM manifest_missing_references AS r
                                         WHERE r.manifest_id = c.parent_id AND r.digest = m.digest OFFSET 0)
                     OFFSET 0)`;

const UP = [
  UNNEEDED_LINKS,
  UNLINKED_BLOBS,
  UNHELD_MANIFESTS,
  UNTAGGED_MANIFESTS,
  EXPIRED_DELETIONS,
  PURGEABLE_MANIFESTS,
];

const DOWN = [
  'DROP VIEW purgeable_manifests',
  'DROP FUNCTION expired_deletions, untagged_manifests',
  'DROP VIEW unheld_manifests, unlinked_blobs, unneeded_links',
];
