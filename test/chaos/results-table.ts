import { faultsOn } from './fault-kinds.js';
import { LOAD_OPERATIONS } from './image-load.js';
import type { Ledger } from './ledger.js';
import { CHECKPOINT_BYTES, type ChaosSettings, REPLICAS } from './settings.js';
import { QUIRKS } from './upload-plan.js';

/** The one table of a run. */
export function resultsTable(
  settings: ChaosSettings,
  ledger: Ledger,
  begun: number,
  meantToCommit: number,
  storageRows: readonly (readonly [string, string])[],
): string {
  const seconds = Math.round((performance.now() - ledger.startedAt) / 1000);
  const rows = [
    ...[...faultsOn(settings.storage), ...QUIRKS].map((kind) => [kind, count(ledger, kind)]),
    ...operations(ledger),
    ['uploads committed', `${ledger.uploadsCommitted} of ${meantToCommit}`],
    ['bytes acknowledged', grouped(ledger.bytesAcknowledged)],
    ['bytes lost', grouped(ledger.bytesLost)],
    ['most bytes to send again after a kill', costOfAKill(settings, ledger)],
    ...storageRows,
    ...ledger.rows,
    ['answers', answers(ledger)],
    ['acknowledged things lost', String(ledger.thingsLost.size)],
    ['wrong answers', String(ledger.wrongAnswers)],
    ...(ledger.tooSlow === undefined ? [] : [['too slow to tell', ledger.tooSlow]]),
    ['problems', String(ledger.problemCount)],
  ];
  const width = Math.max(...rows.map(([name = '']) => name.length));
  const title = `chaos on ${settings.storage}: seed ${settings.seed}, ${begun} uploads of at most ${grouped(settings.maxBytes)} bytes, ${REPLICAS} replicas, ${seconds} s`;
  return [
    '',
    title,
    ...rows.map(([name = '', value = '']) => `  ${name.padEnd(width)}  ${value}`),
    '',
    '',
  ].join('\n');
}

function costOfAKill({ storage }: ChaosSettings, { mostUnrecordedBytes, killsMeasured }: Ledger): string {
  if (storage !== 'filesystem') return `can't be seen on ${storage}`;
  return `${grouped(mostUnrecordedBytes)} (in ${killsMeasured} uploads; allowed: ${grouped(CHECKPOINT_BYTES)})`;
}

function operations({ operations }: Ledger): string[][] {
  const kinds = new Set([...LOAD_OPERATIONS, ...operations.keys()]);
  return [...kinds].map((kind) => [kind, String(operations.get(kind) ?? 0)]);
}

function count({ faults, impossible }: Ledger, kind: string): string {
  const why = impossible.get(kind);
  return why === undefined ? String(faults.get(kind) ?? 0) : `not possible here: ${why}`;
}

function answers({ answers }: Ledger): string {
  const sorted = [...answers].sort(([a], [b]) => a - b);
  return sorted.map(([status, count]) => `${status}: ${count}`).join(', ');
}

function grouped(count: number): string {
  return count.toLocaleString('en').replaceAll(',', ' ');
}
