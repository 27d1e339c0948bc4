import { randomInt } from 'node:crypto';
import { STORAGES, type StorageName } from '../chaos/settings.js';

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
  /** A function of the schema whose lock is taken out: the run must fail. */
  readonly broken?: string;
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

const USUAL = {
  clients: 6,
  operations: 3_600,
  kills: 22,
  phases: [UNDELETE, TINY, NO_WINDOWS, UNDELETE, UNTAGGED, TINY],
};

/**
 * The size of the run. `COLLECTION_STORAGE` (default: `filesystem`), `COLLECTION_SEED`,
 * `COLLECTION_OPERATIONS`, `COLLECTION_KILLS` and `COLLECTION_SECONDS` override its values.
 * `COLLECTION_BROKEN` names a function whose lock is taken out, for example `collect_links`: then the run
 * must fail.
 */
export function collectionSettings(environment: NodeJS.ProcessEnv): CollectionSettings {
  const number = (name: string, otherwise: number) => {
    const value = Number(environment[name] ?? otherwise);
    if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${name}: expected a number`);
    return value;
  };
  const wanted = environment['COLLECTION_STORAGE'] ?? 'filesystem';
  const storage = STORAGES.find((name) => name === wanted);
  if (storage === undefined) throw new Error(`COLLECTION_STORAGE: expected ${STORAGES.join(' or ')}`);
  return {
    ...USUAL,
    storage,
    seed: number('COLLECTION_SEED', randomInt(1, 1_000_000)),
    operations: number('COLLECTION_OPERATIONS', USUAL.operations),
    kills: number('COLLECTION_KILLS', USUAL.kills),
    limitSeconds: number('COLLECTION_SECONDS', 3_600),
    ...(environment['COLLECTION_BROKEN'] && { broken: environment['COLLECTION_BROKEN'] }),
  };
}

/** The settings of a replica. Runs are also started by hand. */
export function collectorEnvironment({ grace, undelete, read, untagged }: Windows): Record<string, string> {
  return {
    // Another replica soon continues a run whose process was killed.
    GC_INTERVAL_SECONDS: '1',
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
