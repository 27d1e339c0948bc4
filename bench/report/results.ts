import { COSTS, type CaseInfo, type Measured } from '../cases/bench-case.js';
import { median, quantile } from './statistics.js';

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
  readonly details: Readonly<Record<string, number>>;
}

export interface CaseResult {
  readonly name: string;
  readonly unit: string;
  readonly berth: Figures;
  readonly peer: Figures | null;
  /** How many times better Berth is: the median of the rounds' ratios. */
  readonly ratio: number | null;
  readonly withoutPeer: string | null;
}

export function figuresOf(rounds: readonly Measured[]): Figures {
  const latencies = sortedLatencies(rounds);
  const cpu = rounds.flatMap(({ generatorCpu }) => generatorCpu ?? []);
  const values = rounds.map(({ value }) => value);
  return {
    median: median(values),
    rounds: values,
    p50Ms: latencies.length === 0 ? null : quantile(latencies, 0.5),
    p99Ms: latencies.length === 0 ? null : quantile(latencies, 0.99),
    requests: latencies.length,
    generatorCpu: cpu.length === 0 ? null : Math.max(...cpu),
    details: medianDetails(rounds),
  };
}

export function caseResult(
  { name, unit, withoutPeer }: CaseInfo,
  berth: readonly Measured[],
  peer: readonly Measured[] | undefined,
): CaseResult {
  const lowerIsBetter = COSTS.includes(unit);
  const ratios = berth.map(({ value }, round) => {
    const other = peer?.[round]?.value ?? NaN;
    return lowerIsBetter ? other / value : value / other;
  });
  return {
    name,
    unit,
    berth: figuresOf(berth),
    peer: peer === undefined ? null : figuresOf(peer),
    ratio: peer === undefined ? null : median(ratios),
    withoutPeer: withoutPeer ?? null,
  };
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
