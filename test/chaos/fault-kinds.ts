/** What is done to the cluster and to connections. What clients do by themselves: `QUIRKS`. */
export const FAULTS = [
  'replica killed (kill -9)',
  'worker killed (kill -9)',
  'replica stopped (SIGTERM)',
  'replica frozen for less than its lease',
  'replica frozen beyond its lease',
  'Postgres restarted',
  'Postgres killed (kill -9)',
  'Postgres session killed (kill -9)',
  'disk full',
  'connection cut on the client side',
  'connection cut on the replica side',
  'client vanished without a word',
] as const;
export type Fault = (typeof FAULTS)[number];
