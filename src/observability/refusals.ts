/**
 * The limits that refuse requests or connections before memory is at risk. The names are for operators, who
 * count refusals by them.
 */
export const LIMITS = [
  'connections',
  'pipelined_requests',
  'headers',
  'upload_bodies',
  'sessions',
  'repository_sessions',
] as const;
export type Limit = (typeof LIMITS)[number];

const counts = new Map<Limit, number>(LIMITS.map((limit) => [limit, 0]));

/** Counts a refusal of this process. */
export function countRefusal(limit: Limit): void {
  counts.set(limit, (counts.get(limit) ?? 0) + 1);
}

/** What this process has refused since its start. */
export function refusals(): ReadonlyMap<Limit, number> {
  return counts;
}
