import type { CaseResult, Figures } from './results.js';
import { markdownTable, numberText } from './table.js';

const COLUMNS = ['RSS MiB', 'PSS MiB', 'PSS MiB before', 'PostgreSQL RSS MiB', 'PostgreSQL PSS MiB', 'MB/s'];

/** The memory cases in detail: a row per server. Empty if none was run. */
export function memoryTable(results: readonly CaseResult[], peerName: string | undefined): string {
  const rows = results
    .filter(({ berth }) => 'PSS MiB' in berth.details)
    .flatMap(({ name, berth, peer }) => [
      row(name, 'Berth', berth),
      ...(peer && peerName !== undefined ? [row(name, peerName, peer)] : []),
    ]);
  return rows.length === 0 ? '' : markdownTable(['peak', 'of', ...COLUMNS], rows);
}

function row(name: string, server: string, { details }: Figures): string[] {
  return [name, server, ...COLUMNS.map((column) => numberText(details[column] ?? 0))];
}
