import type { DriverUpload } from '../../src/storage/storage-driver.js';
import type { StorageFault } from './fault-kinds.js';
import type { SeededRandom } from './seeded-random.js';

/** The storage shared by the replicas of a run: their settings, its faults, and its content. */
export interface ChaosStorage {
  /** Why its faults cannot be injected on this machine, if so. */
  readonly problem: string | undefined;
  /** The settings of one replica. */
  environment(replica: number): Record<string, string>;
  /** Injects the fault, calls `onInjected` if it affected anything, and resolves when it has ended. */
  inject(fault: StorageFault, random: SeededRandom, onInjected: (detail?: string) => void): Promise<void>;
  /** Writes unfinished uploads without a row in the database. */
  writeOrphans(): Promise<void>;
  /** What is stored of unfinished uploads, sorted. */
  inFlight(): Promise<string[]>;
  /** The keys of all other objects, sorted. */
  objects(): Promise<string[]>;
  /** Additional rows of the results table. */
  rows(): [name: string, value: string][];
  /** Releases what `Workspace` does not remove. */
  close(): Promise<void>;
}

/** A storage that can measure how many stored bytes of an upload the database has not recorded. */
export interface MeasuresUnrecorded {
  unrecordedBytes(upload: DriverUpload): Promise<number>;
}

export function measuresUnrecorded(storage: ChaosStorage): storage is ChaosStorage & MeasuresUnrecorded {
  return 'unrecordedBytes' in storage;
}
