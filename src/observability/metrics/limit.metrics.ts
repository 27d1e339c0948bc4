import { BoundCounter } from './bound-counter.js';

/** The limits that refuse requests or connections before memory is at risk: docs/operations.md has them. */
export const LIMITS = [
  'connections',
  'pipelined_requests',
  'headers',
  'upload_bodies',
  'manifest_bytes',
  'sessions',
  'repository_sessions',
] as const;
export type Limit = (typeof LIMITS)[number];

const refused = new BoundCounter({
  name: 'berth_limit_refusals_total',
  help: 'Requests and connections that were refused because of a limit',
  labelNames: ['limit'],
});

for (const limit of LIMITS) refused.series(limit);

export function countRefusal(limit: Limit): void {
  refused.inc([limit]);
}

/** What this process has refused since its start. */
export function refusalsBy(limit: Limit): number {
  return refused.series(limit).value;
}
