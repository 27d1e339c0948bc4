import { oneAtATime } from '../../common/one-at-a-time.js';
import { workers } from '../../observability/metrics/process.metrics.js';
import { format, type MetricsSnapshot, snapshot, sum } from '../../observability/metrics/registry.js';
import type { WorkerProcess } from './worker-process.js';

const STATES = ['starting', 'serving', 'old', 'silent'] as const;
type State = (typeof STATES)[number];

/**
 * The metrics of a primary and its workers together. A sum must not fall when a worker ends: Prometheus would
 * take that for a restart, and count all of the rest once more. So what ended workers counted stays in it:
 * all of it if they ended in order, otherwise what they told last. A worker that does not respond keeps its
 * last values.
 */
export class WorkerMetrics {
  /** The counters and histograms of workers that ended. */
  private ended: MetricsSnapshot = [];
  private adding: Promise<void> = Promise.resolve();

  /** @param isOld whether another worker has taken its place. */
  constructor(
    private readonly running: ReadonlySet<WorkerProcess>,
    private readonly isOld: (worker: WorkerProcess) => boolean,
  ) {}

  /** Keeps what a worker counted that has ended. Call it when the set has it no more. */
  keep({ lastMetrics }: WorkerProcess): void {
    const counted = lastMetrics.filter(({ type }) => COUNTING.includes(String(type)));
    // One after the other: each adds to the sum before.
    this.adding = this.adding.then(async () => void (this.ended = await sum([this.ended, counted])));
  }

  /** Of all processes, as Prometheus reads it. Takes a second at most. */
  readonly text = oneAtATime(async () => {
    const measured = [...this.running];
    const responded = await Promise.all(measured.map((worker) => worker.measure()));
    const states = measured.map((worker, index) => this.stateOf(worker, responded[index] === true));
    for (const state of STATES) workers.set({ state }, states.filter((each) => each === state).length);
    const own = await snapshot();
    await this.adding;
    // A worker that ended meanwhile is in `ended` now.
    const alive = measured.filter((worker) => this.running.has(worker));
    return format([own, this.ended, ...alive.map(({ lastMetrics }) => lastMetrics)]);
  });

  private stateOf(worker: WorkerProcess, hasResponded: boolean): State {
    if (!worker.isServing) return 'starting';
    if (!hasResponded) return 'silent';
    return this.isOld(worker) ? 'old' : 'serving';
  }
}

/** A gauge says how something is now. */
const COUNTING: readonly string[] = ['counter', 'histogram'];
