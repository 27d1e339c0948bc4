import type { Worker } from 'node:cluster';
import { settlesWithin } from '../../common/settles-within.js';
import { isOurs, type StopMessage, type WorkerMessage } from './messages.js';

/** How long after the end of a process its last messages may still be read: the kernel has them already. */
const LAST_WORDS_MS = 1_000;

/** How a worker's life went. Its process is gone: nothing of it can still be writing. */
export interface WorkerEnd {
  /** For a sentence: `exit code 1`, `signal SIGKILL`. */
  readonly how: string;
  /** Whether it ended of its own will. */
  readonly inOrder: boolean;
  /** The sentence of its failed start. */
  readonly sentence: string | undefined;
  /** What its leases are named after; nothing when it never came to take one. */
  readonly holder: string | undefined;
  /** How long it served, in milliseconds; 0 when it never did. */
  readonly servedMs: number;
}

/** One process of the pool, from its fork to its end. */
export class WorkerProcess {
  /** Settles, never rejects, when the process has ended. */
  readonly ended: Promise<WorkerEnd>;
  private holder: string | undefined;
  private sentence: string | undefined;
  private servingSince: number | undefined;
  private isToStop = false;

  /** @param onServing called with the address when it listens. */
  constructor(
    private readonly worker: Worker,
    private readonly onServing: (url: string) => void,
  ) {
    worker.on('message', (message: unknown) => {
      if (isOurs(message)) this.take(message);
    });
    this.ended = this.follow();
  }

  get pid(): number | undefined {
    return this.worker.process.pid;
  }

  get isServing(): boolean {
    return this.servingSince !== undefined;
  }

  /** Asks it to end in order. What is said to a process that is just starting gets lost, so it is told again when it has spoken. */
  stop(): void {
    this.isToStop = true;
    if (this.worker.isConnected()) this.worker.send({ berth: 'stop' } satisfies StopMessage);
  }

  /** Ends it on the spot. */
  kill(): void {
    this.worker.process.kill('SIGKILL');
  }

  private take(message: WorkerMessage | StopMessage): void {
    if (this.isToStop) this.stop();
    if (message.berth === 'holder') this.holder = message.name;
    else if (message.berth === 'failed') this.sentence = message.sentence;
    else if (message.berth === 'serving') {
      this.servingSince = performance.now();
      this.onServing(message.url);
    }
  }

  private async follow(): Promise<WorkerEnd> {
    // Of the process: its channel may be closed while it still writes.
    const exited = new Promise<[number | null, string | null]>((resolve) =>
      this.worker.once('exit', (code: number | null, signal: string | null) => resolve([code, signal])),
    );
    // Of the channel: what it said last may be read after its end was noticed.
    const heard = new Promise<void>((resolve) => this.worker.once('disconnect', resolve));
    const over = exited.then(async (outcome) => {
      await settlesWithin(heard, LAST_WORDS_MS);
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

  private end(how: string, inOrder: boolean): WorkerEnd {
    return {
      how,
      inOrder,
      sentence: this.sentence,
      holder: this.holder,
      servedMs: this.servingSince === undefined ? 0 : performance.now() - this.servingSince,
    };
  }
}
