import { FAULTS } from './fault-kinds.js';
import type { Ledger } from './ledger.js';
import { CHECKPOINT_BYTES, type ChaosSettings, REPLICAS } from './settings.js';
import { QUIRKS } from './upload-plan.js';

/** The one table of a run. */
export function resultsTable(
  settings: ChaosSettings,
  ledger: Ledger,
  begun: number,
  meantToCommit: number,
): string {
  const seconds = Math.round((performance.now() - ledger.startedAt) / 1000);
  const rows = [
    ...[...FAULTS, ...QUIRKS].map((kind) => [kind, count(ledger, kind)]),
    ['uploads committed', `${ledger.uploadsCommitted} of ${meantToCommit}`],
    ['bytes acknowledged', grouped(ledger.bytesAcknowledged)],
    ['bytes lost', grouped(ledger.bytesLost)],
    [
      'most bytes to send again after a kill',
      `${grouped(ledger.mostUnrecordedBytes)} (in ${ledger.killsMeasured} uploads; allowed: ${grouped(CHECKPOINT_BYTES)})`,
    ],
    ['answers', answers(ledger)],
    ['problems', String(ledger.problems.length)],
  ];
  const width = Math.max(...rows.map(([name = '']) => name.length));
  const title = `chaos: seed ${settings.seed}, ${begun} uploads of at most ${grouped(settings.maxBytes)} bytes, ${REPLICAS} replicas, ${seconds} s`;
  return [
    '',
    title,
    ...rows.map(([name = '', value = '']) => `  ${name.padEnd(width)}  ${value}`),
    '',
    '',
  ].join('\n');
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
