import type { CaseResult, Figures } from './results.js';
import { markdownTable, numberText } from './table.js';

/** A row per case. Without a peer, its columns are left out. */
export function caseTable(results: readonly CaseResult[], peerName: string | undefined): string {
  if (peerName === undefined) {
    const header = ['case', 'unit', 'Berth', 'p50 / p99 ms'];
    return markdownTable(
      header,
      results.map(({ name, unit, berth }) => [name, unit, numberText(berth.median), latencyText(berth)]),
    );
  }
  const header = ['case', 'unit', 'Berth', peerName, 'ratio', 'Berth p50 / p99 ms', 'peer p50 / p99 ms'];
  return markdownTable(
    header,
    results.map(({ name, unit, berth, peer, ratio }) => [
      name,
      unit,
      numberText(berth.median),
      numberText(peer?.median ?? null),
      ratio === null ? '—' : `${numberText(ratio)}×`,
      latencyText(berth),
      latencyText(peer),
    ]),
  );
}

/** Why the peer was not measured, a line per reason. */
export function notes(results: readonly CaseResult[]): string[] {
  return results.flatMap(({ name, withoutPeer }) =>
    withoutPeer === null ? [] : [`${name}: ${withoutPeer}`],
  );
}

function latencyText(figures: Figures | null): string {
  if (!figures || figures.p50Ms === null) return '—';
  return `${numberText(figures.p50Ms)} / ${numberText(figures.p99Ms)}`;
}
