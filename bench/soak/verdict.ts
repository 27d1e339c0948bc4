import type { Sample } from './sampler.js';

/** The first part of a run, in which caches fill and the first sessions expire. */
const WARM_UP_PART = 0.25;
/** Growth from the first to the last third after the warm-up that counts as growing. */
const MAX_GROWTH = 0.15;

/** Each move of a tag is recorded and kept. */
export const GROWS_BY_DESIGN: readonly string[] = ['tag_events'];

/** Allowed fluctuation, by unit or name: garbage collection, vacuum, a round of the reaper. */
function slackOf(name: string): number {
  if (name.startsWith('Berth') || name.startsWith('PostgreSQL PSS')) return 24;
  if (name.endsWith('MiB')) return 4;
  return name.endsWith('rows') ? 200 : 20;
}

export interface Finding {
  readonly name: string;
  readonly before: number;
  readonly after: number;
  readonly verdict: 'flat' | 'grows' | 'grows by design' | 'not judged';
}

/** Compares the medians of the first and the last third after the warm-up. */
export function judge(samples: readonly Sample[]): Finding[] {
  const warm = samples.slice(Math.floor(samples.length * WARM_UP_PART));
  const third = Math.max(1, Math.floor(warm.length / 3));
  const names = [...(samples.at(-1)?.values.keys() ?? [])];
  return names.map((name) => {
    const before = medianOf(warm.slice(0, third), name);
    const after = medianOf(warm.slice(-third), name);
    const isFlat = after <= before * (1 + MAX_GROWTH) + slackOf(name);
    const otherwise = verdictUnlessItGrows(name);
    return { name, before, after, verdict: otherwise === 'flat' && !isFlat ? 'grows' : otherwise };
  });
}

function verdictUnlessItGrows(name: string): Exclude<Finding['verdict'], 'grows'> {
  if (GROWS_BY_DESIGN.some((table) => name.startsWith(`${table}:`))) return 'grows by design';
  // The machine may be busy with other work.
  return name.startsWith('latency') ? 'not judged' : 'flat';
}

export function medianOf(samples: readonly Sample[], name: string): number {
  const sorted = samples.map(({ values }) => values.get(name) ?? 0).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
