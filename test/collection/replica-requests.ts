import type { IncomingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { chaosRequest } from '../chaos/client-request.js';
import type { Cluster } from '../chaos/cluster.js';
import type { Deadline } from '../chaos/deadline.js';
import type { RunResults } from '../chaos/run-results.js';
import type { SeededRandom } from '../chaos/seeded-random.js';

const IDLE_TIMEOUT_MS = 60_000;
const RETRY_PAUSE_MS = 100;
const MAX_ATTEMPTS = 20;
const UNREAD_MS = 1_500;
/** Repeating waits until no statement of the broken attempt can still run. */
const OLDER_STATEMENTS = `SELECT count(*)::int AS count FROM pg_stat_activity
   WHERE application_name LIKE 'berth%' AND backend_type = 'client backend' AND state <> 'idle'
     AND xact_start < to_timestamp($1 / 1000.0)`;

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** An earlier attempt may have been done: its replica was killed. */
  readonly wasRepeated: boolean;
  /** When the last attempt was sent, and when its response had arrived: `performance.now()`. */
  readonly sentAt: number;
  readonly receivedAt: number;
}

/** Sends requests to any replica, and again to another one if it was killed. */
export class ReplicaRequests {
  constructor(
    /** Names the client in problems. */
    readonly label: string,
    private readonly cluster: Cluster,
    private readonly results: RunResults,
    private readonly deadline: Deadline,
    private readonly random: SeededRandom,
  ) {}

  async send(
    method: string,
    path: string,
    { headers = {}, body }: { headers?: Record<string, string>; body?: Buffer } = {},
  ): Promise<Reply> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const wasRepeated = attempt > 0;
      const sentAt = performance.now();
      const outcome = await chaosRequest(method, new URL(path, await this.replica()), {
        headers: { ...headers, ...(body && { 'Content-Length': String(body.length) }) },
        ...(body && { body: Readable.from([body]) }),
        idleTimeoutMs: IDLE_TIMEOUT_MS,
      });
      const { status, text } = outcome;
      const receivedAt = performance.now();
      const detail = status === undefined || status >= 400 ? text.slice(0, 200) : '';
      this.results.request(this, `${method} ${path} → ${status ?? 'no response'} ${detail}`);
      this.results.countResponse(outcome, this);
      if (status !== undefined && status >= 500) {
        this.results.wrong(`${method} ${path} returned ${status}: ${text.slice(0, 300)}`, this);
      }
      if (status !== undefined && status < 500 && status !== 429) {
        const { headers: received, body: bytes } = outcome;
        return { status, headers: received, body: bytes, wasRepeated, sentAt, receivedAt };
      }
      if (this.deadline.isOver) throw this.deadline.error(`${this.label}: ${method} ${path}`);
      await delay(RETRY_PAUSE_MS);
      if (status === undefined) await this.noOlderStatement();
    }
    throw new Error(`${this.label}: ${method} ${path} failed ${MAX_ATTEMPTS} times`);
  }

  /** Sends JSON, or nothing, and returns JSON. */
  async json(method: string, path: string, content?: unknown): Promise<Reply & { readonly json: unknown }> {
    const headers = content === undefined ? {} : { 'Content-Type': 'application/json' };
    const body = content === undefined ? undefined : Buffer.from(JSON.stringify(content));
    const reply = await this.send(method, path, { headers, ...(body && { body }) });
    const text = reply.body.toString('utf8');
    return { ...reply, json: text === '' ? undefined : (JSON.parse(text) as unknown) };
  }

  /** A problem of this client. */
  wrong(text: string): void {
    this.results.wrong(text, this);
  }

  private async replica(): Promise<string> {
    const up = () => this.cluster.replicas.flatMap(({ url }) => url ?? []);
    await this.deadline.until('a replica', () => up().length > 0);
    return this.random.pick(up());
  }

  private async noOlderStatement(): Promise<void> {
    // A statement may have been sent that its session has not read yet: until then, the session looks idle.
    await delay(UNREAD_MS);
    const brokeAt = Date.now();
    await this.deadline.until('the statements of a killed replica to end', async () => {
      const [row] = await this.cluster.postgres.query<{ count: number }>(OLDER_STATEMENTS, [brokeAt]);
      return row?.count === 0;
    });
  }
}
