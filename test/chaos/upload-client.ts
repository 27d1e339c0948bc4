import { setTimeout as delay } from 'node:timers/promises';
import { chaosRequest, type ChaosRequestOptions, type Outcome } from './client-request.js';
import type { Deadline } from './deadline.js';
import type { Ledger } from './ledger.js';
import { pacedBody } from './paced-body.js';
import type { ChaosProxy } from './proxy.js';
import { offsetInRefusal, SessionView } from './session-view.js';
import { asksToRetry } from './transient.js';
import type { Quirk, UploadPlan } from './upload-plan.js';

/** How long a client waits for something to move, at first and at most: it doubles with each failure. */
const PATIENCE_MS = { first: 2_000, most: 16_000 };
const BACKOFF_MS = { first: 50, most: 1_000 };
/** No chunk is smaller than this part of the content, so that an upload has a bounded number of them. */
const MOST_CHUNKS = 16;
/** Bodies that take less are over before a quirk could begin. */
const SHORTEST_MS = 200;

/** What all clients of a run share. */
export interface ClientSurroundings {
  readonly url: string;
  readonly proxy: ChaosProxy;
  readonly ledger: Ledger;
  readonly deadline: Deadline;
}

/** One upload, by a client that doesn't give up: it asks how far the session is, and goes on from there. */
export class UploadClient {
  private session: SessionView | undefined;
  /** Where the next byte belongs; undefined: to be asked. */
  private position: number | undefined;
  private failures = 0;
  private deleteSent = false;
  private readonly quirks: Set<Quirk>;
  /** Where a client stops that never meant to commit. */
  private readonly stopsAt: number;
  private digest = '';

  constructor(
    private readonly plan: UploadPlan,
    private readonly around: ClientSurroundings,
  ) {
    this.quirks = new Set(plan.quirks);
    const { sizeBytes } = plan.content;
    this.stopsAt = plan.ending === 'commit' ? sizeBytes : plan.random.int(0, sizeBytes);
  }

  /** What it is doing, for a run that hangs. */
  get state(): string {
    const { index, manner, ending, content } = this.plan;
    return `upload ${index} (${manner}, ${ending}) at ${this.position} of ${content.sizeBytes} after ${this.failures} failures`;
  }

  /** Settles when the upload has come to the end that was planned, or has failed for good. */
  async run(): Promise<void> {
    this.digest = await this.plan.content.digest();
    while (!(await this.step())) {
      if (this.around.deadline.isOver) throw this.around.deadline.error(this.state);
      if (this.failures > 0)
        await delay(Math.min(BACKOFF_MS.first * 2 ** (this.failures - 1), BACKOFF_MS.most));
    }
    this.around.ledger.bytesAcknowledged += this.session?.acknowledged ?? 0;
  }

  /** One request. True: the upload is over. */
  private async step(): Promise<boolean> {
    const { manner, ending, content } = this.plan;
    if (manner === 'whole') return this.pushWhole();
    if (this.session === undefined) return this.begin();
    if (this.position === undefined) return this.askStatus(this.session);
    if (ending === 'abandon' && this.position >= this.stopsAt) return true;
    if (ending === 'cancel' && this.position >= this.stopsAt) return this.cancel(this.session);
    if (ending === 'commit' && (manner === 'last' || this.position === content.sizeBytes)) {
      return this.commit(this.session, this.position);
    }
    return this.append(this.session, this.position);
  }

  private async pushWhole(): Promise<boolean> {
    const { repository, content } = this.plan;
    const path = `/v2/${repository}/blobs/uploads/?digest=${this.digest}`;
    this.maybeLoseAnswer(path);
    const outcome = await this.send('POST', path, this.bodyOf(0, content.sizeBytes, { sized: true }));
    if (outcome.status !== 201) return this.failed(outcome);
    this.around.ledger.bytesAcknowledged += content.sizeBytes;
    return this.succeeded();
  }

  private async begin(): Promise<boolean> {
    const outcome = await this.send('POST', `/v2/${this.plan.repository}/blobs/uploads/`);
    if (outcome.status !== 202) return this.failed(outcome);
    this.failures = 0;
    this.session = new SessionView(outcome.headers.location ?? '', this.plan, this.around.ledger);
    this.position = 0;
    return false;
  }

  private async askStatus(session: SessionView): Promise<boolean> {
    const outcome = await this.send('GET', session.location);
    if (outcome.status !== 204) return this.failed(outcome);
    const offset = session.told(session.offsetIn(outcome), 'the status');
    if (session.appendsBlindly && offset === 0) {
      // It may begin yet, after what would be sent now: the only safe way is another session, and it is what
      // Docker does.
      this.session = undefined;
      return false;
    }
    session.appendsBlindly = false;
    this.position = offset;
    return false;
  }

  private async append(session: SessionView, start: number): Promise<boolean> {
    const { manner, content, random } = this.plan;
    const smallest = Math.ceil(content.sizeBytes / MOST_CHUNKS);
    const length = random.int(smallest, Math.max(smallest, Math.floor(content.sizeBytes / 2)));
    const end = manner === 'stream' ? this.stopsAt : Math.min(this.stopsAt, start + length);
    const expectedMs = (this.plan.sendingMs * (end - start)) / content.sizeBytes;
    const leaving = this.leavingSignal(expectedMs);
    const second = this.maybeSecondWriter(session, end, expectedMs);
    const outcome = await this.send('PATCH', session.location, {
      ...this.chunk(session, start, end),
      ...(leaving && { signal: leaving }),
    });
    const wasAlone = !(await second);
    if (outcome.status === 202) {
      this.failures = 0;
      session.appendsBlindly = false;
      if (end > 1 && session.offsetIn(outcome) !== end) {
        this.problem(`a chunk up to ${end} was answered with Range ${outcome.headers.range}`);
      }
      session.told(end, 'the answer to a chunk');
      this.position = wasAlone ? end : undefined;
      return false;
    }
    if (leaving?.aborted === true) this.around.ledger.injected('client left and came back at once');
    return this.interrupted(session, outcome, { comesBackAtOnce: leaving?.aborted === true });
  }

  private async commit(session: SessionView, start: number): Promise<boolean> {
    const { sizeBytes } = this.plan.content;
    const path = `${session.location}?digest=${this.digest}`;
    this.maybeLoseAnswer(path);
    const body = start < sizeBytes ? this.chunk(session, start, sizeBytes) : {};
    const outcome = await this.send('PUT', path, body);
    if (outcome.status !== 201) return this.interrupted(session, outcome, { comesBackAtOnce: false });
    session.acknowledged = sizeBytes;
    return this.succeeded();
  }

  private async cancel(session: SessionView): Promise<boolean> {
    const outcome = await this.send('DELETE', session.location);
    // The answer to an earlier one may have been lost.
    if (outcome.status === 204 || (outcome.status === 404 && this.deleteSent)) return true;
    this.deleteSent = true;
    return this.failed(outcome);
  }

  /**
   * The same bytes at the same place, from somebody else, while they are being sent. Answers whether there
   * was one.
   */
  private async maybeSecondWriter(session: SessionView, end: number, expectedMs: number): Promise<boolean> {
    if (!this.has('second client wrote the same session', expectedMs)) return false;
    await delay(this.plan.random.int(20, expectedMs / 2));
    const status = await this.send('GET', session.location);
    if (status.status !== 204) return true;
    const start = session.told(session.offsetIn(status), 'the status');
    // While the first body may not have begun, another one would send it astray.
    if (start >= end || (session.appendsBlindly && start === 0)) return true;
    session.appendsBlindly = false;
    const outcome = await this.send('PATCH', session.location, this.rangedChunk(session, start, end));
    if (outcome.status === 202) session.told(end, 'the answer to a second client');
    else if (outcome.status !== 416) this.expectTransient(outcome);
    this.around.ledger.injected(
      'second client wrote the same session',
      `${session.location} ${outcome.status}`,
    );
    return true;
  }

  /**
   * As a client sends it that has sent nothing before: without a range; later with one, so that it can't go
   * astray.
   */
  private chunk(
    session: SessionView,
    start: number,
    end: number,
  ): Pick<ChaosRequestOptions, 'headers' | 'body'> {
    const { manner } = this.plan;
    if (manner === 'chunks' || session.sentEnd > 0 || start === end)
      return this.rangedChunk(session, start, end);
    session.appendsBlindly = true;
    return this.bodyOf(start, end, { sized: manner === 'last', session });
  }

  private rangedChunk(session: SessionView, start: number, end: number) {
    const { headers, body } = this.bodyOf(start, end, { sized: this.plan.manner === 'chunks', session });
    return { headers: { ...headers, 'Content-Range': `${start}-${end - 1}` }, body };
  }

  private bodyOf(start: number, end: number, { sized, session }: { sized: boolean; session?: SessionView }) {
    const trickles = end - start > 1 && this.quirks.delete('client trickled');
    if (trickles) this.around.ledger.injected('client trickled');
    const onPiece = (at: number) => {
      if (session) session.sentEnd = Math.max(session.sentEnd, at);
    };
    const headers: Record<string, string> = { 'Content-Type': 'application/octet-stream' };
    if (sized) headers['Content-Length'] = String(end - start);
    return { headers, body: pacedBody(this.plan, start, end, { trickles, onPiece }) };
  }

  /** Before the body can have been sent. */
  private leavingSignal(expectedMs: number): AbortSignal | undefined {
    if (!this.has('client left and came back at once', expectedMs)) return undefined;
    return AbortSignal.timeout(this.plan.random.int(10, expectedMs / 2));
  }

  /** Whether a quirk is due that takes some time. */
  private has(quirk: Quirk, expectedMs: number): boolean {
    return expectedMs >= SHORTEST_MS && this.quirks.delete(quirk);
  }

  private maybeLoseAnswer(path: string): void {
    if (this.quirks.delete('answer of a commit lost')) this.around.proxy.loseAnswer(path);
  }

  /** A body that did not get through: the registry is asked how much of it did. */
  private interrupted(
    session: SessionView,
    outcome: Outcome,
    { comesBackAtOnce }: { comesBackAtOnce: boolean },
  ): boolean {
    this.position = undefined;
    if (outcome.status === 416) {
      const offset = offsetInRefusal(outcome);
      if (offset !== undefined) this.position = session.told(offset, 'a refusal');
      return false;
    }
    if (comesBackAtOnce && outcome.status === undefined) return false;
    return this.failed(outcome);
  }

  private failed(outcome: Outcome): boolean {
    this.failures += 1;
    return !this.expectTransient(outcome);
  }

  private expectTransient(outcome: Outcome): boolean {
    const { status = 0, text } = outcome;
    if (asksToRetry(outcome)) return true;
    this.problem(`answered with ${status}: ${text.slice(0, 300)}`);
    // A failure without a name is the registry's fault; the upload must go on all the same.
    return status >= 500;
  }

  private succeeded(): true {
    this.around.ledger.succeeded(this.plan, this.digest);
    return true;
  }

  private problem(text: string): void {
    this.around.ledger.problem(`${this.session?.location ?? 'no session'}: ${text}`, this.plan);
  }

  private async send(
    method: string,
    path: string,
    options: Pick<ChaosRequestOptions, 'headers' | 'body' | 'signal'> = {},
  ): Promise<Outcome> {
    const patienceMs = Math.min(PATIENCE_MS.first * 2 ** this.failures, PATIENCE_MS.most);
    const outcome = await chaosRequest(method, new URL(path, this.around.url), { ...options, patienceMs });
    const { status, headers, sentBytes, text } = outcome;
    const range = options.headers?.['Content-Range'] ?? '';
    const said =
      status === undefined ? 'no answer' : `${status} ${headers.range ?? ''} ${text.slice(0, 120)}`;
    this.around.ledger.request(this.plan, `${method} ${path} ${range} (${sentBytes} bytes) → ${said}`);
    this.around.ledger.answered(outcome, this.plan);
    return outcome;
  }
}
