import type { LimitResult } from '../limits/limit.js';
import type { Options } from '../options.js';
import { withoutShaText } from '../servers/without-sha.js';
import { caseTable, notes } from './case-table.js';
import { limitTable } from './limit-table.js';
import { machineText, thisMachine } from './machine.js';
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
  const parts = [
    `${headText(options)}\n`,
    cases.length === 0 ? '' : caseTable(cases, peer, limits),
    memoryTable(cases, peer),
    limits.length === 0 ? '' : limitTable(limits),
    [...notes(cases), ...generatorNote(cases)].map((line) => `- ${line}\n`).join(''),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

export function jsonOf({ cases, limits, peer, options }: Report): string {
  const { rounds, warmUp, seconds, workers, quick, withoutSha, s3 } = options;
  const report = {
    machine: thisMachine(),
    options: { rounds, warmUp, seconds, workers, quick, withoutSha, s3: s3 !== undefined },
    peer: peer ?? null,
    cases,
    limits,
  };
  return `${JSON.stringify(report, null, 2)}\n`;
}

function headText({ workers, rounds, warmUp, seconds, quick, withoutSha, s3 }: Options): string {
  return [
    machineText(thisMachine()),
    ...(withoutSha ? [`SHA instructions not used: ${withoutShaText()}`] : []),
    ...(s3 ? ['over S3'] : []),
    `WORKERS=${workers}`,
    `${rounds} rounds of ${seconds} s after ${warmUp}`,
    ...(quick ? ['a quick run, not for comparison'] : []),
  ].join('; ');
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
