import { setTimeout as delay } from 'node:timers/promises';
import { withDigest } from '../support/registry-client.js';
import type { ChaosAccess } from './chaos-access.js';
import { chaosRequest, type ChaosRequestOptions, type Outcome } from './client-request.js';
import type { Deadline } from './deadline.js';
import type { RunResults } from './run-results.js';
import { pacedBody } from './paced-body.js';
import type { ChaosProxy } from './proxy.js';
import { offsetInRefusal, SessionView } from './session-view.js';
import { asksToRetry } from './transient.js';
import type { ClientFault, UploadPlan } from './upload-plan.js';

/** Time without data before a client aborts a request. Doubles with each failure. */
const IDLE_TIMEOUT_MS = { first: 2_000, most: 16_000 };
const BACKOFF_MS = { first: 50, most: 1_000 };
/** Maximum number of chunks of an upload, so chunks have a minimum size. */
const MAX_CHUNKS = 16;
/** Shorter bodies end before a client fault could begin. */
const SHORTEST_MS = 200;

/** What all clients of a run share. */
export interface ClientContext {
  readonly url: string;
  readonly proxy: ChaosProxy;
  readonly results: RunResults;
  readonly deadline: Deadline;
  readonly access: ChaosAccess;
}

/** One upload, by a client that retries: it gets the session's offset and resumes there. */
export class UploadClient {
  private session: SessionView | undefined;
  /** Offset of the next byte. Undefined: must be read from the registry. */
  private position: number | undefined;
  private failures = 0;
  private deleteSent = false;
  private readonly clientFaults: Set<ClientFault>;
  /** Where a client stops. Smaller than the size if the upload will not be committed. */
  private readonly stopsAt: number;
  private digest = '';

  constructor(
    private readonly plan: UploadPlan,
    private readonly context: ClientContext,
  ) {
    this.clientFaults = new Set(plan.clientFaults);
    const { sizeBytes } = plan.content;
    this.stopsAt = plan.ending === 'commit' ? sizeBytes : plan.random.int(0, sizeBytes);
  }

  /** Described for a run that hangs. */
  get state(): string {
    const { index, form, ending, content } = this.plan;
    const progress = `at ${this.position} of ${content.sizeBytes} after ${this.failures} failures`;
    return `upload ${index} (${form}, ${ending}) ${progress}`;
  }

  /** Resolves when the upload has ended as planned, or failed permanently. */
  async run(): Promise<void> {
    this.digest = await this.plan.content.digest();
    while (!(await this.step())) {
      if (this.context.deadline.isOver) throw this.context.deadline.error(this.state);
      if (this.failures > 0)
        await delay(Math.min(BACKOFF_MS.first * 2 ** (this.failures - 1), BACKOFF_MS.most));
    }
    this.context.results.bytesAcknowledged += this.session?.acknowledged ?? 0;
  }

  /** Sends one request. Returns true if the upload has ended. */
  private async step(): Promise<boolean> {
    const { form, ending, content } = this.plan;
    if (form === 'whole') return this.pushWhole();
    if (this.session === undefined) return this.begin();
    if (this.position === undefined) return this.askStatus(this.session);
    if (ending === 'abandon' && this.position >= this.stopsAt) return true;
    if (ending === 'cancel' && this.position >= this.stopsAt) return this.cancel(this.session);
    if (ending === 'commit' && (form === 'last' || this.position === content.sizeBytes)) {
      return this.commit(this.session, this.position);
    }
    return this.append(this.session, this.position);
  }

  private async pushWhole(): Promise<boolean> {
    const { repository, content } = this.plan;
    const path = `/v2/${repository}/blobs/uploads/?digest=${this.digest}`;
    this.maybeLoseResponse(path);
    const outcome = await this.send('POST', path, this.bodyOf(0, content.sizeBytes, { sized: true }));
    if (outcome.status !== 201) return this.failed(outcome);
    this.context.results.bytesAcknowledged += content.sizeBytes;
    return this.succeeded();
  }

  private async begin(): Promise<boolean> {
    const outcome = await this.send('POST', `/v2/${this.plan.repository}/blobs/uploads/`);
    if (outcome.status !== 202) return this.failed(outcome);
    this.failures = 0;
    this.session = new SessionView(outcome.headers.location ?? '', this.plan, this.context.results);
    this.position = 0;
    return false;
  }

  private async askStatus(session: SessionView): Promise<boolean> {
    const outcome = await this.send('GET', session.location);
    if (outcome.status !== 204) return this.failed(outcome);
    const offset = session.reported(session.offsetIn(outcome), 'the status');
    session.hasUnrangedBody = false;
    this.position = offset;
    return false;
  }

  private async append(session: SessionView, start: number): Promise<boolean> {
    const { form, content, random } = this.plan;
    const smallest = Math.ceil(content.sizeBytes / MAX_CHUNKS);
    const length = random.int(smallest, Math.max(smallest, Math.floor(content.sizeBytes / 2)));
    const end = form === 'stream' ? this.stopsAt : Math.min(this.stopsAt, start + length);
    const expectedMs = (this.plan.sendingMs * (end - start)) / content.sizeBytes;
    const disconnecting = this.disconnectSignal(expectedMs);
    const second = this.maybeSecondWriter(session, end, expectedMs);
    const outcome = await this.send('PATCH', session.location, {
      ...this.chunk(session, start, end),
      ...(disconnecting && { signal: disconnecting }),
    });
    const wasAlone = !(await second);
    if (outcome.status === 202) {
      this.failures = 0;
      session.hasUnrangedBody = false;
      if (end > 1 && session.offsetIn(outcome) !== end) {
        this.problem(`a chunk up to ${end} returned Range ${outcome.headers.range}`);
      }
      session.reported(end, 'the response to a chunk');
      this.position = wasAlone ? end : undefined;
      return false;
    }
    if (disconnecting?.aborted === true)
      this.context.results.injected('client disconnected and reconnected at once');
    return this.interrupted(session, outcome, { reconnectsAtOnce: disconnecting?.aborted === true });
  }

  private async commit(session: SessionView, start: number): Promise<boolean> {
    const { sizeBytes } = this.plan.content;
    const path = withDigest(session.location, this.digest);
    this.maybeLoseResponse(path);
    const body = start < sizeBytes ? this.chunk(session, start, sizeBytes) : {};
    const outcome = await this.send('PUT', path, body);
    if (outcome.status !== 201) return this.interrupted(session, outcome, { reconnectsAtOnce: false });
    session.acknowledged = sizeBytes;
    return this.succeeded();
  }

  private async cancel(session: SessionView): Promise<boolean> {
    const outcome = await this.send('DELETE', session.location);
    // The response to an earlier DELETE may have been lost.
    if (outcome.status === 204 || (outcome.status === 404 && this.deleteSent)) return true;
    this.deleteSent = true;
    return this.failed(outcome);
  }

  /** Sends the same bytes from a second client at the same time. Returns whether it sent any. */
  private async maybeSecondWriter(session: SessionView, end: number, expectedMs: number): Promise<boolean> {
    if (!this.has('second client wrote the same session', expectedMs)) return false;
    await delay(this.plan.random.int(20, expectedMs / 2));
    const status = await this.send('GET', session.location);
    if (status.status !== 204) return true;
    const start = session.reported(session.offsetIn(status), 'the status');
    if (start >= end) return true;
    const outcome = await this.send('PATCH', session.location, this.rangedChunk(session, start, end));
    if (outcome.status === 202) session.reported(end, 'the response to a second client');
    else if (outcome.status !== 416) this.expectTransient(outcome);
    this.context.results.injected(
      'second client wrote the same session',
      `${session.location} ${outcome.status}`,
    );
    return true;
  }

  /**
   * The first body of a session has no range, unless the client sends chunks: it begins where its Location
   * says. So it may be repeated, or arrive late.
   */
  private chunk(
    session: SessionView,
    start: number,
    end: number,
  ): Pick<ChaosRequestOptions, 'headers' | 'body'> {
    const { form } = this.plan;
    const isFirst = session.sentEnd === 0 || session.hasUnrangedBody;
    if (form === 'chunks' || !isFirst || start === end) return this.rangedChunk(session, start, end);
    session.hasUnrangedBody = true;
    return this.bodyOf(start, end, { sized: form === 'last', session });
  }

  private rangedChunk(session: SessionView, start: number, end: number) {
    const { headers, body } = this.bodyOf(start, end, { sized: this.plan.form === 'chunks', session });
    return { headers: { ...headers, 'Content-Range': `${start}-${end - 1}` }, body };
  }

  private bodyOf(start: number, end: number, { sized, session }: { sized: boolean; session?: SessionView }) {
    const sendsSlowly = end - start > 1 && this.clientFaults.delete('client sent single bytes slowly');
    if (sendsSlowly) this.context.results.injected('client sent single bytes slowly');
    const onPiece = (at: number) => {
      if (session) session.sentEnd = Math.max(session.sentEnd, at);
    };
    const headers: Record<string, string> = { 'Content-Type': 'application/octet-stream' };
    if (sized) headers['Content-Length'] = String(end - start);
    return { headers, body: pacedBody(this.plan, start, end, { sendsSlowly, onPiece }) };
  }

  /** Aborts before the whole body is sent. */
  private disconnectSignal(expectedMs: number): AbortSignal | undefined {
    if (!this.has('client disconnected and reconnected at once', expectedMs)) return undefined;
    return AbortSignal.timeout(this.plan.random.int(10, expectedMs / 2));
  }

  /** Whether to start a client fault that takes some time. */
  private has(clientFault: ClientFault, expectedMs: number): boolean {
    return expectedMs >= SHORTEST_MS && this.clientFaults.delete(clientFault);
  }

  private maybeLoseResponse(path: string): void {
    if (this.clientFaults.delete('response to a commit lost')) this.context.proxy.loseResponse(path);
  }

  /**
   * A body was interrupted. Half of the clients repeat a body without a range; the others read from the
   * registry how much of it arrived.
   */
  private interrupted(
    session: SessionView,
    outcome: Outcome,
    { reconnectsAtOnce }: { reconnectsAtOnce: boolean },
  ): boolean {
    this.position = undefined;
    const isRepeated = session.hasUnrangedBody && this.plan.index % 2 === 1;
    if (isRepeated) this.position = 0;
    else session.hasUnrangedBody = false;
    if (outcome.status === 416) {
      if (isRepeated) this.problem('a repeated body was refused');
      session.hasUnrangedBody = false;
      const offset = offsetInRefusal(outcome);
      if (offset !== undefined) this.position = session.reported(offset, 'a refusal');
      return false;
    }
    if (reconnectsAtOnce && outcome.status === undefined) return false;
    return this.failed(outcome);
  }

  private failed(outcome: Outcome): boolean {
    this.failures += 1;
    return !this.expectTransient(outcome);
  }

  private expectTransient(outcome: Outcome): boolean {
    const { status = 0, text } = outcome;
    if (asksToRetry(outcome)) return true;
    this.problem(`response ${status}: ${text.slice(0, 300)}`);
    // An unexpected 5xx is a problem of the registry. The upload must continue.
    return status >= 500;
  }

  private succeeded(): true {
    this.context.results.succeeded(this.plan, this.digest);
    return true;
  }

  private problem(text: string): void {
    this.context.results.problem(`${this.session?.location ?? 'no session'}: ${text}`, this.plan);
  }

  private async send(
    method: string,
    path: string,
    options: Pick<ChaosRequestOptions, 'headers' | 'body' | 'signal'> = {},
  ): Promise<Outcome> {
    const idleTimeoutMs = Math.min(IDLE_TIMEOUT_MS.first * 2 ** this.failures, IDLE_TIMEOUT_MS.most);
    const { access, url } = this.context;
    const outcome = await chaosRequest(method, new URL(path, url), {
      ...options,
      headers: { ...options.headers, ...(await access.headers(url, path)) },
      idleTimeoutMs,
    });
    const { status, headers, sentBytes, text } = outcome;
    const range = options.headers?.['Content-Range'] ?? '';
    const result =
      status === undefined ? 'no response' : `${status} ${headers.range ?? ''} ${text.slice(0, 120)}`;
    this.context.results.request(this.plan, `${method} ${path} ${range} (${sentBytes} bytes) → ${result}`);
    this.context.results.countResponse(outcome, this.plan);
    return outcome;
  }
}
