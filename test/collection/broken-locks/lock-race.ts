import pg from 'pg';
import type { TestDatabase } from '../../support/test-postgres.js';
import { until } from '../../support/until.js';

/** A function of the schema, how to break its lock, and a race that shows it. */
export interface LockRace {
  /** The row of the table in docs/adr/0030. */
  readonly row: string;
  readonly function: string;
  /** The function sleeps before this part of its text. */
  readonly sleepsBefore: string;
  /** The lock in its text. */
  readonly lock: string;
  /** What the lock's text becomes. Default: nothing. */
  readonly without?: string;
  readonly seed: readonly string[];
  /** Calls the function. */
  readonly first: string;
  /** What runs while the function sleeps. */
  readonly second: string;
  /** Returns `ok`: whether the outcome is right. */
  readonly check: string;
}

/** How the race ended: whether the outcome is right, and the errors. */
export interface RaceOutcome {
  readonly isRight: boolean;
  readonly errors: readonly string[];
}

/** Long enough for a request. */
const SLEEP_SECONDS = 0.4;

/** Plays a race on a new database with the schema, with the lock or without it. */
export async function playRace(
  race: LockRace,
  database: TestDatabase,
  withLock: boolean,
): Promise<RaceOutcome> {
  const clients = Array.from({ length: 2 }, () => new pg.Client(database.connection));
  const [one, two] = clients as [pg.Client, pg.Client];
  await Promise.all(clients.map((client) => client.connect()));
  try {
    for (const statement of race.seed) await one.query(statement);
    await one.query(changed(race, await definition(one, race.function), SLEEP_SECONDS, withLock));
    const errors: string[] = [];
    const run = (client: pg.Client, sql: string) =>
      client.query(sql).catch((error: unknown) => errors.push(String(error)));
    const [{ pid } = { pid: 0 }] = (await one.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows;
    const first = run(one, race.first);
    await until(`${race.function} to sleep`, () => isAsleep(two, pid));
    await Promise.all([first, run(two, race.second)]);
    const { rows } = await one.query<{ ok: boolean }>(race.check);
    return { isRight: rows[0]?.ok === true, errors };
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

/** Takes the lock out of the function in a database that is used. */
export async function breakLock(race: LockRace, client: pg.Client, sleepSeconds: number): Promise<void> {
  await client.query(changed(race, await definition(client, race.function), sleepSeconds, false));
}

async function definition(client: pg.Client, name: string): Promise<string> {
  const sql = `SELECT pg_get_functiondef(oid) AS text FROM pg_proc WHERE proname = $1`;
  const { rows } = await client.query<{ text: string }>(sql, [name]);
  const [row] = rows;
  if (row === undefined || rows.length > 1) throw new Error(`there are ${rows.length} functions ${name}`);
  return row.text;
}

function changed(race: LockRace, text: string, sleepSeconds: number, withLock: boolean): string {
  const at = text.indexOf(race.sleepsBefore);
  if (at < 0) throw new Error(`${race.function} has no ${race.sleepsBefore}`);
  const slow = `${text.slice(0, at)}PERFORM pg_sleep(${sleepSeconds});\n${text.slice(at)}`;
  if (!slow.includes(race.lock)) throw new Error(`${race.function} has no ${race.lock}`);
  return withLock ? slow : slow.replace(race.lock, race.without ?? '');
}

async function isAsleep(client: pg.Client, pid: number): Promise<boolean> {
  const sql = `SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'`;
  return (await client.query(sql, [pid])).rows.length > 0;
}
