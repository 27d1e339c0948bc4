import type { IncomingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { chaosRequest } from './client-request.js';
import type { Deadline } from './deadline.js';
import type { Ledger } from './ledger.js';
import { asksToRetry } from './transient.js';

/** How long a client waits for something to move, at first and at most: it doubles with each failure. */
const PATIENCE_MS = { first: 2_000, most: 16_000 };
const BACKOFF_MS = { first: 50, most: 1_000 };

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /**
   * There were earlier attempts. Each may have been carried out, and may still be: in a frozen replica, for
   * example.
   */
  readonly wasRepeated: boolean;
}

/** Sends a request again and again until it is answered, as clients of a registry do. */
export class RetryingRequests {
  constructor(
    /** Names the client in problems. */
    readonly label: string,
    private readonly url: string,
    private readonly ledger: Ledger,
    private readonly deadline: Deadline,
  ) {}

  /** Returns the first answer that is not "not now". Rejects at the end of the run's time. */
  async ask(
    method: string,
    path: string,
    { headers = {}, body }: { headers?: Record<string, string>; body?: Buffer } = {},
  ): Promise<Answer> {
    for (let attempt = 0; ; attempt += 1) {
      const outcome = await chaosRequest(method, new URL(path, this.url), {
        headers: body === undefined ? headers : { ...headers, 'Content-Length': String(body.length) },
        ...(body && { body: Readable.from([body]) }),
        patienceMs: Math.min(PATIENCE_MS.first * 2 ** attempt, PATIENCE_MS.most),
      });
      const { status, headers: answered, text } = outcome;
      const said = answered['content-type'] === 'application/json' ? text.slice(0, 120) : '';
      this.ledger.request(this, `${method} ${path} → ${status ?? 'no answer'} ${said}`);
      this.ledger.answered(outcome, this);
      if (status !== undefined && status < 500 && !asksToRetry(outcome)) {
        return { status, headers: answered, body: outcome.body, wasRepeated: attempt > 0 };
      }
      if (status !== undefined && !asksToRetry(outcome)) {
        this.ledger.wrong(`${method} ${path} was answered with ${status}: ${text.slice(0, 300)}`, this);
      }
      if (this.deadline.isOver) throw this.deadline.error(`${this.label}: ${method} ${path}`);
      await delay(Math.min(BACKOFF_MS.first * 2 ** attempt, BACKOFF_MS.most));
    }
  }
}
