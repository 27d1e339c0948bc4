import pg from 'pg';
import type { EntityManager } from 'typeorm';
import { untilSessionsWait } from './lock-waits.js';

/** A statement and its parameters. */
export type Statement = readonly [sql: string, parameters: unknown[]];

/** Starts `work` while another session holds the locks of the statements. Then commits that session. */
export async function during<T>(
  databaseUrl: string,
  statements: readonly Statement[],
  work: () => Promise<T>,
): Promise<T> {
  const other = new pg.Client({ connectionString: databaseUrl });
  await other.connect();
  try {
    await other.query('BEGIN');
    for (const [sql, parameters] of statements) await other.query(sql, parameters);
    const begun = await work();
    await other.query('COMMIT');
    return begun;
  } finally {
    await other.end();
  }
}

/**
 * Sends a request that waits for the locks of the statements, and commits them. Returns its response.
 *
 * @throws if the request did not wait
 */
export async function waitingFor<T>(
  { databaseUrl, database }: { databaseUrl: string; database: { dataSource: { manager: EntityManager } } },
  statements: readonly Statement[],
  request: () => Promise<T>,
): Promise<T> {
  const [response] = await during(databaseUrl, statements, async () => {
    const begun = request();
    const early = begun.then(() => {
      throw new Error('the request did not wait for the other session');
    });
    await Promise.race([early, untilSessionsWait(database.dataSource.manager)]);
    return [begun] as const;
  });
  return response;
}
