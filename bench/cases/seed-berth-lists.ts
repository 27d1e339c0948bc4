import type { Client } from 'pg';
import { withDatabase } from '../servers/berth-database.js';

/** Tags the manifest of the repository, and records the tag events, as a push does. */
export function seedBerthTags(directory: string, repository: string, tags: readonly string[]): Promise<void> {
  return withDatabase(directory, async (client) => {
    const of =
      'FROM repositories r JOIN manifests m ON m.repository_id = r.id, unnest($2::text[]) AS tag ' +
      'WHERE r.name = $1';
    await client.query(`INSERT INTO tags (repository_id, name, manifest_id) SELECT r.id, tag, m.id ${of}`, [
      repository,
      tags,
    ]);
    await client.query(
      `INSERT INTO tag_events (repository_id, tag, to_digest) SELECT r.id, tag, m.digest ${of}`,
      [repository, tags],
    );
    await settle(client);
  });
}

/** Empty repositories. The catalog reads only their names. */
export function seedBerthRepositories(directory: string, names: readonly string[]): Promise<void> {
  return withDatabase(directory, async (client) => {
    await client.query('INSERT INTO repositories (name) SELECT unnest($1::text[])', [names]);
    await settle(client);
  });
}

/** Autovacuum does the same within a minute of so many new rows. */
async function settle(client: Client): Promise<void> {
  await client.query('VACUUM ANALYZE');
}
