import { Injectable, Logger } from '@nestjs/common';
import type { ServerResponse } from 'node:http';
import { refuse } from '../http/connection/refuse.js';
import type { ErrorCode } from '../oci/error-codes.js';
import { RegistryError } from '../oci/errors.js';
import { BodyBrokenError, BodyError } from '../transfer/body.errors.js';
import { hasBody } from '../transfer/request-headers.js';
import { Pulls } from './pull/pulls.js';
import { ClientGoneError, NoReplicaError, ReplicaFailure } from './replicas/replica-failure.js';
import { type Answer, sendAnswer } from './requests/answer.js';
import type { ClientRequest } from './requests/forwarded-headers.js';
import { placeOf, routeOf } from './requests/route.js';
import { SmallRequests } from './requests/small-requests.js';
import { TooLargeError } from './requests/too-large.error.js';
import { Uploads } from './upload/uploads.js';

/** A POST of a whole blob up to this size is kept, and sent again unchanged. */
const MAX_SMALL_BLOB_BYTES = 1024 * 1024;

/**
 * Answers every request of a client with an answer of a replica. A replica that fails is replaced by another
 * one, and the client sees one slow request.
 *
 *     upload with bytes   Uploads        goes on from the last durable byte
 *     pull of a blob      Pulls          goes on from the next byte
 *     everything else     SmallRequests  is sent again
 */
@Injectable()
export class FrontService {
  private readonly logger = new Logger('Front');

  constructor(
    private readonly uploads: Uploads,
    private readonly pulls: Pulls,
    private readonly small: SmallRequests,
  ) {}

  /** Never rejects. */
  async handle(request: ClientRequest, response: ServerResponse): Promise<void> {
    try {
      const { route, ...names } = placeOf(request);
      Object.assign(request, names);
      if (route === 'blob' && request.method === 'GET') return await this.pulls.pull(request, response);
      const answer = await this.answer(request, response, route);
      if (!response.destroyed) await sendAnswer(request, response, answer);
      else if (!Buffer.isBuffer(answer.body)) answer.body.destroy();
    } catch (error) {
      this.refuse(request, response, error);
    }
  }

  private answer(
    request: ClientRequest,
    response: ServerResponse,
    route: ReturnType<typeof routeOf>,
  ): Promise<Answer> {
    const { method } = request;
    if (route === 'session' && hasBody(request) && (method === 'PATCH' || method === 'PUT'))
      return this.uploads.carry(request);
    const digests = route === 'uploads' && method === 'POST' ? digestsOf(request) : [];
    if (digests.length > 0 && isLargeBlob(request)) return this.uploads.pushWhole(request, digests);
    return this.small.answer(request, response, route);
  }

  private refuse(request: ClientRequest, response: ServerResponse, error: unknown): void {
    const isGone = error instanceof ClientGoneError || error instanceof BodyBrokenError;
    if (isGone || response.headersSent || response.destroyed) return void response.destroy();
    const retry = { 'Retry-After': '5' };
    if (error instanceof NoReplicaError || error instanceof ReplicaFailure)
      this.logger.warn({ requestId: request.id }, describeFailure(error));
    if (error instanceof NoReplicaError) refuse(response, 503, error.message, retry);
    else if (error instanceof ReplicaFailure) refuse(response, 503, LOST_ANSWER, retry);
    else if (error instanceof TooLargeError) refuse(response, 413, error.message, {}, codeOf(request));
    else if (error instanceof BodyError) refuse(response, 408, error.message, {}, codeOf(request));
    else if (error instanceof RegistryError) refuse(response, 400, error.message, {}, error.code);
    else {
      this.logger.error({ err: error, requestId: request.id }, 'a request failed');
      refuse(response, 500, 'internal error');
    }
  }
}

/** Why a client gets 503, for the log. */
function describeFailure(error: NoReplicaError | ReplicaFailure): string {
  if (error instanceof ReplicaFailure) return `a request may not be sent again: ${error.message}`;
  const { cause } = error;
  return `${error.message}: ${cause instanceof Error ? cause.message : 'none is ready'}`;
}

/** The spec's code for a body that can't be read. */
function codeOf(request: ClientRequest): ErrorCode {
  return routeOf(request) === 'manifest' ? 'MANIFEST_INVALID' : 'BLOB_UPLOAD_INVALID';
}

const LOST_ANSWER =
  'the replica that had this request did not answer, and may have done it: check before you repeat it';

function digestsOf({ url = '' }: ClientRequest): string[] {
  const [, query = ''] = url.split(/\?(.*)/s);
  return new URLSearchParams(query).getAll('digest');
}

function isLargeBlob({ headers }: ClientRequest): boolean {
  const { 'transfer-encoding': coding, 'content-length': length = 0 } = headers;
  return coding !== undefined || Number(length) > MAX_SMALL_BLOB_BYTES;
}
