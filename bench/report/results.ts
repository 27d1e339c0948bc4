import { COSTS, type Bound, type CaseInfo, type Measured } from '../cases/bench-case.js';
import type { FlushCounts } from '../servers/flush-watch.js';
import { median, quantile } from './statistics.js';

/** Details of a round: CPU time, user and system, per request, push or image. */
export const SERVING_CPU = 'CPU ms per request';
export const DATABASE_CPU = 'PostgreSQL CPU ms per request';

/** The result of one registry in one case. */
export interface Figures {
  readonly median: number;
  readonly rounds: readonly number[];
  /** Latency of the requests of all rounds; null without requests. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly requests: number;
  /** The generator's largest share of a core in all rounds. */
  readonly generatorCpu: number | null;
  /** CPU time of all processes, with PostgreSQL, per request, push or image; null without requests. */
  readonly cpuMs: number | null;
  /** Per push; null where they were not counted. */
  readonly flushes: FlushCounts | null;
  readonly details: Readonly<Record<string, number>>;
}

/** What a case measured of one registry. */
export interface CaseRounds {
  readonly rounds: readonly Measured[];
  readonly flushes: FlushCounts | null;
}

export interface CaseResult {
  readonly name: string;
  readonly unit: string;
  readonly berth: Figures;
  readonly peer: Figures | null;
  /** How many times better Berth is: the median of the rounds' ratios. */
  readonly ratio: number | null;
  /** How many times less CPU time Berth takes: the median of the rounds' ratios. */
  readonly cpuRatio: number | null;
  readonly withoutPeer: string | null;
  readonly bound: Bound | null;
}

export function figuresOf({ rounds, flushes }: CaseRounds): Figures {
  const latencies = sortedLatencies(rounds);
  const cpu = rounds.flatMap(({ generatorCpu }) => generatorCpu ?? []);
  const values = rounds.map(({ value }) => value);
  const cpuMs = median(rounds.map(cpuOf));
  return {
    median: median(values),
    rounds: values,
    p50Ms: latencies.length === 0 ? null : quantile(latencies, 0.5),
    p99Ms: latencies.length === 0 ? null : quantile(latencies, 0.99),
    requests: latencies.length,
    generatorCpu: cpu.length === 0 ? null : Math.max(...cpu),
    cpuMs: Number.isNaN(cpuMs) ? null : cpuMs,
    flushes,
    details: medianDetails(rounds),
  };
}

export function caseResult(
  { name, unit, withoutPeer, bound }: CaseInfo,
  berth: CaseRounds,
  peer: CaseRounds | undefined,
): CaseResult {
  const lowerIsBetter = COSTS.includes(unit);
  const ratios = berth.rounds.map(({ value }, round) => {
    const other = peer?.rounds[round]?.value ?? NaN;
    return lowerIsBetter ? other / value : value / other;
  });
  const cpuRatio = median(berth.rounds.map((round, n) => cpuOf(peer?.rounds[n]) / cpuOf(round)));
  return {
    name,
    unit,
    berth: figuresOf(berth),
    peer: peer === undefined ? null : figuresOf(peer),
    ratio: peer === undefined ? null : median(ratios),
    cpuRatio: Number.isFinite(cpuRatio) ? cpuRatio : null,
    withoutPeer: withoutPeer ?? null,
    bound: bound ?? null,
  };
}

/** NaN for a round that was not measured. */
function cpuOf(round: Measured | undefined): number {
  const { [SERVING_CPU]: serving = NaN, [DATABASE_CPU]: database = NaN } = round?.details ?? {};
  return serving + database;
}

function medianDetails(rounds: readonly Measured[]): Record<string, number> {
  const names = new Set(rounds.flatMap(({ details }) => Object.keys(details ?? {})));
  return Object.fromEntries(
    [...names].map((name) => [name, median(rounds.flatMap(({ details }) => details?.[name] ?? []))]),
  );
}

function sortedLatencies(rounds: readonly Measured[]): Float32Array {
  const all = new Float32Array(rounds.reduce((sum, { latenciesMs }) => sum + latenciesMs.length, 0));
  let at = 0;
  for (const { latenciesMs } of rounds) {
    all.set(latenciesMs, at);
    at += latenciesMs.length;
  }
  return all.sort();
}
