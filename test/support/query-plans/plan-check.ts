import type { ExecutedStatement, PlanNode } from './plan-recorder.js';

/**
 * What a statement may cost that is about so many rows: `items` of a page, references of a manifest, sessions
 * of a batch.
 */
export interface Allowance {
  readonly items: number;
  /** Every table that grows. */
  readonly tables: ReadonlySet<string>;
}

/** What a statement did cost. */
export interface Cost {
  /**
   * Rows that its nodes handed on, looked at in vain ones included: each counts once for every node that it
   * went through.
   */
  readonly rows: number;
  /** Pages of tables and indexes that it looked at, whether or not they were in memory. */
  readonly buffers: number;
}

interface Limit {
  readonly always: number;
  readonly perItem: number;
}

/**
 * For each item: some rows of some tables, and the way down some indexes, whose depth is the one thing that
 * grows with a table.
 */
const ROWS: Limit = { always: 30, perItem: 12 };
const BUFFERS: Limit = { always: 60, perItem: 40 };
/** A union of two pages may be sorted. */
const SORTED: Limit = { always: 10, perItem: 2 };

/** Nodes that read no table themselves. */
const CALLS = ['Result', 'Function Scan', 'Subquery Scan'];

const SORTS = ['Sort', 'Incremental Sort'];

export function costOf({ root }: ExecutedStatement): Cost {
  return {
    rows: nodesOf(root).reduce((sum, node) => sum + touched(node), 0),
    buffers: root['Shared Hit Blocks'] + root['Shared Read Blocks'],
  };
}

/** The rows of a table that its scans looked at. */
export function rowsOf(table: string, { root }: ExecutedStatement): number {
  const scans = nodesOf(root).filter((node) => node['Relation Name'] === table);
  return scans.reduce((sum, node) => sum + touched(node), 0);
}

/** What is wrong with how a statement was executed, in a line each. */
export function faultsOf(statement: ExecutedStatement, { items, tables }: Allowance): string[] {
  const { root } = statement;
  // The call of a function has the pages of all that the function executes, each statement of which is told
  // by itself.
  if (nodesOf(root).every((node) => CALLS.includes(node['Node Type']))) return [];
  const { rows, buffers } = costOf(statement);
  const above = (figure: number, { always, perItem }: Limit, tell: (limit: string) => string) => {
    const limit = always + perItem * items;
    return figure > limit ? [tell(`${figure}, more than ${limit}`)] : [];
  };
  return [
    ...nodesOf(root)
      .filter((node) => node['Node Type'] === 'Seq Scan' && tables.has(node['Relation Name'] ?? ''))
      .map((node) => `reads a whole table: ${describe(node)}`),
    ...nodesOf(root)
      .filter((node) => SORTS.includes(node['Node Type']))
      .flatMap((node) =>
        above(handedOn(node), SORTED, (n) => `sorts too many rows, ${n}: ${describe(node)}`),
      ),
    ...above(rows, ROWS, (n) => `touches too many rows, ${n}: most of them in ${describe(widest(root))}`),
    ...above(
      buffers,
      BUFFERS,
      (n) => `looks at too many pages, ${n}: most rows in ${describe(widest(root))}`,
    ),
  ];
}

function nodesOf(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(nodesOf)];
}

/** Locks are those of the whole server, which other tests use at the same time. They are no table's rows. */
const LOCKS = 'pg_lock_status';

function touched(node: PlanNode): number {
  if (node['Function Name'] === LOCKS) return 0;
  const removed =
    (node['Rows Removed by Filter'] ?? 0) +
    (node['Rows Removed by Index Recheck'] ?? 0) +
    (node['Rows Removed by Join Filter'] ?? 0);
  return Math.round((node['Actual Rows'] + removed) * node['Actual Loops']);
}

/** What a sort was given, however little of it was asked for. */
function handedOn({ Plans: [input] = [] }: PlanNode): number {
  return input === undefined ? 0 : Math.round(input['Actual Rows'] * input['Actual Loops']);
}

function widest(root: PlanNode): PlanNode {
  return nodesOf(root).reduce((most, node) => (touched(node) > touched(most) ? node : most));
}

function describe(node: PlanNode): string {
  const on = node['Relation Name'] === undefined ? '' : ` on ${node['Relation Name']}`;
  const by = node['Index Name'] === undefined ? '' : ` by ${node['Index Name']}`;
  return `${node['Node Type']}${on}${by}, ${touched(node)} rows`;
}
