import type { StorageName } from './settings.js';

const BEFORE = [
  'replica killed (kill -9)',
  'worker killed (kill -9)',
  'replica stopped (SIGTERM)',
  'replica frozen for less than its lease',
  'replica frozen beyond its lease',
  'replica frozen beyond the timeouts of the database',
  'Postgres restarted',
  'Postgres killed (kill -9)',
  'Postgres session killed (kill -9)',
] as const;
const AFTER = [
  'connection cut on the client side',
  'connection cut on the replica side',
  'client gone, connection left open',
] as const;
/** Faults of the storage. */
const STORAGE_FAULTS = {
  filesystem: ['disk full'],
  s3: ['store throttled', 'store reset connections', 'store slow', 'store hung', 'store unreachable'],
} as const;

export type StorageFault<Name extends StorageName = StorageName> = (typeof STORAGE_FAULTS)[Name][number];
export type ClusterFault = (typeof BEFORE)[number] | (typeof AFTER)[number];
export type Fault = ClusterFault | StorageFault;

/** Faults of the cluster, its storage and connections. For faults of clients see `CLIENT_FAULTS`. */
export function faultsOn(storage: StorageName): readonly Fault[] {
  return [...BEFORE, ...STORAGE_FAULTS[storage], ...AFTER];
}

export function isClusterFault(fault: Fault): fault is ClusterFault {
  const faults: readonly Fault[] = [...BEFORE, ...AFTER];
  return faults.includes(fault);
}

export function isFaultOf<Name extends StorageName>(
  storage: Name,
  fault: Fault,
): fault is StorageFault<Name> {
  const faults: readonly Fault[] = STORAGE_FAULTS[storage];
  return faults.includes(fault);
}
