import { Logger } from '@nestjs/common';
import type { OutgoingHttpHeaders } from 'node:http';
import type { KeptBytes } from '../bytes/kept-bytes.js';
import { Exchange } from '../replicas/exchange.js';
import type { RemoteReplica } from '../replicas/remote-replica.js';
import { ReplicaFailure } from '../replicas/replica-failure.js';
import type { ReplicaSet } from '../replicas/replica-set.js';
import { type Answer, collect } from '../requests/answer.js';
import type { Patience } from '../requests/patience.js';
import { isBusyUpload, isTemporary } from '../requests/temporary-answers.js';
import { pathOf, type UploadRequest } from './upload-request.js';
import type { UploadStatus } from './upload-status.js';

/** A replica that sends no 104 for this long is an older one. Acquiring a session may take seconds. */
const NO_PROGRESS_MS = 10_000;

export interface CarriedUploadParts {
  readonly replicas: ReplicaSet;
  readonly status: UploadStatus;
  readonly patience: Patience;
  /** The body, which is received while this sends it. */
  readonly kept: KeptBytes;
  /** Begins to receive the body. Idempotent. */
  readonly receive: () => void;
}

/**
 * Carries the body of one request to its upload session, at as many replicas as it takes.
 *
 *     client     ════════════════════════════════════════════►  PATCH, or PUT
 *     replica A  ═══════ 104 ═══ 104 ════x
 *     kept                           ├───┼────┤
 *     replica B                           GET, PATCH with Upload-Offset ═══ 104 ════►  answer
 *
 * A replica reports what is durable with 104, and the front forgets that. After a failure, the next replica
 * is asked for the offset of the session, and gets the same request with the rest of the body. Each attempt
 * states where its body begins, so a replica that was frozen can't append bytes twice.
 */
export class CarriedUpload {
  private readonly logger = new Logger('Uploads');
  /** The last offset of the session that is known. */
  private durable = 0;
  /** Where the body of the current attempt has got to. */
  private sent: number;
  /** Whether the replica of the current attempt has sent a 104. */
  private isInformed = false;
  /** Whether the front states where the body begins, by what it knows of the session. */
  private isResumed = false;
  /** Whether the body is being received. */
  private hasBegun = false;

  /** @param start where the body of the client begins. */
  constructor(
    private readonly parts: CarriedUploadParts,
    private readonly request: UploadRequest,
    private readonly start: number,
  ) {
    this.sent = start;
  }

  /**
   * Returns the answer for the client.
   *
   * @throws NoReplicaError; the error of the client's body.
   */
  async run(): Promise<Answer> {
    const { replicas, patience, kept } = this.parts;
    if (!this.request.expectsContinue) this.begin();
    let offsetHeaders = this.firstOffsetHeaders();
    let failed: RemoteReplica | undefined;
    for (;;) {
      failed = await replicas.choose(patience.signal, failed);
      const outcome = await this.attempt(failed, offsetHeaders);
      if (!(outcome instanceof ReplicaFailure) && this.isFinal(outcome, offsetHeaders)) return outcome;
      if (kept.end?.error !== undefined) throw kept.end.error;
      await patience.failed(outcome);
      const known = this.durable;
      const refusal = await this.findOffset();
      if (refusal !== undefined) return refusal;
      if (!(outcome instanceof Error) && this.isOvertaken(outcome, known)) return outcome;
      this.log(outcome);
      offsetHeaders = this.nextOffsetHeaders();
    }
  }

  /** Whether the client says in its headers where the body begins, in a way that a replica will refuse. */
  private get isRefused(): boolean {
    const { offsetHeaders, start } = this.request;
    return start === undefined && Object.keys(offsetHeaders).length > 0;
  }

  /** With the id that the lines of the replicas have, too. */
  private log(outcome: Answer | ReplicaFailure): void {
    const reason = outcome instanceof Error ? outcome.message : `a replica answered ${outcome.status}`;
    const { target, headers } = this.request;
    const uploadId = pathOf(target).split('/').at(-1);
    this.logger.log(
      { requestId: headers['x-request-id'], uploadId, offset: this.sent },
      `an upload goes on at byte ${this.sent}: ${reason}`,
    );
  }

  /** As the client says it. Without that, the front has asked, and says it. */
  private firstOffsetHeaders(): OutgoingHttpHeaders {
    const { offsetHeaders, start } = this.request;
    // A body that has arrived as a whole is short.
    const prefer = this.parts.kept.end === undefined ? { prefer: 'upload-progress' } : {};
    const isSaid = start !== undefined || this.isRefused;
    const stated = isSaid ? offsetHeaders : { 'upload-offset': String(this.sent) };
    return { ...stated, ...prefer };
  }

  private nextOffsetHeaders(): OutgoingHttpHeaders {
    const prefer = { prefer: 'upload-progress, upload-takeover' };
    // A body that begins beyond the session's bytes: the replica has to refuse what the client said.
    this.isResumed = !this.isRefused && this.durable >= this.start;
    if (!this.isResumed) return { ...this.firstOffsetHeaders(), ...prefer };
    return { 'upload-offset': String(this.sent), ...prefer };
  }

  private isFinal(answer: Answer, { 'upload-offset': stated }: OutgoingHttpHeaders): boolean {
    const { status } = answer;
    // A lost writer may still have recorded some bytes after the front asked.
    const isOurs = stated !== undefined && stated !== this.request.offsetHeaders['upload-offset'];
    if (status === 416 && (isOurs || this.isResumed)) return false;
    return !isTemporary(status, this.parts.patience.failedAttempts) && !isBusyUpload(answer);
  }

  /**
   * Whether the replica had the session, and lost it to another request of the client, which has sent more
   * than this one. Otherwise the two would take the session from each other.
   */
  private isOvertaken({ status }: Answer, known: number): boolean {
    const { received } = this.parts.kept;
    return status === 429 && this.isInformed && this.durable > Math.max(known, received);
  }

  private async attempt(
    replica: RemoteReplica,
    offsetHeaders: OutgoingHttpHeaders,
  ): Promise<Answer | ReplicaFailure> {
    const { method, target, headers } = this.request;
    const { patience } = this.parts;
    const expect = this.hasBegun || !this.request.expectsContinue ? {} : { expect: '100-continue' };
    const head = { method, target, headers: { ...headers, ...offsetHeaders, ...this.framing(), ...expect } };
    const exchange = new Exchange(replica, head, {
      canLeave: true,
      signal: patience.signal,
      onContinue: () => this.begin(),
      onDurable: (offset) => this.onDurable(offset),
    });
    this.isInformed = false;
    // What an older replica has becomes durable when the request breaks off.
    const looking = setInterval(() => {
      const { kept } = this.parts;
      if (!this.isInformed && kept.isFull && kept.end === undefined) exchange.breakOff();
    }, NO_PROGRESS_MS);
    try {
      const [message] = await Promise.all([exchange.answered, this.send(exchange)]);
      return await collect(message);
    } catch (error) {
      return error instanceof ReplicaFailure ? error : new ReplicaFailure(replica.name, true, error);
    } finally {
      clearInterval(looking);
    }
  }

  private framing(): OutgoingHttpHeaders {
    const { kept } = this.parts;
    const end = kept.end === undefined ? this.start + this.request.lengthBytes : kept.received;
    // A body that was broken off must not look like a whole one.
    if (end === Infinity || kept.end?.error !== undefined) return { 'transfer-encoding': 'chunked' };
    return { 'content-length': Math.max(0, end - this.sent) };
  }

  private async send(exchange: Exchange): Promise<void> {
    const { kept, patience } = this.parts;
    exchange.flushHead();
    for (;;) {
      const parts = await kept.after(this.sent, exchange.over);
      if (exchange.over.aborted) return;
      if (parts.length === 0) break;
      patience.run();
      await exchange.write(parts);
      this.sent += parts.reduce((sum, part) => sum + part.length, 0);
      this.forget();
    }
    // The client has had its turn: now the replica owes an answer.
    patience.run();
    // What arrived of a body that was broken off is kept, but it must not look like the whole body.
    if (kept.end?.error === undefined) exchange.end();
    else exchange.breakOff();
  }

  private onDurable(offset: number): void {
    const { kept, patience } = this.parts;
    this.isInformed = true;
    if (offset > this.durable) patience.progressed();
    this.durable = Math.max(this.durable, offset);
    this.forget();
    // Then it is the client's turn.
    if (this.durable >= kept.received && kept.end === undefined) patience.rest();
    this.begin();
  }

  /** The replica wants the body. */
  private begin(): void {
    this.hasBegun = true;
    this.parts.receive();
  }

  /** Only what was sent: a body may begin with bytes that the session has, which the replica compares. */
  private forget(): void {
    this.parts.kept.forget(Math.min(this.durable, this.sent));
  }

  /** Asks where the body goes on. Returns the answer of a session that can't go on. */
  private async findOffset(): Promise<Answer | undefined> {
    const { status, patience, kept } = this.parts;
    const found = await status.of(this.request, patience);
    if (typeof found !== 'number') return found;
    if (found < this.durable)
      throw new Error(`the session has lost bytes: ${this.durable} were durable, now ${found}`);
    if (found > this.durable) patience.progressed();
    this.durable = found;
    this.sent = Math.max(found, this.start);
    kept.forget(this.sent);
    return undefined;
  }
}
