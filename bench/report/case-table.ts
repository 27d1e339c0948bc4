import type { CaseResult, Figures } from './results.js';
import { markdownTable, numberText } from './table.js';

type Column = readonly [title: string, cell: (result: CaseResult) => string];

/** A row per case. Without a peer, its columns are left out. */
export function caseTable(results: readonly CaseResult[], peerName: string | undefined): string {
  const columns = peerName === undefined ? berthColumns() : comparingColumns(peerName);
  return markdownTable(
    ['case', 'unit', ...columns.map(([title]) => title)],
    results.map((result) => [result.name, result.unit, ...columns.map(([, cell]) => cell(result))]),
  );
}

function berthColumns(): Column[] {
  return [
    ['Berth', ({ berth }) => numberText(berth.median)],
    ['CPU ms', ({ berth }) => numberText(berth.cpuMs)],
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
  return ratio === null ? '—' : `${numberText(ratio)}×`;
}

function latencyText(figures: Figures | null): string {
  if (!figures || figures.p50Ms === null) return '—';
  return `${numberText(figures.p50Ms)} / ${numberText(figures.p99Ms)}`;
}
