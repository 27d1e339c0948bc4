import { randomInt } from 'node:crypto';
import { chaosStorages, type StorageName } from '../settings.js';

/** The windows of every replica, in seconds. */
export interface Windows {
  readonly grace: number;
  readonly undelete: number;
  readonly read: number;
  /** 0: never. */
  readonly untagged: number;
}

/** The size of a run. Everything else depends on the seed. */
export interface CollectionSettings {
  readonly storage: StorageName;
  readonly seed: number;
  readonly clients: number;
  readonly operations: number;
  /** Number of kill -9 of the replica that collects. */
  readonly kills: number;
  /** Between two phases the clients pause, and everything is checked. */
  readonly phases: readonly Windows[];
  /** A run that takes longer ends as too slow to tell. */
  readonly limitSeconds: number;
}

const DAY = 86_400;
/** Nothing that is needed may depend on a window: without any, everything unneeded goes at once. */
export const NO_WINDOWS: Windows = { grace: 0, undelete: 0, read: 0, untagged: 0 };
/** Bytes go at once, deletions stay. */
const UNDELETE: Windows = { grace: 0, undelete: DAY, read: 0, untagged: 0 };
/** Windows that end while the clients work. */
const TINY: Windows = { grace: 4, undelete: 3, read: 1, untagged: 0 };
const UNTAGGED: Windows = { grace: 2, undelete: DAY, read: 0, untagged: 2 };

const LONG = {
  clients: 6,
  operations: 3_600,
  kills: 22,
  phases: [UNDELETE, TINY, NO_WINDOWS, UNDELETE, UNTAGGED, TINY],
};
const SHORT = { clients: 4, operations: 400, kills: 3, phases: [UNDELETE, TINY] };

/**
 * The storages and settings of the runs. `CHAOS=long` is the long run; `CHAOS_STORAGE`, `CHAOS_SEED`,
 * `CHAOS_OPERATIONS` and `CHAOS_KILLS` override its values.
 */
export function collectionSettings(environment: NodeJS.ProcessEnv): readonly CollectionSettings[] {
  const isLong = environment['CHAOS'] === 'long' || environment['CHAOS_STORAGE'] === 's3';
  const number = (name: string, otherwise: number) => {
    const value = Number(environment[name] ?? otherwise);
    if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${name}: expected a number`);
    return value;
  };
  const base = isLong ? LONG : SHORT;
  return chaosStorages(environment).map((storage) => ({
    ...base,
    storage,
    seed: number('CHAOS_SEED', isLong ? randomInt(1, 1_000_000) : 15),
    operations: number('CHAOS_OPERATIONS', base.operations),
    kills: number('CHAOS_KILLS', base.kills),
    limitSeconds: number('CHAOS_SECONDS', 3_600),
  }));
}

/** The settings of a replica. Runs are started by hand. */
export function collectorEnvironment({ grace, undelete, read, untagged }: Windows): Record<string, string> {
  return {
    GC_INTERVAL_SECONDS: '0',
    GC_GRACE_SECONDS: String(grace),
    GC_UNDELETE_SECONDS: String(undelete),
    GC_READ_WINDOW_SECONDS: String(read),
    GC_UNTAGGED_SECONDS: String(untagged),
    // Small batches: a run has many, so that requests and kills come between them.
    GC_BATCH_ROWS: '5',
    GC_OBJECT_DELETIONS_PER_SECOND: '2000',
    STORAGE_REDIRECT: 'false',
  };
}
