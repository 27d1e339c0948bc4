import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { type HttpLogger, pinoHttp } from 'pino-http';

const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;

/**
 * Gives each request its id (the caller's own `X-Request-Id` where it is a sane one) and writes a line when it is
 * answered. The query stays out of the log: presigned URLs and tokens travel there.
 */
export function createAccessLog(logger: Logger): HttpLogger {
  return pinoHttp({
    logger,
    quietReqLogger: true,
    autoLogging: logger.isLevelEnabled('info'),
    genReqId: (request) => requestId(request),
    customLogLevel: (_request, response, error) => {
      if (response.statusCode === 503) return 'warn';
      return error !== undefined || response.statusCode >= 500 ? 'error' : 'info';
    },
    customSuccessMessage: (_request, response) =>
      response.writableFinished ? 'request' : 'request broken off',
    customErrorMessage: () => 'request failed',
    // pino-http makes up an error for a 5XX answer; the error filter has logged the real one.
    customErrorObject: (_request, _response, _error, fields: Record<string, unknown>) => ({
      ...fields,
      err: undefined,
    }),
    serializers: {
      req: describeRequest,
      res: (response: ServerResponse) => ({ status: response.headersSent ? response.statusCode : null }),
    },
    wrapSerializers: false,
  });
}

function requestId(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}

function describeRequest(request: IncomingMessage & { originalUrl?: string }) {
  return {
    method: request.method,
    path: (request.originalUrl ?? request.url ?? '').split('?', 1)[0],
    client: request.socket.remoteAddress,
    userAgent: request.headers['user-agent'],
  };
}
