import { randomInt } from 'node:crypto';
import type { FaultPace } from './fault-injector.js';

const MIB = 1024 * 1024;

/** What the replicas have their bytes in. */
export const STORAGES = ['filesystem', 's3'] as const;
export type StorageName = (typeof STORAGES)[number];

export interface MillisecondRange {
  readonly least: number;
  readonly most: number;
}

/** Where and how large a run is. Everything else about it follows from the seed. */
export interface ChaosSettings {
  readonly storage: StorageName;
  readonly seed: number;
  readonly uploads: number;
  readonly maxBytes: number;
  /** Where there are parts: many uploads have several of them. */
  readonly partBytes?: number;
  /** Uploads begin within this time; faults go on until the last one has ended. */
  readonly spreadSeconds: number;
  readonly faultPace: FaultPace;
  /** The kinds of fault that are injected: those whose names match. */
  readonly faults: RegExp;
  /** Of replicas, so that the database doesn't wait for them any more. */
  readonly longFreezeMs: MillisecondRange;
  /** Clients that push images, each into a repository of its own. */
  readonly imageClients: number;
  /** Clients that all move the same tags. */
  readonly contestants: number;
  /** A run that takes longer ends as too slow to tell. */
  readonly limitSeconds: number;
}

/**
 * What every replica is started with: the smallest checkpoint there is, and a lease that a test can outwait.
 */
export const CHECKPOINT_BYTES = MIB;
export const LEASE_SECONDS = 3;
/** The smallest that there are. */
export const PART_BYTES = 5 * MIB;
export const REPLICAS = 3;
/** Of the first replica alone: the others are single processes. */
export const WORKERS_OF_FIRST = 2;

const USUAL_PACE = { faultPace: { atOnce: 3, pauseMs: { least: 200, most: 1_800 } } };
/** There are more kinds on S3, and a short run has to have them all. */
const FAST_PACE = { faultPace: { atOnce: 4, pauseMs: { least: 100, most: 900 } } };

/** For hangs only: the work of a run is bounded by its uploads. */
const LIMIT_SECONDS = 3_600;

/** One seed for the short run, so that a failure is due to the change and not to chance. */
const SHORT = {
  filesystem: { seed: 2014, uploads: 40, maxBytes: 8 * MIB, spreadSeconds: 12 },
  s3: { seed: 2014, uploads: 24, maxBytes: 16 * MIB, spreadSeconds: 8 },
};
/** That of S3 is smaller: its server has everything in memory, and each part as often as it was written. */
const LONG = {
  filesystem: { uploads: 300, maxBytes: 256 * MIB, spreadSeconds: 120 },
  s3: { uploads: 100, maxBytes: 64 * MIB, spreadSeconds: 120 },
};

const SHORT_LOAD = { imageClients: 3, contestants: 8, longFreezeMs: { least: 6_000, most: 8_000 } };
const LONG_LOAD = { imageClients: 4, contestants: 12, longFreezeMs: { least: 6_000, most: 20_000 } };

/** `CHAOS_STORAGE`; of the short run, both, where it isn't set. */
export function chaosStorages(environment: NodeJS.ProcessEnv): readonly StorageName[] {
  const wanted = environment['CHAOS_STORAGE'];
  if (wanted === undefined) return isLong(environment) ? ['filesystem'] : STORAGES;
  const found = STORAGES.filter((name) => name === wanted);
  if (found.length === 0) throw new Error(`CHAOS_STORAGE: expected ${STORAGES.join(' or ')}`);
  return found;
}

/** Reads `CHAOS` (`short` or `long`) and what overrides it. */
export function chaosSettings(environment: NodeJS.ProcessEnv, storage: StorageName): ChaosSettings {
  const base = isLong(environment) ? { ...LONG[storage], seed: randomInt(1, 1_000_000) } : SHORT[storage];
  const number = (name: string, otherwise: number) => {
    const value = Number(environment[name] ?? otherwise);
    if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${name}: expected a positive number`);
    return value;
  };
  const limitSeconds = number('CHAOS_SECONDS', LIMIT_SECONDS);
  return {
    storage,
    ...(storage === 's3' && !isLong(environment) ? FAST_PACE : USUAL_PACE),
    ...(storage === 's3' && { partBytes: PART_BYTES }),
    ...(isLong(environment) ? LONG_LOAD : SHORT_LOAD),
    faults: new RegExp(environment['CHAOS_FAULTS'] ?? ''),
    seed: number('CHAOS_SEED', base.seed),
    uploads: number('CHAOS_UPLOADS', base.uploads),
    maxBytes: number('CHAOS_MAX_BYTES', base.maxBytes),
    spreadSeconds: base.spreadSeconds,
    limitSeconds,
  };
}

function isLong(environment: NodeJS.ProcessEnv): boolean {
  return environment['CHAOS'] === 'long';
}
