import type { LoadGenerator } from '../load/load-generator.js';
import type { Workspace } from '../run/workspace.js';
import type { Sizes } from '../cases/sizes.js';

export interface LimitContext {
  readonly workspace: Workspace;
  readonly generator: LoadGenerator;
  readonly sizes: Sizes;
  /** Of programs that hash. */
  readonly env: Readonly<Record<string, string>>;
  readonly rounds: number;
  readonly seconds: number;
}

/** A limit of any registry, measured on the same machine in the same run. */
export interface Limit {
  readonly name: string;
  readonly unit: 'requests/s' | 'pushes/s' | 'files/s' | 'flushes/s' | 'MB/s';
  /** Undefined if a program is missing on this machine. */
  measure(context: LimitContext): Promise<LimitFigure | undefined>;
}

export interface LimitFigure {
  readonly value: number;
  readonly generatorCpu?: number;
}

export interface LimitResult extends LimitFigure {
  readonly name: string;
  readonly unit: string;
}
