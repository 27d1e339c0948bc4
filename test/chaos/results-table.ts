import { faultsOn } from './fault-kinds.js';
import { LOAD_OPERATIONS } from './image-load.js';
import type { RunResults } from './run-results.js';
import { CHECKPOINT_BYTES, type ChaosSettings, REPLICAS } from './settings.js';
import { CLIENT_FAULTS } from './upload-plan.js';

/** The table of a run. */
export function resultsTable(
  settings: ChaosSettings,
  results: RunResults,
  begun: number,
  uploadsToCommit: number,
  storageRows: readonly (readonly [string, string])[],
): string {
  const seconds = Math.round((performance.now() - results.startedAt) / 1000);
  const rows = [
    ...[...faultsOn(settings.storage), ...CLIENT_FAULTS].map((kind) => [kind, count(results, kind)]),
    ...operations(results),
    ['uploads committed', `${results.uploadsCommitted} of ${uploadsToCommit}`],
    ['bytes acknowledged', grouped(results.bytesAcknowledged)],
    ['bytes lost', grouped(results.bytesLost)],
    ['most bytes to resend after a kill', resendCost(settings, results)],
    ...storageRows,
    ...results.rows,
    ['responses', responses(results)],
    ['acknowledged items lost', String(results.lostItems.size)],
    ['wrong responses', String(results.wrongResponses)],
    ...(results.tooSlow === undefined ? [] : [['too slow to tell', results.tooSlow]]),
    ['problems', String(results.problemCount)],
  ];
  const width = Math.max(...rows.map(([name = '']) => name.length));
  const { storage, seed, maxBytes, bodies } = settings;
  const title =
    `chaos on ${storage}: seed ${seed}, ${begun} uploads of at most ${grouped(maxBytes)} bytes, ` +
    `${REPLICAS} replicas, ${bodies} bodies, ${seconds} s`;
  return [
    '',
    title,
    ...rows.map(([name = '', value = '']) => `  ${name.padEnd(width)}  ${value}`),
    '',
    '',
  ].join('\n');
}

function resendCost({ storage }: ChaosSettings, { maxUnrecordedBytes, killsMeasured }: RunResults): string {
  if (storage !== 'filesystem') return `not visible on ${storage}`;
  const allowed = grouped(CHECKPOINT_BYTES);
  return `${grouped(maxUnrecordedBytes)} (in ${killsMeasured} uploads; allowed: ${allowed})`;
}

function operations({ operations }: RunResults): string[][] {
  const kinds = new Set([...LOAD_OPERATIONS, ...operations.keys()]);
  return [...kinds].map((kind) => [kind, String(operations.get(kind) ?? 0)]);
}

function count({ faults, impossible }: RunResults, kind: string): string {
  const why = impossible.get(kind);
  return why === undefined ? String(faults.get(kind) ?? 0) : `not possible here: ${why}`;
}

function responses({ responses }: RunResults): string {
  const sorted = [...responses].sort(([a], [b]) => a - b);
  return sorted.map(([status, count]) => `${status}: ${count}`).join(', ');
}

function grouped(count: number): string {
  return count.toLocaleString('en').replaceAll(',', ' ');
}
