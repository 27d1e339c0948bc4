import { setTimeout as delay } from 'node:timers/promises';
import { frontGivenUp, frontRetries } from '../../observability/metrics/front.metrics.js';
import { ClientGoneError, NoReplicaError } from '../replicas/replica-failure.js';
import type { Answer } from './answer.js';

/** One for all requests: each of them ends with it, and a new error has a stack. */
const ENDED = new ClientGoneError();

/** Pauses between attempts, beginning with the third. */
const FIRST_PAUSE_MS = 20;
const MAX_PAUSE_MS = 1_000;

/** What closes when the client has its response, or disconnects. */
export interface Closing {
  readonly closed: boolean;
  once(event: 'close', listener: () => void): unknown;
}

/**
 * How long one request of a client may go on without progress: `FRONT_RETRY_SECONDS`. Its signal aborts when
 * that time is over, when the client disconnects, and when the request has ended.
 */
export class Patience {
  private readonly ending = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private failures = 0;
  private lastFailure: Error | undefined;

  /** @param response ends the request when it closes. */
  constructor(
    private readonly seconds: number,
    response?: Closing,
  ) {
    this.run();
    if (response?.closed === true) this.end();
    else response?.once('close', () => this.end());
  }

  /** The reason is a `NoReplicaError` or a `ClientGoneError`. */
  get signal(): AbortSignal {
    return this.ending.signal;
  }

  /** How many attempts have failed since the last progress. */
  get failedAttempts(): number {
    return this.failures;
  }

  /** Gives all of the time again. */
  progressed(): void {
    this.failures = 0;
    this.timer?.refresh();
  }

  /** Stops the clock until `run`: no replica owes anything. */
  rest(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  /** Lets the clock run, from the beginning if it rested. */
  run(): void {
    this.timer ??= setTimeout(() => {
      frontGivenUp.inc();
      this.ending.abort(new NoReplicaError(this.seconds, { cause: this.lastFailure }));
    }, this.seconds * 1000);
  }

  /** Stops the clock while a client, and no replica, is waited for. */
  async restDuring<T>(work: Promise<T>): Promise<T> {
    this.rest();
    try {
      return await work;
    } finally {
      this.run();
    }
  }

  /**
   * Waits before the next attempt: not at all after the first one, since another replica may answer at once.
   *
   * @throws the signal's reason.
   */
  async failed(outcome: Error | { readonly status: number }): Promise<void> {
    this.run();
    this.lastFailure = outcome instanceof Error ? outcome : new Error(`a replica answered ${outcome.status}`);
    this.failures += 1;
    frontRetries.inc();
    this.signal.throwIfAborted();
    if (this.failures === 1) return;
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (this.failures - 2), MAX_PAUSE_MS);
    await delay(pauseMs, undefined, { signal: this.signal }).catch(() => undefined);
    this.signal.throwIfAborted();
  }

  /** Returns the answer, and ends when its body has been passed on: it may still arrive. */
  async until(answered: Promise<Answer>): Promise<Answer> {
    try {
      const answer = await answered;
      if (Buffer.isBuffer(answer.body) || answer.body.closed) this.end();
      else {
        this.rest();
        answer.body.once('close', () => this.end());
      }
      return answer;
    } catch (error) {
      this.end();
      throw error;
    }
  }

  /** Call it when the request has ended. */
  end(): void {
    this.rest();
    this.ending.abort(ENDED);
  }
}
