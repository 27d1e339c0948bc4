import { expect } from '@jest/globals';
import pg from 'pg';
import { UploadEventLog } from '../../../src/events/upload-event-log.js';
import { AdminClient } from '../admin-client.js';
import { digestOf, RegistryClient } from '../registry-client.js';
import { stopJobs } from '../run-job.js';
import { startTestBerth, type TestBerth } from '../test-berth.js';
import type { TestDatabase } from '../test-postgres.js';
import { type Cost, costOf, faultsOf, rowsOf } from './plan-check.js';
import { type ExecutedStatement, PlanRecorder } from './plan-recorder.js';
import { type Sizes, sizesAt } from './seed-statements.js';
import { createSeededDatabase } from './seeded-database.js';

/**
 * Of one row by their constraints, and those with a few rows: there is nothing that an index could
 * spare.
 */
const SMALL_TABLES = [
  ...['storage_identity', 'storage_claim', 'access_state', 'tls_authority', 'signing_keys', 'jobs'],
];

export interface Figures extends Cost {
  readonly operation: string;
  readonly items: number;
  readonly statements: number;
}

/** Without limits no open sessions are counted: at most one insertion a second does that. */
const NO_COUNTS = { UPLOAD_MAX_SESSIONS: '0', UPLOAD_MAX_SESSIONS_PER_REPOSITORY: '0' };

/** A whole registry on a large database, which tells what its statements cost. */
export class PlannedRegistry {
  readonly sizes: Sizes;
  berth: TestBerth;
  client: RegistryClient;
  admin: AdminClient;
  /** What the dearest statement of each operation did cost. */
  readonly figures: Figures[] = [];
  /** Repositories with next to nothing, and with nothing at all. */
  smallRepository: string;
  emptyRepository: string;
  private readonly lost = new Set<string>();
  private database: TestDatabase;
  private recorder: PlanRecorder;
  private observer: pg.Client;
  /** Asked by the registry's own requests, several at a time. */
  private objects: pg.Pool;
  private tables: ReadonlySet<string>;

  constructor(scale: number) {
    this.sizes = sizesAt(scale);
  }

  async start(): Promise<void> {
    this.database = await createSeededDatabase(this.sizes);
    this.observer = new pg.Client(this.database.connection);
    await this.observer.connect();
    this.objects = new pg.Pool({ ...this.database.connection, max: 2 });
    // The objects of the blobs that it was seeded with are nowhere.
    const { rows } = await this.observer.query<{ id: string }>('SELECT id FROM storage_identity');
    const adopting = { STORAGE_ADOPT: String(rows[0]?.id) };
    this.berth = await startTestBerth({ DATABASE_URL: this.database.url, ...adopting, ...NO_COUNTS });
    await this.listen();
    const tables = this.berth.database.dataSource.entityMetadatas.map(({ tableName }) => tableName);
    this.tables = new Set(tables.filter((name) => !SMALL_TABLES.includes(name)));
    this.smallRepository = await this.repositoryOf(this.sizes.manifests);
    this.emptyRepository = `team-${this.sizes.repositories % 97}/service-${this.sizes.repositories}`;
  }

  /** Starts it again with settings of its own. Requests are sent by whom `authorization` says. */
  async restart(environment: Record<string, string>, authorization: string): Promise<void> {
    await this.berth.restart(environment);
    await this.listen(authorization);
  }

  /** Sends requests without credentials. */
  get anonymous(): RegistryClient {
    return new RegistryClient(this.berth.url);
  }

  private async listen(authorization?: string): Promise<void> {
    this.recorder = new PlanRecorder(this.berth.database);
    this.client = new RegistryClient(this.berth.url, authorization);
    this.admin = new AdminClient(this.client);
    this.haveObjects();
    await stopJobs(this.berth);
  }

  async dispose(): Promise<void> {
    await this.berth.dispose();
    await this.observer.end();
    await this.objects.end();
    await this.database.drop();
  }

  /** The seed has rows alone. As far as anybody asks, their objects are there. */
  private haveObjects(): void {
    const { driver } = this.berth;
    const stat = driver.stat.bind(driver);
    driver.stat = async (key, options) => {
      const sql = 'SELECT size_bytes FROM blobs WHERE object_key = $1';
      const [row] = this.lost.has(key)
        ? []
        : (await this.objects.query<{ size_bytes: string }>(sql, [key])).rows;
      if (row === undefined) return stat(key, options);
      return { key, sizeBytes: Number(row.size_bytes), modifiedAt: new Date() };
    };
  }

  /** The object of a seeded blob is lost. */
  async lose(digest: string): Promise<void> {
    const sql =
      'SELECT object_key FROM blobs WHERE id = (SELECT blob_id FROM blob_digests WHERE digest = $1)';
    for (const row of await this.look<{ object_key: string }>(sql, [digest])) this.lost.add(row.object_key);
  }

  /** What many manifests of the big repository refer to. */
  get subject(): string {
    return digestOf(`manifest ${this.sizes.manifestsOfBig}`);
  }

  /** The name of the repository that has a manifest. */
  async repositoryOf(manifestId: number): Promise<string> {
    const sql =
      'SELECT r.name FROM manifests m JOIN repositories r ON r.id = m.repository_id WHERE m.id = $1';
    return (await this.look<{ name: string }>(sql, [manifestId]))[0]?.name ?? '';
  }

  /** Digests of blobs that a repository links, `limit` at the most. */
  async blobsOf(repository: string, limit: number): Promise<string[]> {
    const sql = `SELECT d.digest
                   FROM (SELECT blob_id FROM repository_blobs
                          WHERE repository_id = (SELECT id FROM repositories WHERE name = $1)
                          ORDER BY blob_id LIMIT $2) AS l
                   JOIN blob_digests d ON d.blob_id = l.blob_id ORDER BY l.blob_id`;
    return (await this.look<{ digest: string }>(sql, [repository, limit])).map(({ digest }) => digest);
  }

  /** Queries the database. Such a query is not recorded. */
  async look<Row extends pg.QueryResultRow>(sql: string, parameters: unknown[] = []): Promise<Row[]> {
    return (await this.observer.query<Row>(sql, parameters)).rows;
  }

  /** The statements of `work`, including those after its response. */
  async statementsOf(work: () => Promise<unknown>): Promise<ExecutedStatement[]> {
    this.recorder.take();
    await work();
    // Waits for events that are written after the response.
    await this.berth.app.get(UploadEventLog).onModuleDestroy();
    return this.recorder.take();
  }

  /** How many rows of a table the statements looked at. */
  rowsOf(table: string, statements: readonly ExecutedStatement[]): number {
    return statements.reduce((sum, statement) => sum + rowsOf(table, statement), 0);
  }

  /** What is wrong with the plans of statements that are about `items` rows; each statement is named once. */
  faults(items: number, statements: readonly ExecutedStatement[]): string[] {
    const faults = statements.flatMap((statement) => {
      const ofStatement = faultsOf(statement, { items, tables: this.tables });
      return ofStatement.length === 0 ? [] : [`${ofStatement.join('\n')}\n${statement.sql}\n`];
    });
    return [...new Set(faults)];
  }

  /** @throws unless every statement of `work` has a plan whose cost depends on `items` alone. */
  async expectCost(items: number, work: () => Promise<unknown>): Promise<void> {
    const operation = expect.getState().currentTestName ?? '';
    const statements = await this.statementsOf(work);
    if (statements.length === 0) throw new Error(`${operation}: nothing was executed`);
    this.figures.push({ operation, items, statements: statements.length, ...mostOf(statements.map(costOf)) });
    const faults = this.faults(items, statements);
    if (faults.length > 0) throw new Error(`${operation}:\n${faults.join('\n')}`);
  }
}

function mostOf(costs: readonly Cost[]): Cost {
  const most = (of: keyof Cost) => Math.max(...costs.map((cost) => cost[of]));
  return { rows: most('rows'), buffers: most('buffers') };
}
