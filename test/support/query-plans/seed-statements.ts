import { accessStatements } from './seed-access.js';
import { loginStatements } from './seed-logins.js';
import { uploadStatements } from './seed-uploads.js';

/**
 * How many rows there are: at scale 1, the least, as many as a test run holds; at 25 a million manifests and
 * ten million links.
 */
export function sizesAt(scale: number) {
  const manifests = Math.round(40_000 * scale);
  return {
    scale,
    repositories: Math.round(4_000 * scale),
    /** The last tenth of the repositories has nothing. */
    filled: Math.round(3_600 * scale),
    manifests,
    /** The first ones are of one repository. */
    manifestsOfBig: Math.round(manifests * 0.4),
    /** … and of these the first ones name one subject. */
    referrersOfOne: Math.round(manifests * 0.1),
    uploads: Math.round(20_000 * scale),
    displaced: Math.round(5_000 * scale),
  };
}

export type Sizes = ReturnType<typeof sizesAt>;

/** `{}`, as a config: nearly every repository links it. */
export const EMPTY_JSON = 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a';
export const BIG_REPOSITORY = 'big/monorepo';
/** Its history is long. */
export const MOVING_TAG = 'nightly-1';
/** Of few of the referrers of the one subject, and of all referrers elsewhere. */
export const RARE_TYPE = 'application/vnd.example.audit';

/**
 * Blobs 2 to 201 are base layers, which many manifests have; each manifest has four of its own behind them.
 */
const BASES = 200;

/** Few sizes, so that many images have the same one. No trigger computes them while it is filled. */
const imageSize = (id: string) => `${id}::bigint * 7919 % 5000`;

const digest = (text: string) => `'sha256:' || encode(sha256((${text})::text::bytea), 'hex')`;

/**
 * A registry by set-based SQL: large, and skewed as registries are. The content of blob `n` is the decimal
 * `n`, but of the first one, which is `{}`; the digest of manifest `n` is that of `manifest n`.
 */
export function seedStatements(sizes: Sizes): string[] {
  return [
    `INSERT INTO repositories (id, name)
     SELECT n, CASE n WHEN 1 THEN '${BIG_REPOSITORY}' ELSE format('team-%s/service-%s', n % 97, n) END
       FROM generate_series(1, ${sizes.repositories}) AS n`,
    ...manifestStatements(sizes),
    ...blobStatements(sizes),
    ...tagStatements(sizes),
    ...uploadStatements(sizes.uploads),
    ...accessStatements(sizes.scale, BIG_REPOSITORY),
    ...loginStatements(sizes.repositories),
    ...['repositories', 'manifests', 'blobs', 'tag_events', 'upload_events'].map(
      (table) => `SELECT setval(pg_get_serial_sequence('${table}', 'id'), (SELECT max(id) FROM ${table}))`,
    ),
  ];
}

/** Of twenty manifests one is an index of three others, and two elsewhere refer to some subject. */
function manifestStatements({ manifests, manifestsOfBig, referrersOfOne, filled }: Sizes): string[] {
  const isIndex = 'n % 20 = 2';
  const toOne = `n <= ${referrersOfOne}`;
  const toSome = `n % 10 = 1 AND n > ${manifestsOfBig}`;
  return [
    `INSERT INTO manifests (id, repository_id, digest, media_type, artifact_type, subject_digest, annotations,
                            content, size_bytes, image_size_bytes, created_at)
     SELECT n, CASE WHEN n <= ${manifestsOfBig} THEN 1 ELSE 2 + n::bigint * 7919 % (${filled} - 1) END,
            ${digest(`'manifest ' || n`)},
            CASE WHEN ${isIndex} THEN 'application/vnd.oci.image.index.v1+json'
                 ELSE 'application/vnd.oci.image.manifest.v1+json' END,
            CASE WHEN ${toOne} AND n % 500 = 0 OR ${toSome} THEN '${RARE_TYPE}'
                 WHEN ${toOne} AND n % 4 = 0 THEN 'application/spdx+json'
                 WHEN ${toOne} THEN 'application/vnd.dev.cosign.artifact.sig.v1+json'
                 WHEN NOT ${isIndex} THEN 'application/vnd.oci.image.config.v1+json' END,
            CASE WHEN ${toOne} THEN ${digest(`'manifest ${manifestsOfBig}'`)}
                 WHEN ${toSome} THEN ${digest(`'subject ' || n / 40`)} END,
            CASE WHEN ${toOne} OR ${toSome}
                 THEN json_build_object('org.opencontainers.image.created', 'day ' || n % 365) END,
            convert_to(repeat('x', 300), 'UTF8'), 300, ${imageSize('n')}, now() - n * interval '1 minute'
       FROM generate_series(1, ${manifests}) AS n`,
    `INSERT INTO manifest_children (parent_id, child_id)
     SELECT n, n + 20 * k + 1
       FROM generate_series(2, ${manifests - 100}, 20) AS n, generate_series(1, 3) AS k`,
    `INSERT INTO manifest_missing_references (manifest_id, digest, repository_id)
     SELECT id, ${digest(`'missing ' || id`)}, repository_id FROM manifests WHERE id % 20 = 2`,
  ];
}

function blobStatements({ manifests, filled, displaced }: Sizes): string[] {
  const blobs = 1 + BASES + 4 * manifests;
  return [
    `INSERT INTO blobs (id, size_bytes, object_key)
     SELECT n, length(n::text), format('blobs/sha256/%s/%s', n % 256, gen_random_uuid())
       FROM generate_series(1, ${blobs}) AS n`,
    // Their check is due after the end of the test.
    `INSERT INTO displaced_objects (object_key, blob_id, reason, look_at)
     SELECT 'blobs/displaced-' || n, ${blobs} - n,
            CASE WHEN n % 2 = 0 THEN 'missing' ELSE 'corrupt' END, now() + interval '1 day'
       FROM generate_series(1, ${displaced}) AS n`,
    `INSERT INTO object_deletions (object_key, size_bytes, digest, due_at)
     SELECT 'blobs/deleted-' || n, 1, ${digest(`'deleted ' || n`)}, now() + interval '1 day'
       FROM generate_series(1, ${displaced}) AS n`,
    `INSERT INTO blob_digests (digest, blob_id)
     SELECT CASE id WHEN 1 THEN '${EMPTY_JSON}' ELSE ${digest('id')} END, id FROM blobs`,
    // Blobs 2n and 2n + 1 have one tarsum.
    `INSERT INTO blob_tarsums (tarsum, blob_id)
     SELECT format('tarsum.v1+sha256:%s', encode(sha256((id / 2 * 2)::text::bytea), 'hex')), id FROM blobs`,
    `INSERT INTO manifest_blobs (manifest_id, blob_id, repository_id)
     SELECT n, blob_id, (SELECT repository_id FROM manifests WHERE id = n)
       FROM generate_series(1, ${manifests}) AS n
      CROSS JOIN LATERAL (SELECT 1 WHERE n % 2 = 0
                          UNION ALL SELECT 2 + n % ${BASES}
                          UNION ALL SELECT 1 + ${BASES} + 4 * (n - 1) + k
                                      FROM generate_series(1, 4) AS k) AS of (blob_id)
      WHERE n % 20 <> 2`,
    `INSERT INTO repository_blobs (repository_id, blob_id)
     SELECT m.repository_id, b.blob_id FROM manifest_blobs b JOIN manifests m ON m.id = b.manifest_id
     UNION
     SELECT n, 1 FROM generate_series(1, ${filled}) AS n`,
  ];
}

/**
 * Two of each manifest of the big repository, and a thousand of one; one of each other, and a `latest` of
 * every repository.
 */
function tagStatements({ manifestsOfBig, manifests }: Sizes): string[] {
  return [
    `INSERT INTO tags (repository_id, name, manifest_id, image_size_bytes, updated_at)
     SELECT repository_id, name, id, ${imageSize('id')}, now() - id * interval '1 minute'
       FROM (SELECT 1 AS repository_id, 'build-' || n AS name, (1 + n % ${manifestsOfBig})::bigint AS id
               FROM generate_series(1, ${2 * manifestsOfBig}) AS n
              UNION ALL
             SELECT 1, 'nightly-' || n, ${manifestsOfBig} FROM generate_series(1, 1000) AS n
              UNION ALL
             SELECT repository_id, 'v' || id, id
               FROM manifests WHERE id > ${manifestsOfBig} AND id <= ${manifests}
              UNION ALL
             SELECT repository_id, 'latest', max(id) FROM manifests GROUP BY repository_id) AS tag`,
    `INSERT INTO tag_events (repository_id, tag, to_digest, happened_at)
     SELECT t.repository_id, t.name, m.digest, t.updated_at
       FROM tags t JOIN manifests m ON m.id = t.manifest_id`,
    // A tag that moves each day.
    `INSERT INTO tag_events (repository_id, tag, from_digest, to_digest, happened_at)
     SELECT 1, '${MOVING_TAG}', ${digest(`'manifest ' || n`)}, ${digest(`'manifest ' || n + 1`)},
            now() - n * interval '1 minute'
       FROM generate_series(1, 5000) AS n`,
  ];
}
