import { randomInt } from 'node:crypto';

const MIB = 1024 * 1024;

/** How large a run is. Everything else about it follows from the seed. */
export interface ChaosSettings {
  readonly seed: number;
  readonly uploads: number;
  readonly maxBytes: number;
  /** Uploads begin within this time; faults go on until the last one has ended. */
  readonly spreadSeconds: number;
  /** The run has failed when it isn't over by then. */
  readonly limitSeconds: number;
}

/** What every replica is started with: the smallest checkpoint there is, and a lease that a test can outwait. */
export const CHECKPOINT_BYTES = MIB;
export const LEASE_SECONDS = 3;
export const REPLICAS = 3;
/** Of the first replica alone: the others are single processes. */
export const WORKERS_OF_FIRST = 2;

/** One seed for `npm test`, so that a failure there is about the change and not about the dice. */
const SHORT = { seed: 2014, uploads: 40, maxBytes: 8 * MIB, spreadSeconds: 12, limitSeconds: 150 };
const LONG = { uploads: 300, maxBytes: 256 * MIB, spreadSeconds: 120, limitSeconds: 300 };

/** Reads `CHAOS` (`short` or `long`) and what overrides it. */
export function chaosSettings(environment: NodeJS.ProcessEnv): ChaosSettings {
  const base = environment['CHAOS'] === 'long' ? { ...LONG, seed: randomInt(1, 1_000_000) } : SHORT;
  const number = (name: string, otherwise: number) => {
    const value = Number(environment[name] ?? otherwise);
    if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${name}: expected a positive number`);
    return value;
  };
  const limitSeconds = number('CHAOS_SECONDS', base.limitSeconds);
  return {
    seed: number('CHAOS_SEED', base.seed),
    uploads: number('CHAOS_UPLOADS', base.uploads),
    maxBytes: number('CHAOS_MAX_BYTES', base.maxBytes),
    spreadSeconds: Math.min(base.spreadSeconds, limitSeconds / 2),
    limitSeconds,
  };
}
