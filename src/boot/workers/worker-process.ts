import type { Worker } from 'node:cluster';
import { oneAtATime } from '../../common/one-at-a-time.js';
import { settlesWithin } from '../../common/settles-within.js';
import { DRAIN_MS } from '../drain.js';
import type { StopOptions } from '../stop-options.js';
import type { MetricsSnapshot } from '../../observability/metrics/registry.js';
import { NO_WORK, type WorkInProgress } from '../work-in-progress.js';
import { isOurs, type PrimaryMessage, type WorkerMessage } from './messages.js';
import { WorkerWatch } from './worker-watch.js';

/** How long the last messages of an ended process may take to arrive: the kernel has them already. */
const LAST_MESSAGES_MS = 1_000;

/** Time for a worker's stop beyond its drain: two timeouts of a database that does not respond. */
const STOP_MARGIN_MS = 15_000;

/** How long a worker may take to say what it does. It may be frozen. */
const REPLY_MS = 500;

/** How long a worker may take to send its metrics. */
const METRICS_MS = 1_000;

/** How a worker ended. Its process has ended, so it writes nothing. */
export interface WorkerEnd {
  /** `exit code 1` or `signal SIGKILL`. */
  readonly how: string;
  /** Whether it ended with exit code 0. */
  readonly isClean: boolean;
  /** The message of its failed start. */
  readonly reason: string | undefined;
  /** The holder's name in its leases; undefined if it never took one. */
  readonly holder: string | undefined;
  /** How long it served, in milliseconds; 0: never. */
  readonly servedMs: number;
}

export interface WorkerEvents {
  /** The worker listens at the address. */
  onServing(url: string): void;
  /** The worker wants another one to take its place. */
  onReplaceMe(): void;
  /** The worker has not replied to so many questions, one a second, and is killed. */
  onFrozen(unanswered: number): void;
  /** Returns the metrics of all processes, for a client of this worker. */
  allMetrics(): Promise<string>;
}

/** One worker process of the pool, from its fork to its end. */
export class WorkerProcess {
  /** Resolves when the process has ended. Never rejects. */
  readonly ended: Promise<WorkerEnd>;
  /** Resolves to undefined when it serves, or to how it ended before that. Never rejects. */
  readonly started: Promise<WorkerEnd | undefined>;
  private onStarted: () => void = () => undefined;
  private holder: string | undefined;
  private reason: string | undefined;
  private servingSince: number | undefined;
  private servedVersion: string | undefined;
  private stopOptions: StopOptions | undefined;
  private onWork: (work: WorkInProgress) => void = () => undefined;
  /** Only while it serves: a start may take its time. */
  private readonly watch = new WorkerWatch(
    () => this.send({ berth: 'alive?' }),
    (unanswered) => {
      this.events.onFrozen(unanswered);
      this.kill();
    },
  );
  private onMetrics: () => void = () => undefined;
  private metrics: MetricsSnapshot = [];

  constructor(
    private readonly worker: Worker,
    private readonly events: WorkerEvents,
  ) {
    worker.on('message', (message: unknown) => {
      if (isOurs(message)) this.take(message);
    });
    this.ended = this.follow();
    // Its channel closes when it ends, at the latest.
    worker.once('disconnect', () => this.watch.end());
    const serving = new Promise<undefined>((resolve) => (this.onStarted = () => resolve(undefined)));
    this.started = Promise.race([serving, this.ended]);
  }

  get pid(): number | undefined {
    return this.worker.process.pid;
  }

  /** The version of the code that it runs, if it serves. */
  get version(): string | undefined {
    return this.servedVersion;
  }

  get isServing(): boolean {
    return this.servingSince !== undefined;
  }

  /**
   * Asks it to stop, and kills it if it takes too long. Another call can only make the stop shorter. A
   * starting process may miss the message, so it is repeated after each message of the worker.
   */
  stop(options: StopOptions): void {
    this.stopOptions = options;
    this.send({ berth: 'stop', options });
    // A worker that doesn't serve yet has no requests to finish. It may also hang.
    const graceSeconds = this.isServing ? options.graceSeconds : 0;
    const timeoutMs = graceSeconds * 1000 + DRAIN_MS + STOP_MARGIN_MS;
    const timeout = setTimeout(() => this.kill(), timeoutMs);
    void this.ended.then(() => clearTimeout(timeout));
  }

  /** What its stop would wait for. Nothing, if it does not reply in time. */
  async work(): Promise<WorkInProgress> {
    let work = NO_WORK;
    const replied = new Promise<void>((resolve) => {
      this.onWork = (found) => {
        work = found;
        resolve();
      };
    });
    if (this.isServing && this.send({ berth: 'work?' })) await settlesWithin(replied, REPLY_MS);
    return work;
  }

  /** What it measured, as far as it has told. */
  get lastMetrics(): MetricsSnapshot {
    return this.metrics;
  }

  /** Asks for its metrics: `lastMetrics` has them then. Returns false if it does not respond in time. */
  readonly measure = oneAtATime(async () => {
    const told = new Promise<void>((resolve) => (this.onMetrics = resolve));
    return this.send({ berth: 'metrics?' }) && settlesWithin(told, METRICS_MS);
  });

  /** Ends it at once. */
  kill(): void {
    this.worker.process.kill('SIGKILL');
  }

  /** Returns false if the process has no channel any more. */
  private send(message: PrimaryMessage): boolean {
    return this.worker.isConnected() && this.worker.send(message);
  }

  private take(message: WorkerMessage | PrimaryMessage): void {
    if (this.stopOptions !== undefined) this.send({ berth: 'stop', options: this.stopOptions });
    if (message.berth === 'holder') this.holder = message.name;
    else if (message.berth === 'failed') this.reason = message.reason;
    else if (message.berth === 'work') this.onWork(message.work);
    else if (message.berth === 'alive') this.watch.replied();
    else if (message.berth === 'replace me') this.events.onReplaceMe();
    else if (message.berth === 'all metrics?') void this.sendAllMetrics();
    else if (message.berth === 'metrics') {
      this.metrics = message.metrics;
      this.onMetrics();
    } else if (message.berth === 'serving') {
      this.servingSince = performance.now();
      this.servedVersion = message.version;
      // After a downgrade without a restart, the worker may be of a version that can't reply.
      if (message.version !== undefined) this.watch.begin();
      this.events.onServing(message.url);
      this.onStarted();
    }
  }

  private async sendAllMetrics(): Promise<void> {
    this.send({ berth: 'all metrics', text: await this.events.allMetrics() });
  }

  private async follow(): Promise<WorkerEnd> {
    // The end of the process, not of the channel: it may still be writing when the channel closes.
    const exited = new Promise<[number | null, string | null]>((resolve) =>
      this.worker.once('exit', (code: number | null, signal: string | null) => resolve([code, signal])),
    );
    // The end of the channel: the last messages may arrive after the end of the process.
    const heard = new Promise<void>((resolve) => this.worker.once('disconnect', resolve));
    const over = exited.then(async (outcome) => {
      await settlesWithin(heard, LAST_MESSAGES_MS);
      return outcome;
    });
    const notStarted = new Promise<Error>((resolve) =>
      this.worker.on('error', (error) => {
        if (this.pid === undefined) resolve(error);
      }),
    );
    const outcome = await Promise.race([over, notStarted]);
    if (!Array.isArray(outcome)) return this.end(outcome.message, false);
    const [code, signal] = outcome;
    return this.end(signal === null ? `exit code ${code ?? '?'}` : `signal ${signal}`, code === 0);
  }

  private end(how: string, isClean: boolean): WorkerEnd {
    return {
      how,
      isClean,
      reason: this.reason,
      holder: this.holder,
      servedMs: this.servingSince === undefined ? 0 : performance.now() - this.servingSince,
    };
  }
}
