/** Runs SQL on the database of a Berth. */
type Query = <Row>(sql: string, parameters: unknown[]) => Promise<Row[]>;

const OWN = 'repository_id IN (SELECT id FROM repositories WHERE name = $1)';

/** Everything that a request that changes names may write, as text, by table. */
const ROWS = {
  manifests: `SELECT id, digest, deletion_id, pushed_at::text FROM manifests WHERE ${OWN} ORDER BY id`,
  tags: `SELECT name, manifest_id, updated_at::text FROM tags WHERE ${OWN} ORDER BY name`,
  tag_events: `SELECT id, tag, from_digest, to_digest FROM tag_events WHERE ${OWN} ORDER BY id`,
  repository_blobs: `SELECT blob_id, hidden_at::text, candidate_since::text
                       FROM repository_blobs WHERE ${OWN} ORDER BY blob_id`,
  deletions: 'SELECT id, kind, reference, state FROM deletions WHERE repository = $1 ORDER BY id',
  audit_events: 'SELECT id, action, subject FROM audit_events WHERE repository = $1 ORDER BY id',
} as const;

export type RepositoryRows = Record<keyof typeof ROWS, readonly Record<string, unknown>[]>;

/** The rows of a repository, by table. Equal before and after a request, the request changed nothing. */
export async function rowsOf(query: Query, repository: string): Promise<RepositoryRows> {
  const tables = Object.entries(ROWS).map(async ([table, sql]) => [table, await query(sql, [repository])]);
  return Object.fromEntries(await Promise.all(tables)) as RepositoryRows;
}
