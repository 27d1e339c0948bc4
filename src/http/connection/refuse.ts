import type { ServerResponse } from 'node:http';
import { endAfterBody } from './unread-body.js';

/** Sends an error of the spec to a request that does not reach the application, and closes the connection. */
export function refuse(
  response: ServerResponse,
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const code = status >= 500 ? 'UNKNOWN' : 'UNSUPPORTED';
  const body = Buffer.from(JSON.stringify({ errors: [{ code, message }] }));
  response.writeHead(status, {
    ...headers,
    'Content-Type': 'application/json',
    'Content-Length': body.length,
    'Docker-Distribution-API-Version': 'registry/2.0',
    Connection: 'close',
  });
  endAfterBody(response.req, response, body);
}
