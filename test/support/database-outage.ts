import pg from 'pg';

/** Connects to the server, beside the registry, by another database. */
async function withAdmin<T>(
  databaseUrl: string,
  work: (admin: pg.Client, database: string) => Promise<T>,
  connectTo = 'postgres',
): Promise<T> {
  const url = new URL(databaseUrl);
  const host = decodeURIComponent(url.hostname);
  const admin = new pg.Client({ host, port: Number(url.port), user: url.username, database: connectTo });
  await admin.connect();
  try {
    return await work(admin, url.pathname.slice(1));
  } finally {
    await admin.end();
  }
}

/** Closes every connection to a database and allows none while `work` runs, as in a restart of Postgres. */
export function withoutDatabase(databaseUrl: string, work: () => Promise<void>): Promise<void> {
  return withAdmin(databaseUrl, async (admin, database) => {
    try {
      await admin.query(`ALTER DATABASE ${database} ALLOW_CONNECTIONS false`);
      const cut = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1';
      await admin.query(cut, [database]);
      await work();
    } finally {
      await admin.query(`ALTER DATABASE ${database} ALLOW_CONNECTIONS true`);
    }
  });
}

/** Locks a table while `work` runs. `work` can ask how many statements wait for it. */
export function withLockedTable(
  databaseUrl: string,
  table: string,
  work: (waiting: () => Promise<number>) => Promise<void>,
): Promise<void> {
  const database = new URL(databaseUrl).pathname.slice(1);
  return withAdmin(
    databaseUrl,
    async (admin) => {
      await admin.query(`BEGIN; LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
      await work(async () => {
        const count = `SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = '${table}'::regclass`;
        const { rows } = await admin.query<{ count: string }>(count);
        return Number(rows[0]?.count);
      });
      await admin.query('COMMIT');
    },
    database,
  );
}
