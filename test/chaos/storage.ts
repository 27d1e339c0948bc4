import type { DriverUpload } from '../../src/storage/storage-driver.js';
import type { StorageFault } from './fault-kinds.js';
import type { SeededRandom } from './seeded-random.js';

/**
 * What the Berths of a run have in common, as the run knows it: what to tell them, how to maltreat it, what
 * is in it.
 */
export interface ChaosStorage {
  /** Why nothing can be done to it here, where that is so. */
  readonly problem: string | undefined;
  /** The settings of one replica. */
  environment(replica: number): Record<string, string>;
  /** Does it, calls `onHarm` when something has come to harm by it, and settles when that is well again. */
  suffer(fault: StorageFault, random: SeededRandom, onHarm: (detail?: string) => void): Promise<void>;
  /** Bytes in flight that no session knows of, as a start leaves them whose row was never committed. */
  leaveOrphans(): Promise<void>;
  /** Whatever there is of unfinished uploads, sorted. */
  inFlight(): Promise<string[]>;
  /** Whatever there is besides, by its key, sorted. */
  objects(): Promise<string[]>;
  /** Rows of the run's table. */
  rows(): [name: string, value: string][];
  /** Lets go of what `Ground` doesn't clear. */
  close(): Promise<void>;
}

/** Where it can be seen how much of an upload there is beyond what was recorded of it. */
export interface TellsUnrecorded {
  unrecordedBytes(upload: DriverUpload): Promise<number>;
}

export function tellsUnrecorded(storage: ChaosStorage): storage is ChaosStorage & TellsUnrecorded {
  return 'unrecordedBytes' in storage;
}
