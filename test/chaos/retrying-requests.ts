import type { IncomingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { ChaosAccess } from './chaos-access.js';
import { chaosRequest } from './client-request.js';
import type { Deadline } from './deadline.js';
import type { RunResults } from './run-results.js';
import { asksToRetry } from './transient.js';

/** Time without data before a client aborts a request. Doubles with each failure. */
const IDLE_TIMEOUT_MS = { first: 2_000, most: 16_000 };
const BACKOFF_MS = { first: 50, most: 1_000 };

export interface FinalResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** There were earlier attempts. Each may have been done, or may be done later, by a frozen replica. */
  readonly wasRepeated: boolean;
}

/** Repeats a request until it gets a response, as clients of a registry do. */
export class RetryingRequests {
  constructor(
    /** Names the client in problems. */
    readonly label: string,
    private readonly url: string,
    private readonly results: RunResults,
    private readonly deadline: Deadline,
    private readonly access: ChaosAccess,
  ) {}

  /** Returns the first response that is not "try again later". Rejects at the deadline of the run. */
  async send(
    method: string,
    path: string,
    { headers = {}, body }: { headers?: Record<string, string>; body?: Buffer } = {},
  ): Promise<FinalResponse> {
    for (let attempt = 0; ; attempt += 1) {
      const outcome = await chaosRequest(method, new URL(path, this.url), {
        headers: {
          ...headers,
          ...(await this.access.headers(this.url, path)),
          ...(body && { 'Content-Length': String(body.length) }),
        },
        ...(body && { body: Readable.from([body]) }),
        idleTimeoutMs: Math.min(IDLE_TIMEOUT_MS.first * 2 ** attempt, IDLE_TIMEOUT_MS.most),
      });
      const { status, headers: received, text } = outcome;
      const errorText = received['content-type'] === 'application/json' ? text.slice(0, 120) : '';
      this.results.request(this, `${method} ${path} → ${status ?? 'no response'} ${errorText}`);
      this.results.countResponse(outcome, this);
      if (status !== undefined && status < 500 && !asksToRetry(outcome)) {
        return { status, headers: received, body: outcome.body, wasRepeated: attempt > 0 };
      }
      if (status !== undefined && !asksToRetry(outcome)) {
        this.results.wrong(`${method} ${path} returned ${status}: ${text.slice(0, 300)}`, this);
      }
      if (this.deadline.isOver) throw this.deadline.error(`${this.label}: ${method} ${path}`);
      await delay(Math.min(BACKOFF_MS.first * 2 ** attempt, BACKOFF_MS.most));
    }
  }
}
