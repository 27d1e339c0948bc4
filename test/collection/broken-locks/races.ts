import type { LockRace } from './lock-race.js';

const digest = (n: number) => `sha256:${String(n).padStart(64, '0')}`;
const [LAYER, IMAGE, INDEX] = [digest(1), digest(2), digest(3)];

/** A PUT of a manifest to the repository `r`. */
function put(
  own: string,
  { blobs = [], children = [], tags = [] }: Partial<Record<'blobs' | 'children' | 'tags', string[]>>,
) {
  const list = (values: string[]) => `ARRAY[${values.map((value) => `'${value}'`).join(', ')}]::text[]`;
  return (
    `SELECT put_manifest('r', '${own}', 'application/json', NULL, NULL, NULL, '{}'::bytea, ` +
    `${list(blobs)}, ${list(children)}, false, ${list(tags)}, NULL)`
  );
}

/** A repository `r` with a linked layer. */
const SEED = [
  `INSERT INTO repositories (id, name) VALUES (1001, 'r')`,
  `INSERT INTO blobs (id, size_bytes, object_key) VALUES (1001, 5, 'key')`,
  `INSERT INTO blob_digests (digest, blob_id) VALUES ('${LAYER}', 1001)`,
  `INSERT INTO repository_blobs (repository_id, blob_id) VALUES (1001, 1001)`,
];

/** Every live index has live children, every tag a live manifest, every live manifest its links. */
const FITS = `
  SELECT NOT EXISTS (SELECT FROM manifest_children c JOIN live_manifests p ON p.id = c.parent_id
                       JOIN manifests m ON m.id = c.child_id WHERE m.deletion_id IS NOT NULL)
     AND NOT EXISTS (SELECT FROM tags t JOIN manifests m ON m.id = t.manifest_id
                      WHERE m.deletion_id IS NOT NULL)
     AND NOT EXISTS (SELECT FROM manifest_blobs b JOIN live_manifests m ON m.id = b.manifest_id
                       LEFT JOIN repository_blobs l
                         ON l.repository_id = b.repository_id AND l.blob_id = b.blob_id
                        AND l.hidden_at IS NULL
                      WHERE l.blob_id IS NULL) AS ok`;

function collectLinks(graceSeconds: number): string {
  return `collect_links(${graceSeconds}, 100, '-infinity', 0, 0)`;
}

const LINKS = {
  function: 'collect_links',
  sleepsBefore: 'DELETE FROM repository_blobs',
  lock: 'FOR UPDATE SKIP LOCKED',
  seed: SEED,
  first: 'SELECT * FROM ' + collectLinks(0),
};
const UPLOAD = '00000000-0000-4000-8000-000000000001';

export const LOCK_RACES: readonly LockRace[] = [
  {
    row: 'index PUT / child deleted',
    function: 'soft_delete_manifest',
    sleepsBefore: 'INSERT INTO deletions',
    lock: 'deletion_id IS NULL FOR UPDATE;',
    without: 'deletion_id IS NULL;',
    seed: [...SEED, put(IMAGE, { blobs: [LAYER] })],
    first: `SELECT soft_delete_manifest('r', '${IMAGE}', NULL)`,
    second: put(INDEX, { children: [IMAGE] }),
    check: FITS,
  },
  {
    row: 'tag PUT / manifest deleted',
    function: 'soft_delete_manifest',
    sleepsBefore: 'UPDATE manifests SET deletion_id',
    lock: 'deletion_id IS NULL FOR UPDATE;',
    without: 'deletion_id IS NULL;',
    seed: [...SEED, put(IMAGE, { blobs: [LAYER] })],
    first: `SELECT soft_delete_manifest('r', '${IMAGE}', NULL)`,
    second: put(IMAGE, { blobs: [LAYER], tags: ['new'] }),
    check: FITS,
  },
  {
    row: 'manifest PUT / blob deleted',
    function: 'unlink_blob',
    sleepsBefore: 'UPDATE repository_blobs SET hidden_at',
    lock: 'AND hidden_at IS NULL FOR UPDATE;',
    without: 'AND hidden_at IS NULL;',
    seed: SEED,
    first: `SELECT unlink_blob('r', '${LAYER}', NULL)`,
    second: put(IMAGE, { blobs: [LAYER] }),
    check: FITS,
  },
  {
    row: 'write / repository deleted',
    function: 'ensure_repository',
    sleepsBefore: 'IF FOUND THEN RETURN found_id; END IF;',
    lock: 'WHERE name = p_name FOR KEY SHARE;',
    without: 'WHERE name = p_name;',
    seed: [...SEED, 'CREATE TABLE answers (n int GENERATED ALWAYS AS IDENTITY, what text)'],
    first: `WITH linked AS (SELECT link_blob(ensure_repository('r'), 1001) AS is_new)
            INSERT INTO answers (what) SELECT 'pushed' FROM linked`,
    second: `WITH deleted AS (SELECT delete_repository('r', NULL) AS id)
             INSERT INTO answers (what) SELECT 'deleted' FROM deleted`,
    // What was acknowledged after the deletion is in a repository with a name.
    check: `SELECT (SELECT array_agg(what ORDER BY n) FROM answers) = '{pushed,deleted}'
                OR EXISTS (SELECT FROM repositories WHERE name = 'r') AS ok`,
  },
  {
    row: 'manifest PUT / link',
    ...LINKS,
    second: put(IMAGE, { blobs: [LAYER] }),
    check: FITS,
  },
  {
    row: 'push or mount of a linked blob / link',
    ...LINKS,
    second: 'SELECT link_blob(1001, 1001)',
    check: 'SELECT EXISTS (SELECT FROM repository_blobs) AS ok',
  },
  {
    row: 'push or mount of a linked blob / link',
    function: 'link_blob',
    sleepsBefore: 'RETURN coalesce',
    lock: 'WHERE link.candidate_since IS NOT NULL OR link.hidden_at IS NOT NULL',
    without: 'WHERE false',
    // The grace of the link has ended. A link that is not renewed is collected with the next run.
    seed: [...SEED, `UPDATE repository_blobs SET candidate_since = now() - interval '1 hour'`],
    first: 'SELECT link_blob(1001, 1001)',
    second: 'SELECT pg_sleep(0.5); SELECT * FROM ' + collectLinks(60),
    check: 'SELECT EXISTS (SELECT FROM repository_blobs) AS ok',
  },
  {
    row: 'HEAD, then PUT / link',
    ...LINKS,
    seed: [...SEED, 'CREATE TABLE answers (what text)'],
    second: `WITH renewed AS (UPDATE repository_blobs SET candidate_since = now() RETURNING true)
             INSERT INTO answers SELECT 'found' FROM renewed`,
    check: 'SELECT NOT EXISTS (SELECT FROM answers) OR EXISTS (SELECT FROM repository_blobs) AS ok',
  },
  {
    row: 'commit / blob',
    function: 'collect_blobs',
    sleepsBefore: 'INSERT INTO object_deletions',
    lock: 'FOR UPDATE SKIP LOCKED',
    seed: [
      ...SEED,
      'DELETE FROM repository_blobs',
      `INSERT INTO uploads (id, repository, state, version, driver_state, midstates, digest)
       VALUES ('${UPLOAD}', 'r', 'committing', 1, '{}', '[]', '${LAYER}')`,
    ],
    first: `SELECT * FROM collect_blobs(0, 100, '-infinity', 0)`,
    second: `SELECT commit_upload('${UPLOAD}', 1, 'r', '${LAYER}', '{${LAYER}}', 5, 'new-key', NULL, NULL,
                                  'replica', NULL, NULL, 1)`,
    check: `SELECT EXISTS (SELECT FROM repository_blobs l JOIN blobs b ON b.id = l.blob_id
                            WHERE b.object_key NOT IN (SELECT object_key FROM object_deletions)) AS ok`,
  },
];
