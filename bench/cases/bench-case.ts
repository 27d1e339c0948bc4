import type { JobResult } from '../load/jobs.js';
import type { LoadGenerator } from '../load/load-generator.js';
import type { RegistryServer } from '../servers/registry-server.js';
import type { S3Bucket } from '../servers/s3-bucket.js';
import type { Sizes } from './sizes.js';

export type Unit = 'requests/s' | 'pushes/s' | 'MB/s' | 'images/s' | 'ms' | 'MiB';

/** Units of which less is better. */
export const COSTS: readonly Unit[] = ['ms', 'MiB'];

/** A registry under test, with the tools of a case. */
export interface Target {
  readonly kind: 'berth' | 'peer';
  readonly server: RegistryServer;
  readonly generator: LoadGenerator;
  readonly sizes: Sizes;
  /** Of a run over an object store. */
  readonly bucket?: S3Bucket | undefined;
}

export interface Round {
  /** 0 and less: the warm-up. */
  readonly number: number;
  readonly seconds: number;
}

/** The result of a round. */
export interface Measured {
  /** In the case's unit. */
  readonly value: number;
  readonly latenciesMs: Float32Array;
  readonly generatorCpu: number | undefined;
  /** Further figures, by name and unit, for the JSON and for other tables. */
  readonly details?: Readonly<Record<string, number>>;
}

/** What a registry on this machine can hardly exceed in a case: a limit, or a part of it. */
export interface Bound {
  /** Name of the limit. */
  readonly limit: string;
  /** The limit in the case's unit is its figure divided by this. */
  readonly divisor: number;
}

export interface CaseInfo {
  readonly name: string;
  readonly unit: Unit;
  /** Why the peer is not measured. */
  readonly withoutPeer?: string;
  /** Measured once, without warm-up: for cases that take long and don't vary. */
  readonly single?: boolean;
  /** A push: its flushes are counted in an extra round, and it is measured over an object store, too. */
  readonly isPush?: boolean;
  readonly bound?: Bound;
}

/** A case of a group. `S`: what the group seeded on a target. */
export interface BenchCase<S> extends CaseInfo {
  run(target: Target, seed: S, round: Round): Promise<Measured>;
  /** Checks the digests of what was pulled or pushed. Not timed, after the last round. */
  verify(target: Target, seed: S): Promise<void>;
}

/** Cases that share servers with fresh data and the same seed. */
export interface CaseGroup {
  readonly name: string;
  readonly cases: readonly CaseInfo[];
  open(target: Target): Promise<OpenGroup>;
}

export interface OpenGroup {
  run(name: string, round: Round): Promise<Measured>;
  verify(name: string): Promise<void>;
}

export function defineGroup<S>(
  name: string,
  seed: (target: Target) => Promise<S>,
  cases: readonly BenchCase<S>[],
): CaseGroup {
  const find = (wanted: string): BenchCase<S> => {
    const found = cases.find((one) => one.name === wanted);
    if (!found) throw new Error(`no such case: ${wanted}`);
    return found;
  };
  return {
    name,
    cases,
    open: async (target) => {
      const seeded = await seed(target);
      return {
        run: (wanted, round) => find(wanted).run(target, seeded, round),
        verify: (wanted) => find(wanted).verify(target, seeded),
      };
    },
  };
}

/** Responses, pushes or images per second. */
export function perSecond(result: JobResult): Measured {
  return measured(result, result.latenciesMs.length / result.seconds);
}

/** Content per second, in millions of bytes. */
export function megabytesPerSecond(result: JobResult): Measured {
  return measured(result, result.bytes / 1e6 / result.seconds);
}

function measured({ latenciesMs, generatorCpu }: JobResult, value: number): Measured {
  return { value, latenciesMs, generatorCpu };
}
