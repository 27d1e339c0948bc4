import type { LimitResult } from '../limits/limit.js';
import type { CaseResult, Figures } from './results.js';
import { markdownTable, numberText } from './table.js';

const NONE = numberText(null);

type Column = readonly [title: string, cell: (result: CaseResult) => string];

/**
 * A row per case. Columns without figures are left out: the peer's without a peer, flushes without
 * strace, bounds without their limits.
 */
export function caseTable(
  results: readonly CaseResult[],
  peerName: string | undefined,
  limits: readonly LimitResult[],
): string {
  const values = new Map(limits.map(({ name, value }) => [name, value]));
  const columns: Column[] = [
    ...(peerName === undefined ? berthColumns() : comparingColumns(peerName)),
    ['bound', ({ bound }) => numberText(bound && (values.get(bound.limit) ?? NaN) / bound.divisor)],
  ];
  const used = columns.filter(([, cell]) => results.some((result) => cell(result) !== NONE));
  return markdownTable(
    ['case', 'unit', ...used.map(([title]) => title)],
    results.map((result) => [result.name, result.unit, ...used.map(([, cell]) => cell(result))]),
  );
}

function berthColumns(): Column[] {
  return [
    ['Berth', ({ berth }) => numberText(berth.median)],
    ['CPU ms', ({ berth }) => numberText(berth.cpuMs)],
    ['flushes', ({ berth }) => flushesText(berth)],
    ['p50 / p99 ms', ({ berth }) => latencyText(berth)],
  ];
}

function comparingColumns(peerName: string): Column[] {
  return [
    ['Berth', ({ berth }) => numberText(berth.median)],
    [peerName, ({ peer }) => numberText(peer?.median ?? null)],
    ['ratio', ({ ratio }) => ratioText(ratio)],
    ['Berth CPU ms', ({ berth }) => numberText(berth.cpuMs)],
    ['peer CPU ms', ({ peer }) => numberText(peer?.cpuMs ?? null)],
    ['CPU ratio', ({ cpuRatio }) => ratioText(cpuRatio)],
    ['Berth flushes', ({ berth }) => flushesText(berth)],
    ['peer flushes', ({ peer }) => flushesText(peer)],
    ['Berth p50 / p99 ms', ({ berth }) => latencyText(berth)],
    ['peer p50 / p99 ms', ({ peer }) => latencyText(peer)],
  ];
}

/** Why the peer was not measured, a line per reason. */
export function notes(results: readonly CaseResult[]): string[] {
  return results.flatMap(({ name, withoutPeer }) =>
    withoutPeer === null ? [] : [`${name}: ${withoutPeer}`],
  );
}

function ratioText(ratio: number | null): string {
  return ratio === null ? NONE : `${numberText(ratio)}×`;
}

/** Those of the registry + those of its PostgreSQL. */
function flushesText(figures: Figures | null): string {
  if (!figures?.flushes) return NONE;
  const { serving, database } = figures.flushes;
  return database === 0 ? numberText(serving) : `${numberText(serving)} + ${numberText(database)}`;
}

function latencyText(figures: Figures | null): string {
  if (!figures || figures.p50Ms === null) return NONE;
  return `${numberText(figures.p50Ms)} / ${numberText(figures.p99Ms)}`;
}
