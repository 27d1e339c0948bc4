import { markdownTable, numberText } from '../report/table.js';
import type { SoakLoad } from './load.js';
import type { Sample } from './sampler.js';
import { type Finding, medianOf } from './verdict.js';

const WINDOW_SECONDS = 300;
/** Number of windows of a run that is too short for windows of five minutes. */
const LEAST_WINDOWS = 6;

/** The medians of each window of five minutes, and the verdict of each figure. */
export function windowTable(samples: readonly Sample[], findings: readonly Finding[]): string {
  const seconds = samples.at(-1)?.atSeconds ?? 0;
  const windowSeconds = Math.min(WINDOW_SECONDS, seconds / LEAST_WINDOWS);
  const count = Math.max(1, Math.ceil(seconds / windowSeconds));
  const windows = Array.from({ length: count }, (_, index) => {
    return samples.filter(({ atSeconds }) => {
      return Math.min(count - 1, Math.floor(atSeconds / windowSeconds)) === index;
    });
  });
  const ends = windows.map((_, index) => `${(((index + 1) * windowSeconds) / 60).toFixed(1)} min`);
  const rows = findings.map((finding) => [
    finding.name,
    ...windows.map((window) => (window.length === 0 ? '—' : numberText(medianOf(window, finding.name)))),
    verdictOn(finding),
  ]);
  return markdownTable(['median until', ...ends, 'verdict'], rows);
}

export function loadTable(load: SoakLoad): string {
  const operations = [...load.operations].sort(([a], [b]) => a.localeCompare(b));
  const statuses = [...load.statuses].sort(([a], [b]) => a - b);
  return [
    markdownTable(
      ['operation', 'times'],
      operations.map(([name, times]) => [name, numberText(times)]),
    ),
    markdownTable(
      ['responses', 'times'],
      statuses.map(([status, times]) => [status === 0 ? 'none' : `${status}`, numberText(times)]),
    ),
  ].join('\n');
}

function verdictOn({ verdict, before, after }: Finding): string {
  return verdict === 'grows' ? `GROWS from ${numberText(before)} to ${numberText(after)}` : verdict;
}
