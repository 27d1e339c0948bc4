import pg from 'pg';
import { queryRows } from '../../../src/database/query-rows.js';
import type { UnitOfWork } from '../../../src/database/unit-of-work.js';
import type { TestBerth } from '../../support/test-berth.js';
import { untilSessionsWait } from '../../support/lock-waits.js';
import type { Statements } from './link-requests.js';

/** As `GC_GRACE_SECONDS`. */
export const GRACE_SECONDS = 86_400;

const COLLECT = {
  link: `SELECT deleted FROM collect_links(${GRACE_SECONDS}, 100, '-infinity', 0, 0)`,
  blob: `SELECT deleted FROM collect_blobs(3600, 100, '-infinity', 0)`,
};
/** The locks that the collector takes before it looks for references. */
const LOCK = {
  link: `SELECT FROM repository_blobs
          WHERE candidate_since <= now() - ${GRACE_SECONDS} * interval '1 second' FOR UPDATE SKIP LOCKED`,
  blob: 'SELECT FROM blobs WHERE candidate_since IS NOT NULL FOR UPDATE SKIP LOCKED',
};
const OF_LINK = `WHERE repository_id = (SELECT id FROM repositories WHERE name = $1)
                   AND blob_id = (SELECT blob_id FROM blob_digests WHERE digest = $2)`;

/** A blob of a repository. */
interface LinkName {
  readonly name: string;
  readonly digest: string;
}

export type Collected = keyof typeof COLLECT;

/** Forces the order of requests and of statements of the collector, in the database of a registry. */
export class CollectorRaces {
  constructor(private readonly berth: TestBerth) {}

  /** Runs one batch of the collector. Returns how many rows it deleted. */
  async collect(what: Collected): Promise<number> {
    const [row] = await this.query<{ deleted: number }>(COLLECT[what]);
    return row?.deleted ?? 0;
  }

  /** Moves the date of a link into the past, by a part of the grace. */
  async ageLink({ name, digest }: LinkName, graces: number): Promise<void> {
    const age = Number.isFinite(graces)
      ? `candidate_since - ${graces * GRACE_SECONDS} * interval '1 second'`
      : `'-infinity'`;
    await this.query(`UPDATE repository_blobs SET candidate_since = ${age} ${OF_LINK}`, [name, digest]);
  }

  /** The link of a blob: its age in seconds if it is a candidate, and else null. Undefined without a link. */
  async linkOf({ name, digest }: LinkName): Promise<{ age: number | null; isHidden: boolean } | undefined> {
    const sql = `SELECT extract(epoch FROM now() - candidate_since)::float8 AS age,
                        hidden_at IS NOT NULL AS "isHidden"
                   FROM repository_blobs ${OF_LINK}`;
    return (await this.query<{ age: number | null; isHidden: boolean }>(sql, [name, digest]))[0];
  }

  query<Row>(sql: string, parameters: unknown[] = []): Promise<Row[]> {
    return queryRows<Row>(this.berth.database.dataSource.manager, sql, parameters);
  }

  /**
   * Begins a request after the collector has locked, and before it looks for references. The request waits
   * until the collector has deleted the rows.
   */
  whileCollecting<T>(what: Collected, request: () => Promise<T>): Promise<T> {
    return this.during(LOCK[what], request, { afterwards: COLLECT[what] });
  }

  /**
   * Begins a request while another session holds the locks of a statement. The request waits until that
   * session has executed `afterwards`, too.
   */
  async during<T>(
    statement: string,
    request: () => Promise<T>,
    { parameters = [], afterwards = 'SELECT 1' }: { parameters?: unknown[]; afterwards?: string } = {},
  ): Promise<T> {
    const session = new pg.Client({ connectionString: this.berth.databaseUrl });
    await session.connect();
    try {
      await session.query('BEGIN');
      await session.query(statement, parameters);
      const begun = request();
      begun.catch(() => undefined);
      await untilSessionsWait(this.berth.database.dataSource.manager);
      await session.query(afterwards);
      await session.query('COMMIT');
      return await begun;
    } finally {
      await session.end();
    }
  }

  /** Does `meanwhile` after the statements of a request, and before these are committed. */
  async whileUncommitted(request: Statements, meanwhile: () => Promise<unknown>): Promise<unknown> {
    return this.berth.database.dataSource.transaction(async (transaction) => {
      const statement = (sql: string, parameters: unknown[]) => queryRows(transaction, sql, parameters);
      const result = await request({ statement } as unknown as UnitOfWork, transaction);
      await meanwhile();
      return result;
    });
  }

  /** Begins `request` after the statements of another one, and before these are committed: it waits. */
  async whileWaiting<T>(statements: Statements, request: () => Promise<T>): Promise<T> {
    let begun: Promise<T> | undefined;
    await this.whileUncommitted(statements, async () => {
      begun = request();
      await untilSessionsWait(this.berth.database.dataSource.manager);
    });
    if (begun === undefined) throw new Error('not begun');
    return begun;
  }
}
