import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import type { Request, Response } from 'express';
import { isDatabaseFull, isDatabaseUnavailable } from '../database/errors/database-errors.js';
import { DatabaseFullError } from '../database/errors/database-full.error.js';
import { ManifestBlobUnknownError, RegistryError, UnsupportedError } from '../oci/errors.js';
import { StorageFullError, StorageUnavailableError } from '../storage/storage.errors.js';
import { answersProblems, problem, PROBLEM_MEDIA_TYPE } from './problem.js';
import { endAfterBody } from './unread-body.js';

/** What is sent: on `/v2` in the spec's shape (spec.md, "Error Codes"). */
interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly errors: readonly { code: string; message: string; detail?: unknown }[];
}

/**
 * Turns whatever was thrown into an answer. Typed errors say what the client may know. Anything else is a failure of
 * ours: the client gets a request id, the cause goes to the log. Failures have the code `UNKNOWN`, as Docker's own
 * registry does, since none of the spec's codes, which are for 4XX answers, says "my fault".
 */
@Catch()
export class RegistryExceptionFilter implements ExceptionFilter<unknown> {
  private readonly logger = new Logger('Http');

  catch(exception: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<Request & { id?: unknown }>();
    const response = host.switchToHttp().getResponse<Response>();
    if (response.headersSent || response.destroyed) {
      this.logBrokenAnswer(exception, request);
      response.destroy();
      return;
    }
    const answer = this.answerTo(exception, requestIdOf(request));
    // That the disk is full was logged once; a line for each refused request would fill it further.
    const isLogged = exception instanceof RegistryError || exception instanceof DatabaseFullError;
    if (answer.status >= 500 && !isLogged) {
      this.logger.error({ err: exception, requestId: request.id }, 'a request failed');
    }
    const [contentType, content] = shape(answer, request);
    const body = Buffer.from(JSON.stringify(content));
    response.writeHead(answer.status, {
      ...answer.headers,
      'Content-Type': contentType,
      'Content-Length': body.length,
      ...(!request.complete && { Connection: 'close' }),
    });
    endAfterBody(request, response, request.method === 'HEAD' ? undefined : body);
  }

  private answerTo(exception: unknown, requestId: string): ErrorAnswer {
    const error = exception instanceof HttpException ? fromHttpException(exception) : exception;
    const failure = (status: number, message: string, headers: Readonly<Record<string, string>> = {}) => {
      return { status, headers, errors: [{ code: 'UNKNOWN', message, detail: { requestId } }] };
    };
    if (error instanceof RegistryError) {
      const { status, message, headers } = error;
      return status >= 500 ? failure(status, message, headers) : { status, headers, errors: describe(error) };
    }
    if (error instanceof DatabaseFullError || isDatabaseFull(error)) {
      return failure(507, 'the disk of the database is full');
    }
    if (isDatabaseUnavailable(error)) {
      return failure(503, 'the database is not available', { 'Retry-After': '5' });
    }
    if (error instanceof StorageUnavailableError) {
      // 503 also where the store throttles: docker gives up on a 429.
      return failure(503, 'the storage is not available', { 'Retry-After': '5' });
    }
    if (error instanceof StorageFullError) return failure(507, 'the storage is full');
    return failure(500, 'internal error');
  }

  /** A client that leaves in the middle is everyday life; a stream that broke on our side is not. */
  private logBrokenAnswer(exception: unknown, request: Request & { id?: unknown }): void {
    const level = request.socket.destroyed ? 'debug' : 'error';
    this.logger[level]({ err: exception, requestId: request.id }, 'an answer broke off');
  }
}

/** The spec's shape, or a problem where the spec has no say. */
function shape({ status, errors }: ErrorAnswer, request: Request & { id?: unknown }): [string, unknown] {
  if (!answersProblems(request.path)) return ['application/json', { errors }];
  const detail = errors.map(({ message }) => message).join('; ');
  return [PROBLEM_MEDIA_TYPE, problem(status, detail, requestIdOf(request))];
}

function describe(error: RegistryError): ErrorAnswer['errors'] {
  const { code, message, detail } = error;
  if (error instanceof ManifestBlobUnknownError) {
    return error.digests.map((digest) => ({ code, message, detail: { digest } }));
  }
  return [detail === undefined ? { code, message } : { code, message, detail }];
}

/** Nest's own: no route, a path that can't be decoded, a DTO that doesn't validate. */
function fromHttpException(exception: HttpException): RegistryError {
  const status = exception.getStatus();
  const message = status === 404 ? 'no such endpoint' : exception.message;
  return new UnsupportedError(message, { status, cause: exception });
}

function requestIdOf({ id }: { id?: unknown }): string {
  return typeof id === 'string' ? id : 'unknown';
}
