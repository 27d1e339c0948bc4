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
      if (error !== undefined || response.statusCode >= 500) return 'error';
      return 'info';
    },
    customSuccessMessage: () => 'request',
    customErrorMessage: () => 'request failed',
    serializers: {
      req: describeRequest,
      res: (response: { statusCode: number }) => ({ status: response.statusCode }),
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

/** The type of what pino-http hangs on the request. */
export type IdentifiedRequest = IncomingMessage & { id?: unknown; res?: ServerResponse };
