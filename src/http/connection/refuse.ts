import type { ServerResponse } from 'node:http';
import type { RequestRecord } from '../../observability/logged-request.js';
import type { ErrorCode } from '../../oci/error-codes.js';
import { endAfterBody } from './unread-body.js';

/**
 * Sends an error of the spec to a request that does not reach the application, and closes the connection.
 *
 * @param clientCode the code of a 4xx.
 */
export function refuse(
  response: ServerResponse,
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
  clientCode: ErrorCode = 'UNSUPPORTED',
): void {
  const { id, line } = response.req as typeof response.req & Partial<RequestRecord>;
  const isFailure = status >= 500;
  const code = isFailure ? 'UNKNOWN' : clientCode;
  line?.add({ errorCode: code });
  const error = { code, message, ...(isFailure && { detail: { requestId: id } }) };
  const body = Buffer.from(JSON.stringify({ errors: [error] }));
  response.writeHead(status, {
    ...headers,
    'Content-Type': 'application/json',
    'Content-Length': body.length,
    'Docker-Distribution-API-Version': 'registry/2.0',
    Connection: 'close',
  });
  endAfterBody(response.req, response, body);
}
