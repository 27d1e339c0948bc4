import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What the storage would lose if all manifests without a tag were deleted, with what follows them. Functions
 * that only read: `UNTAGGED_FORECAST` follows manifests as `follow_deletion` does, without deleting them.
 */
export class UntaggedForecast1764600000000 implements MigrationInterface {
  readonly name = 'UntaggedForecast1764600000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `DROP FUNCTION untagged_forecast, bytes_of_blobs_without, manifests_held_by_none, manifests_led_to,
         following_tags`,
    );
    await queryRunner.query('DROP VIEW lasting_manifests');
  }
}

/**
 * Settings of each function. Arrays are expected to be short, whatever is in them: so there is one lookup by
 * index per manifest, and `NOT IN (SELECT unnest(…))` is a hash table, also of a million ids.
 */
const AS_FORECAST = `LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan`;

/**
 * Manifests that stay when the windows of all deletions are over: live ones, and those that are being
 * restored, in repositories that stay.
 */
const LASTING_MANIFESTS = `
  CREATE VIEW lasting_manifests AS
  SELECT m.*
    FROM manifests AS m
   WHERE (m.deletion_id IS NULL
          OR EXISTS (SELECT FROM deletions AS d
                      WHERE d.id = m.deletion_id AND d.state NOT IN ('restorable', 'purging') OFFSET 0))
     AND EXISTS (SELECT FROM repositories AS r WHERE r.id = m.repository_id AND r.name IS NOT NULL OFFSET 0)`;

/** The tags that `delete_following_tags` deletes after these manifests, and what they point at. */
const FOLLOWING_TAGS = `
  CREATE FUNCTION following_tags(p_manifests bigint[]) RETURNS TABLE (key text, manifest_id bigint)
  ${AS_FORECAST} AS $$
  BEGIN
    RETURN QUERY
    SELECT m.repository_id || ' ' || t.name, t.manifest_id
      FROM unnest(p_manifests) AS own (id)
     CROSS JOIN LATERAL (
             SELECT repository_id,
                    left(split_part(digest, ':', 1), 32) || '-' || left(split_part(digest, ':', 2), 64) AS tag
               FROM manifests WHERE id = own.id OFFSET 0) AS m
     CROSS JOIN unnest(ARRAY['', '.sig', '.att', '.sbom']) AS suffix
     CROSS JOIN LATERAL (SELECT tags.name, tags.manifest_id FROM tags
                          WHERE tags.repository_id = m.repository_id
                            AND tags.name = (m.tag || suffix) COLLATE "C" OFFSET 0) AS t;
  END $$`;

/** Children of these manifests, also those that were pushed after their index, and referrers. */
const MANIFESTS_LED_TO = `
  CREATE FUNCTION manifests_led_to(p_manifests bigint[]) RETURNS SETOF bigint ${AS_FORECAST} AS $$
  BEGIN
    RETURN QUERY
    SELECT c.child_id
      FROM unnest(p_manifests) AS own (id)
     CROSS JOIN LATERAL (SELECT child_id FROM manifest_children WHERE parent_id = own.id OFFSET 0) AS c
     UNION ALL
    SELECT child.id
      FROM unnest(p_manifests) AS own (id)
     CROSS JOIN LATERAL (SELECT repository_id, digest FROM manifest_missing_references
                          WHERE manifest_id = own.id OFFSET 0) AS r
     CROSS JOIN LATERAL (SELECT id FROM live_manifests
                          WHERE repository_id = r.repository_id AND digest = r.digest OFFSET 0) AS child
     UNION ALL
    SELECT referrer.id
      FROM unnest(p_manifests) AS own (id)
     CROSS JOIN LATERAL (SELECT repository_id, digest FROM manifests WHERE id = own.id OFFSET 0) AS subject
     CROSS JOIN LATERAL (SELECT id FROM live_manifests
                          WHERE repository_id = subject.repository_id AND subject_digest = subject.digest
                         OFFSET 0) AS referrer;
  END $$`;

/** Those of the manifests that nothing holds once `p_gone` and the tags with these keys are gone. */
const MANIFESTS_HELD_BY_NONE = `
  CREATE FUNCTION manifests_held_by_none(p_manifests bigint[], p_gone bigint[], p_gone_tags text[])
  RETURNS SETOF bigint ${AS_FORECAST} AS $$
  BEGIN
    RETURN QUERY
    SELECT m.id
      FROM (SELECT unnest(p_manifests) EXCEPT SELECT unnest(p_gone)) AS candidate (id)
     CROSS JOIN LATERAL (SELECT id, repository_id, digest, subject_digest FROM live_manifests
                          WHERE id = candidate.id OFFSET 0) AS m
     WHERE NOT EXISTS (SELECT FROM tags AS t
                        WHERE t.manifest_id = m.id
                          AND (t.repository_id || ' ' || t.name) NOT IN (SELECT unnest(p_gone_tags)) OFFSET 0)
       AND NOT EXISTS (SELECT FROM manifest_children AS c
                        CROSS JOIN LATERAL (SELECT FROM live_manifests WHERE id = c.parent_id LIMIT 1) AS p
                        WHERE c.child_id = m.id AND c.parent_id NOT IN (SELECT unnest(p_gone)) OFFSET 0)
       AND NOT EXISTS (SELECT FROM manifest_missing_references AS r
                        CROSS JOIN LATERAL (SELECT FROM live_manifests WHERE id = r.manifest_id LIMIT 1) AS p
                        WHERE r.digest = m.digest AND r.repository_id = m.repository_id
                          AND r.manifest_id NOT IN (SELECT unnest(p_gone)) OFFSET 0)
       AND NOT EXISTS (SELECT FROM live_manifests AS subject
                        WHERE subject.repository_id = m.repository_id AND subject.digest = m.subject_digest
                          AND subject.id NOT IN (SELECT unnest(p_gone)) OFFSET 0);
  END $$`;

/**
 * The bytes of the blobs that these manifests need, and that no other manifest needs which stays, in any
 * repository: with the manifests, these blobs lose their last link that does not go anyway.
 */
const BYTES_OF_BLOBS_WITHOUT = `
  CREATE FUNCTION bytes_of_blobs_without(p_gone bigint[]) RETURNS bigint ${AS_FORECAST} AS $$
  BEGIN
    RETURN (
      WITH needed AS MATERIALIZED (
        SELECT r.blob_id
          FROM unnest(p_gone) AS own (id)
         CROSS JOIN LATERAL (SELECT blob_id FROM manifest_blobs WHERE manifest_id = own.id OFFSET 0) AS r
         UNION
        -- Blobs that were pushed after the manifest.
        SELECT l.blob_id
          FROM unnest(p_gone) AS own (id)
         CROSS JOIN LATERAL (SELECT repository_id, digest FROM manifest_missing_references
                              WHERE manifest_id = own.id OFFSET 0) AS r
         CROSS JOIN LATERAL (SELECT blob_id FROM blob_digests WHERE digest = r.digest OFFSET 0) AS d
         CROSS JOIN LATERAL (SELECT blob_id FROM repository_blobs
                              WHERE repository_id = r.repository_id AND blob_id = d.blob_id OFFSET 0) AS l)
      SELECT coalesce(sum(b.size_bytes * (1 + displaced.n)), 0)
        FROM needed
       CROSS JOIN LATERAL (SELECT id, size_bytes FROM blobs WHERE id = needed.blob_id OFFSET 0) AS b
       CROSS JOIN LATERAL (SELECT count(*) AS n FROM displaced_objects WHERE blob_id = b.id) AS displaced
       WHERE NOT EXISTS (SELECT FROM manifest_blobs AS r
                         CROSS JOIN LATERAL (SELECT FROM lasting_manifests
                                              WHERE id = r.manifest_id LIMIT 1) AS m
                         WHERE r.blob_id = b.id AND r.manifest_id NOT IN (SELECT unnest(p_gone)) OFFSET 0)
         AND NOT EXISTS (SELECT FROM blob_digests AS d
                         CROSS JOIN LATERAL (SELECT manifest_id, repository_id
                                               FROM manifest_missing_references
                                              WHERE digest = d.digest OFFSET 0) AS r
                         CROSS JOIN LATERAL (SELECT FROM lasting_manifests
                                              WHERE id = r.manifest_id LIMIT 1) AS m
                         CROSS JOIN LATERAL (SELECT FROM repository_blobs
                                              WHERE repository_id = r.repository_id AND blob_id = b.id
                                              LIMIT 1) AS l
                         WHERE d.blob_id = b.id AND r.manifest_id NOT IN (SELECT unnest(p_gone)) OFFSET 0));
  END $$`;

/**
 * How many live manifests nothing holds, and the bytes of blobs that the storage loses, beyond those that go
 * anyway, when they are deleted, the collector has followed these deletions, and all windows are over.
 *
 * `found` is what was deleted last. Only what it leads to can have lost its last holder.
 */
const UNTAGGED_FORECAST = `
  CREATE FUNCTION untagged_forecast(OUT manifests bigint, OUT bytes bigint) ${AS_FORECAST} AS $$
  DECLARE
    gone bigint[];
    gone_tags text[] := '{}';
    found bigint[];
    following_keys text[];
    pointed_at bigint[];
  BEGIN
    -- The view decides. That most manifests have a tag is known faster from two indexes.
    gone := ARRAY(SELECT m.id
                    FROM (SELECT own.id FROM manifests AS own
                           WHERE NOT EXISTS (SELECT FROM tags AS t WHERE t.manifest_id = own.id)
                          OFFSET 0) AS untagged
                   CROSS JOIN LATERAL (SELECT id, repository_id FROM unheld_manifests
                                        WHERE id = untagged.id OFFSET 0) AS m
                   -- The others go with their repository.
                   CROSS JOIN LATERAL (SELECT FROM repositories
                                        WHERE id = m.repository_id AND name IS NOT NULL OFFSET 0) AS named);
    manifests := cardinality(gone);
    found := gone;
    WHILE found <> '{}' LOOP
      SELECT coalesce(array_agg(t.key), '{}'), coalesce(array_agg(t.manifest_id), '{}')
        INTO following_keys, pointed_at FROM following_tags(found) AS t;
      gone_tags := gone_tags || following_keys;
      found := ARRAY(SELECT manifests_held_by_none(pointed_at || ARRAY(SELECT manifests_led_to(found)),
                                                   gone, gone_tags));
      gone := gone || found;
    END LOOP;
    bytes := bytes_of_blobs_without(gone);
  END $$`;

const UP = [
  LASTING_MANIFESTS,
  FOLLOWING_TAGS,
  MANIFESTS_LED_TO,
  MANIFESTS_HELD_BY_NONE,
  BYTES_OF_BLOBS_WITHOUT,
  UNTAGGED_FORECAST,
];
