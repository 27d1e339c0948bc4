import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { Configuration } from '../../config/configuration.js';
import { contentLength, hasBody } from '../../transfer/request-headers.js';
import { WholeBodyBudget } from '../bytes/whole-body-budget.js';
import { KeptBytes } from '../bytes/kept-bytes.js';
import { type Answer } from './answer.js';
import { ClientBodies, receiveWhole } from './client-bodies.js';
import { type ClientRequest, forwardedHeaders } from './forwarded-headers.js';
import { Patience } from './patience.js';
import { Requests } from './requests.js';
import type { Route } from './route.js';
import { TooLargeError } from './too-large.error.js';

/** The most that a body may have, except a manifest's. */
const MAX_BODY_BYTES = 1024 * 1024;

const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

const SESSION_ENDED: Answer = { status: 204, headers: {}, body: Buffer.of() };

/** Requests that are kept as a whole, and sent again unchanged. */
@Injectable()
export class SmallRequests {
  constructor(
    private readonly configuration: Configuration,
    private readonly budget: WholeBodyBudget,
    private readonly bodies: ClientBodies,
    private readonly requests: Requests,
  ) {}

  /** @throws NoReplicaError, ClientGoneError, TooLargeError; errors of the client's body */
  async answer(request: ClientRequest, response: ServerResponse, route: Route): Promise<Answer> {
    const patience = new Patience(this.configuration.frontRetrySeconds, response);
    const ask = (body: readonly Uint8Array[]) => this.ask(request, route, body, patience);
    return patience.until(hasBody(request) ? this.withBody(request, route, patience, ask) : ask([]));
  }

  private async withBody(
    request: ClientRequest,
    route: Route,
    patience: Patience,
    work: (body: readonly Uint8Array[]) => Promise<Answer>,
  ): Promise<Answer> {
    const maxBytes = route === 'manifest' ? this.configuration.manifestMaxBytes : MAX_BODY_BYTES;
    const lengthBytes = contentLength(request) ?? maxBytes;
    if (lengthBytes > maxBytes) throw new TooLargeError(maxBytes);
    const kept = new KeptBytes(this.budget, 0, maxBytes);
    const body = this.bodies.of(request, kept);
    try {
      const bytes = await patience.restDuring(receiveWhole(kept, body, lengthBytes));
      if (kept.end?.error !== undefined) throw kept.end.error;
      return await work(bytes);
    } finally {
      const stopped = body.stop();
      kept.release();
      await stopped;
    }
  }

  private ask(
    request: ClientRequest,
    route: Route,
    body: readonly Uint8Array[],
    patience: Patience,
  ): Promise<Answer> {
    const { method = '', url: target = '' } = request;
    const isSafe = SAFE_METHODS.has(method);
    const isOnSession = route === 'session';
    return this.requests.ask(
      {
        ...{ method, target, body, isOnSession },
        headers: { ...forwardedHeaders(request), ...(!isSafe && idempotencyKey(request)) },
        // The admin API has no keys: what has been done must not be done again.
        isRepeatable: isSafe || route !== 'other',
        ...(isOnSession && method === 'DELETE' && { answerIfDone: SESSION_ENDED }),
      },
      patience,
    );
  }
}

/** Replicas record it with what the request changes, so that a repetition changes nothing. */
function idempotencyKey({ headers }: ClientRequest): OutgoingHttpHeaders {
  return headers['idempotency-key'] === undefined ? { 'idempotency-key': randomUUID() } : {};
}
