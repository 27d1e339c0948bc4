import cluster from 'node:cluster';
import { oneAtATime } from '../../common/one-at-a-time.js';
import { settlesWithin } from '../../common/settles-within.js';
import type { MetricsSnapshot } from '../../observability/metrics/registry.js';
import type { WorkInProgress } from '../work-in-progress.js';
import type { StopOptions } from '../stop-options.js';
import { isOurs, type WorkerMessage } from './messages.js';

/** Longer than the primary waits for a frozen worker. */
const ALL_METRICS_MS = 5_000;

/** A worker's connection to its primary. */
export class PrimaryLink {
  /**
   * Leaves signals to the primary, which also gets those of a terminal. Only SIGTERM may be meant for this
   * worker: another one then takes its place, and it finishes its requests.
   */
  onSignals(): void {
    for (const signal of ['SIGINT', 'SIGHUP']) process.on(signal, () => undefined);
    process.on('SIGTERM', () => void this.tell({ berth: 'replace me' }));
  }

  /** Calls `stop` when the primary asks for it. */
  onStop(stop: (options: StopOptions) => void): void {
    process.on('message', (message) => {
      if (isOurs(message) && message.berth === 'stop') stop(message.options);
    });
  }

  /** Tells the primary that this process responds, whenever it asks. */
  onAskedWhetherAlive(): void {
    process.on('message', (message) => {
      if (isOurs(message) && message.berth === 'alive?') void this.tell({ berth: 'alive' });
    });
  }

  /** Tells the primary what a stop would wait for, whenever it asks. */
  onAskedForWork(work: () => Promise<WorkInProgress>): void {
    process.on('message', (message) => {
      if (isOurs(message) && message.berth === 'work?')
        void work().then((found) => this.tell({ berth: 'work', work: found }));
    });
  }

  /** Sends the metrics of this process whenever the primary asks. */
  onAskedForMetrics(snapshot: () => Promise<MetricsSnapshot>): void {
    process.on('message', (message) => {
      if (isOurs(message) && message.berth === 'metrics?')
        void snapshot().then((metrics) => this.tell({ berth: 'metrics', metrics }));
    });
  }

  /**
   * The metrics of all processes of this host, from the primary.
   *
   * @throws Error if it does not answer in time: it is busy, or older than this worker and has no metrics.
   */
  readonly allMetrics = oneAtATime(async () => {
    let text: string | undefined;
    let onAnswer: () => void = () => undefined;
    const answered = new Promise<void>((resolve) => (onAnswer = resolve));
    const take = (message: unknown) => {
      if (!isOurs(message) || message.berth !== 'all metrics') return;
      text = message.text;
      onAnswer();
    };
    process.on('message', take);
    try {
      await this.tell({ berth: 'all metrics?' });
      await settlesWithin(answered, ALL_METRICS_MS);
    } finally {
      process.off('message', take);
    }
    if (text === undefined) throw new Error('the primary did not send the metrics of all workers in time');
    return text;
  });

  /**
   * Calls `lost` when the primary has ended. The worker must stop then, because the next start waits for it.
   */
  onLost(lost: () => void): void {
    const { worker } = cluster;
    if (worker === undefined) throw new Error('not a worker');
    // Node's own messages fail after the primary was killed. The 'disconnect' that follows handles that.
    worker.on('error', () => undefined);
    worker.on('disconnect', () => {
      // Otherwise Node would end this process at once, in the middle of a write.
      worker.exitedAfterDisconnect = true;
      lost();
    });
  }

  /** Resolves when the message was sent, or the primary has ended. */
  tell(message: WorkerMessage): Promise<void> {
    return new Promise((resolve) => {
      if (process.send === undefined || !process.connected) resolve();
      else process.send(message, undefined, undefined, () => resolve());
    });
  }
}
