import { type ArgumentsHost, Catch, type ExceptionFilter, Logger } from '@nestjs/common';
import type { Request, Response } from 'express';
import { DatabaseFullError } from '../database/errors/database-full.error.js';
import type { RequestRecord } from '../observability/logged-request.js';
import { RegistryError } from '../oci/errors.js';
import { type ErrorResponse, responseToError } from './error-responses.js';
import { oauthError, sendsOauthErrors } from './oauth-error.js';
import { sendsProblems, problem, PROBLEM_MEDIA_TYPE } from './problem.js';
import { endAfterBody, hasUnreadBody } from './connection/unread-body.js';

type IdentifiedRequest = Request & Partial<RequestRecord>;

/** Sends the response to whatever a handler threw: as the spec has it, or as a problem outside `/v2`. */
@Catch()
export class RegistryExceptionFilter implements ExceptionFilter<unknown> {
  private readonly logger = new Logger('Http');

  catch(exception: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<IdentifiedRequest>();
    const response = host.switchToHttp().getResponse<Response>();
    if (response.headersSent || response.destroyed) {
      this.logAborted(exception, request);
      response.destroy();
      return;
    }
    const { status, headers, errors } = responseToError(exception, requestIdOf(request));
    request.line?.add({ errorCode: errors[0]?.code, durableOffset: durableOffsetOf(exception) });
    // A full disk was logged once; a line for each refused request would fill it further.
    const isLogged = exception instanceof RegistryError || exception instanceof DatabaseFullError;
    if (status >= 500 && !isLogged) {
      this.logger.error({ err: exception, requestId: request.id }, 'a request failed');
    }
    const [contentType, content] = formatErrors(status, errors, request, exception);
    const body = Buffer.from(JSON.stringify(content));
    response.writeHead(status, {
      ...headers,
      'Content-Type': contentType,
      'Content-Length': body.length,
      ...(hasUnreadBody(request) && { Connection: 'close' }),
    });
    endAfterBody(request, response, request.method === 'HEAD' ? undefined : body);
  }

  /** Clients often disconnect during a response; a stream that fails on our side is an error. */
  private logAborted(exception: unknown, request: IdentifiedRequest): void {
    const durableOffset = durableOffsetOf(exception);
    const { uploadId } = request.params;
    // Without an id in its path, an upload in one request ends with the request.
    if (durableOffset !== undefined && typeof uploadId === 'string') {
      const message = `upload ${uploadId} broke off; ${durableOffset} bytes are durable and can be resumed`;
      request.line?.add({ durableOffset }, message);
    }
    const level = request.socket.destroyed ? 'debug' : 'error';
    this.logger[level]({ err: exception, requestId: request.id }, 'a response was aborted');
  }
}

function formatErrors(
  status: number,
  errors: ErrorResponse['errors'],
  request: IdentifiedRequest,
  exception: unknown,
): [contentType: string, content: unknown] {
  const detail = errors.map(({ message }) => message).join('; ');
  if (sendsOauthErrors(request.path))
    return ['application/json', { errors, ...oauthError(status, detail, exception) }];
  if (!sendsProblems(request.path)) return ['application/json', { errors }];
  return [PROBLEM_MEDIA_TYPE, problem(status, detail, requestIdOf(request))];
}

function durableOffsetOf(exception: unknown): number | undefined {
  return exception instanceof RegistryError ? exception.durableOffset : undefined;
}

function requestIdOf({ id = 'unknown' }: IdentifiedRequest): string {
  return id;
}
