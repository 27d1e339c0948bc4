import type { ServerResponse } from 'node:http';
import type { Level, Logger } from 'pino';
import { printable } from '../common/printable.js';
import type { LoggedRequest } from './logged-request.js';
import type { CounterSeries } from './metrics/bound-counter.js';
import { type CountedRequest, requestBegan, requestEnded } from './metrics/http.metrics.js';

const MAX_PATH_LENGTH = 512;
const MAX_NAME_LENGTH = 256;
const MAX_USER_AGENT_LENGTH = 256;

/** What a handler knows about its request, beside its headers and its path. */
export interface RequestFacts {
  /** The status, if it is not that of the response. */
  readonly status?: number | undefined;
  /** The spec's code of the error. */
  readonly errorCode?: string | undefined;
  /** How much of an upload is durable after a request that failed. */
  readonly durableOffset?: number | undefined;
  /** What a pushed manifest consists of. */
  readonly layers?: number | undefined;
  readonly manifests?: number | undefined;
  /** Config and layers together. */
  readonly contentBytes?: number | undefined;
}

/**
 * The line of a request in the log, written when the response closes, and its place in the metrics. The query
 * is not part of the line, because it may contain tokens.
 */
export class RequestLine implements CountedRequest {
  private readonly startedAt = performance.now();
  private readonly bytesWrittenBefore: number;
  private facts: RequestFacts = {};
  private message: string | undefined;
  private isWritten = false;
  /** What the metrics have of the request. */
  private readonly number: number;
  private countedReceived = 0;
  private countedSent = 0;

  constructor(
    private readonly logger: Logger,
    private readonly request: LoggedRequest,
    private readonly response: ServerResponse,
    private readonly routeOf: (request: LoggedRequest) => string = patternOf,
  ) {
    this.bytesWrittenBefore = request.socket.bytesWritten;
    this.number = requestBegan(this);
  }

  /**
   * Adds facts, and what happened as the line's message. After a client has disconnected the line is written
   * already; then a message gets a line of its own.
   */
  add(facts: RequestFacts, message?: string): void {
    this.facts = { ...this.facts, ...facts };
    this.message = message ?? this.message;
    if (!this.isWritten || message === undefined) return;
    this.logger.info({ requestId: this.request.id, ...this.target(), ...facts }, message);
  }

  /** Called when the response has closed. */
  end(): void {
    const durationMs = performance.now() - this.startedAt;
    this.write(durationMs);
    const { request, response } = this;
    const status = response.writableFinished ? response.statusCode : 'aborted';
    requestEnded(this.number, this.routeOf(request), request.method ?? '', status, durationMs / 1000);
  }

  countBytes(received: CounterSeries, sent: CounterSeries): void {
    const { bytesReceived = 0 } = this.request;
    const bytesSent = this.bytesOut();
    received.inc(bytesReceived - this.countedReceived);
    this.countedReceived = bytesReceived;
    // What was sent of a response in progress has its headers, and a complete response doesn't.
    if (bytesSent <= this.countedSent) return;
    sent.inc(bytesSent - this.countedSent);
    this.countedSent = bytesSent;
  }

  private write(durationMs: number): void {
    this.isWritten = true;
    const level = this.level();
    if (!this.logger.isLevelEnabled(level)) return;
    this.logger[level](this.fields(durationMs), this.message ?? this.outcome());
  }

  /** Clients ask `/v2/` and orchestrators `/health` all the time. 401 tells a client to log in. */
  private level(): Level {
    const status = this.status();
    if (status === 503) return 'warn';
    if (status !== null && status >= 500) return 'error';
    if (status !== null && status >= 400 && status !== 401) return 'info';
    const path = pathOf(this.request);
    return path === '/v2/' || path === '/v2' || path.startsWith('/health/') ? 'debug' : 'info';
  }

  private outcome(): string {
    if (this.response.statusCode >= 500) return 'request failed';
    return this.response.writableFinished ? 'request' : 'request aborted';
  }

  /** Null if the client disconnected before the response began. */
  private status(): number | null {
    const { headersSent, statusCode } = this.response;
    return this.facts.status ?? (headersSent ? statusCode : null);
  }

  private fields(durationMs: number): object {
    const { request } = this;
    const userAgent = request.headers['user-agent'];
    return {
      requestId: request.id,
      method: request.method,
      path: printable(pathOf(request), MAX_PATH_LENGTH),
      status: this.status(),
      durationMs: Math.round(durationMs * 10) / 10,
      bytesIn: request.bytesReceived,
      bytesOut: this.bytesOut(),
      ...this.target(),
      ...this.facts,
      ...this.sender(),
      clientAddress: request.clientAddress,
      userAgent: userAgent === undefined ? undefined : printable(userAgent, MAX_USER_AGENT_LENGTH),
    };
  }

  /**
   * The account, and what it logged in with. A name that was refused is not here: people type passwords
   * there.
   */
  private sender() {
    const { name, credential } = this.request.caller ?? {};
    if (credential === undefined || credential.kind === 'none') return undefined;
    return { account: name ?? undefined, credential: credential.kind };
  }

  /** What the request was about. */
  private target() {
    const { params, repository } = this.request;
    return {
      repository,
      reference: name(params?.['reference']),
      digest: name(this.response.getHeader('Docker-Content-Digest') ?? params?.['digest']),
      uploadId: name(params?.['uploadId'] ?? this.response.getHeader('Docker-Upload-UUID')),
    };
  }

  /** The body's bytes. Of a broken-off response: what the kernel took, headers included. */
  private bytesOut(): number {
    const { response, request } = this;
    if (!response.writableFinished) return request.socket.bytesWritten - this.bytesWrittenBefore;
    if (request.method === 'HEAD' || response.statusCode === 304) return 0;
    return Number(response.getHeader('Content-Length') ?? 0);
  }
}

/** The pattern of the handler's path. */
function patternOf({ route }: LoggedRequest): string {
  return route?.path ?? 'none';
}

function name(value: unknown): string | undefined {
  return typeof value === 'string' ? printable(value, MAX_NAME_LENGTH) : undefined;
}

function pathOf({ originalUrl, url = '' }: LoggedRequest): string {
  const target = originalUrl ?? url;
  const query = target.indexOf('?');
  const path = query === -1 ? target : target.slice(0, query);
  // A whole URL, as clients send it to a proxy, may have a password: such a request is refused.
  return path.startsWith('/') ? path : path.replace(/^.*@/, '');
}
