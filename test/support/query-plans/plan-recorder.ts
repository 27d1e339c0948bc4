import pg from 'pg';
import type { Connections } from '../../../src/database/connection/connections.js';

/** A node of a plan as `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)` writes it; numbers of rows are per loop. */
export interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Function Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Rows Removed by Index Recheck'?: number;
  readonly 'Rows Removed by Join Filter'?: number;
  readonly 'Shared Hit Blocks': number;
  readonly 'Shared Read Blocks': number;
  readonly Plans?: readonly PlanNode[];
}

/** A statement that was executed: by a store, or by Postgres itself for the sake of a foreign key. */
export interface ExecutedStatement {
  readonly sql: string;
  readonly root: PlanNode;
}

/**
 * Has every session of a database that begins from now on tell its client the plan of each statement, those
 * of foreign keys included.
 */
export function explainingSettings(database: string): string[] {
  const settings = {
    session_preload_libraries: 'auto_explain',
    'auto_explain.log_min_duration': '0',
    'auto_explain.log_analyze': 'on',
    'auto_explain.log_buffers': 'on',
    'auto_explain.log_timing': 'off',
    'auto_explain.log_nested_statements': 'on',
    'auto_explain.log_parameter_max_length': '200',
    'auto_explain.log_format': 'json',
    // To the client, and not to the server's log.
    'auto_explain.log_level': 'notice',
  };
  return Object.entries(settings).map(
    ([name, value]) => `ALTER DATABASE ${database} SET ${name} = '${value}'`,
  );
}

/**
 * Hears what the sessions of a registry tell: exactly what was executed, with the plan and the figures of
 * that execution. No statement can escape, however it is sent. (What is sent on other connections,
 * `DatabaseListener`'s, asks no table.)
 */
export class PlanRecorder {
  private statements: ExecutedStatement[] = [];
  private readonly known = new WeakSet<pg.PoolClient>();

  constructor({ dataSource, reads }: Connections) {
    for (const { driver } of [dataSource, reads]) {
      const { master: pool } = driver as unknown as { master: pg.Pool };
      pool.on('acquire', (client) => {
        if (this.known.has(client)) return;
        this.known.add(client);
        client.on('notice', ({ message }) => this.hear(message ?? ''));
      });
    }
  }

  /** The statements that were executed since this was called last. */
  take(): ExecutedStatement[] {
    const taken = this.statements;
    this.statements = [];
    return taken;
  }

  private hear(message: string): void {
    const [, json] = /^duration: .* plan:\n([^]*)$/.exec(message) ?? [];
    if (json === undefined) return;
    const told = JSON.parse(json) as { 'Query Text': string; Plan: PlanNode };
    this.statements.push({ sql: told['Query Text'], root: told.Plan });
  }
}
