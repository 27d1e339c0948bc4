import { randomInt } from 'node:crypto';
import type { FaultPace } from './fault-injector.js';

const MIB = 1024 * 1024;

/** The storages of the replicas. */
export const STORAGES = ['filesystem', 's3'] as const;
export type StorageName = (typeof STORAGES)[number];

export interface MillisecondRange {
  readonly least: number;
  readonly most: number;
}

/** The storage and size of a run. Everything else depends on the seed. */
export interface ChaosSettings {
  readonly storage: StorageName;
  readonly seed: number;
  readonly uploads: number;
  readonly maxBytes: number;
  /** On an object store: many uploads have several parts of this size. */
  readonly partBytes?: number;
  /** Uploads start within this time. Faults continue until the last upload has ended. */
  readonly spreadSeconds: number;
  readonly faultPace: FaultPace;
  /** Only kinds of fault whose names match are injected. */
  readonly faults: RegExp;
  /** Freezes of replicas that exceed the timeouts of the database. */
  readonly longFreezeMs: MillisecondRange;
  /** Number of clients that push images, each into its own repository. */
  readonly imageClients: number;
  /** Number of clients that move the same tags. */
  readonly taggers: number;
  /** A run that takes longer ends as too slow to tell. */
  readonly limitSeconds: number;
  /** Clients need tokens. */
  readonly isSecured: boolean;
  /** How replicas read large bodies: `mixed` is both ways, one of them in the last replica. */
  readonly bodies: BodyReading;
}

const BODY_READINGS = ['direct', 'ordinary', 'mixed'] as const;
type BodyReading = (typeof BODY_READINGS)[number];

/** Settings of every replica: the smallest possible checkpoint, and a lease short enough for a test. */
export const CHECKPOINT_BYTES = MIB;
export const LEASE_SECONDS = 3;
/** The minimum. */
export const PART_BYTES = 5 * MIB;
export const REPLICAS = 3;
/** Only the first replica has workers. The others are single processes. */
export const WORKERS_OF_FIRST = 2;

const USUAL_PACE = { faultPace: { atOnce: 3, pauseMs: { least: 200, most: 1_800 } } };
/** S3 has more kinds of fault, and a short run must inject all of them. */
const FAST_PACE = { faultPace: { atOnce: 4, pauseMs: { least: 100, most: 900 } } };

/** For hangs only: the work of a run is bounded by its uploads. */
const LIMIT_SECONDS = 3_600;

/** A fixed seed, so that a failure of the short run is due to a change of the code. */
const SHORT = {
  filesystem: { seed: 2014, uploads: 40, maxBytes: 8 * MIB, spreadSeconds: 12 },
  s3: { seed: 2014, uploads: 24, maxBytes: 16 * MIB, spreadSeconds: 8 },
};
/** Smaller on S3: its server keeps everything in memory, and every version of a part. */
const LONG = {
  filesystem: { uploads: 300, maxBytes: 256 * MIB, spreadSeconds: 120 },
  s3: { uploads: 100, maxBytes: 64 * MIB, spreadSeconds: 120 },
};

const SHORT_LOAD = { imageClients: 3, taggers: 8, longFreezeMs: { least: 6_000, most: 8_000 } };
const LONG_LOAD = { imageClients: 4, taggers: 12, longFreezeMs: { least: 6_000, most: 20_000 } };

/** `CHAOS_STORAGE`. Default: both storages in the short run, the file system in the long run. */
export function chaosStorages(environment: NodeJS.ProcessEnv): readonly StorageName[] {
  const wanted = environment['CHAOS_STORAGE'];
  if (wanted === undefined) return isLong(environment) ? ['filesystem'] : STORAGES;
  const found = STORAGES.filter((name) => name === wanted);
  if (found.length === 0) throw new Error(`CHAOS_STORAGE: expected ${STORAGES.join(' or ')}`);
  return found;
}

/** Reads `CHAOS` (`short` or `long`) and the variables that override its values. */
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
    isSecured: isSecured(environment),
    bodies: bodyReading(environment),
  };
}

/** `CHAOS_BODIES`: `mixed`, the default, `direct` or `ordinary`. */
function bodyReading({ CHAOS_BODIES: wanted = 'mixed' }: NodeJS.ProcessEnv): BodyReading {
  const found = BODY_READINGS.find((name) => name === wanted);
  if (found === undefined) throw new Error(`CHAOS_BODIES: expected ${BODY_READINGS.join(' or ')}`);
  return found;
}

/** `CHAOS_ACCESS`: `open`, the default, or `token`. */
function isSecured({ CHAOS_ACCESS: access = 'open' }: NodeJS.ProcessEnv): boolean {
  if (access !== 'open' && access !== 'token') throw new Error('CHAOS_ACCESS: expected open or token');
  return access === 'token';
}

function isLong(environment: NodeJS.ProcessEnv): boolean {
  return environment['CHAOS'] === 'long';
}
