import { cpus } from 'node:os';
import type { LimitResult } from '../limits/limit.js';
import type { Options } from '../options.js';
import { caseTable, notes } from './case-table.js';
import { limitTable } from './limit-table.js';
import { memoryTable } from './memory-table.js';
import type { CaseResult } from './results.js';

/** The results of a run. */
export interface Report {
  readonly peer: string | undefined;
  readonly cases: readonly CaseResult[];
  readonly limits: readonly LimitResult[];
  readonly options: Options;
}

/** Markdown tables with notes. */
export function textOf({ cases, limits, peer, options }: Report): string {
  const { workers, rounds, seconds, quick } = options;
  const parts = [
    `${machineText()}; WORKERS=${workers}; ${rounds} rounds of ${seconds} s` +
      `${quick ? '; a quick run, not for comparison' : ''}\n`,
    cases.length === 0 ? '' : caseTable(cases, peer),
    memoryTable(cases, peer),
    limits.length === 0 ? '' : limitTable(limits),
    [...notes(cases), ...generatorNote(cases)].map((line) => `- ${line}\n`).join(''),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

export function jsonOf({ cases, limits, peer, options }: Report): string {
  const { rounds, seconds, workers, quick } = options;
  const machine = { cpu: cpus()[0]?.model ?? '', cores: cpus().length, node: process.version };
  const report = { machine, options: { rounds, seconds, workers, quick }, peer: peer ?? null, cases, limits };
  return `${JSON.stringify(report, null, 2)}\n`;
}

function machineText(): string {
  return `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}, Node ${process.version}`;
}

/** With a whole core the generator would be the bottleneck. */
function generatorNote(cases: readonly CaseResult[]): string[] {
  const shares = cases.flatMap(({ name, berth, peer }) =>
    [berth, peer].flatMap((figures) => ({ name, share: figures?.generatorCpu ?? 0 })),
  );
  const [most] = shares.sort((a, b) => b.share - a.share);
  if (!most) return [];
  return [`The generator used ${Math.round(most.share * 100)} % of a core at most, in: ${most.name}`];
}
