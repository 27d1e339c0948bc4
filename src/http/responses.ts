import type { ServerResponse } from 'node:http';
import type { Response } from 'express';

/** `Cache-Control` of content that is addressed by digest, which never changes. */
export const IMMUTABLE = 'max-age=31536000, immutable';

/** Of content that is found by a tarsum: it may be other bytes the next time. */
export const REVALIDATED = 'no-cache';

/** The timeout for a client that stops reading a manifest or a list. */
const SLOW_READER_MS = 60_000;

/** Sends a response without a body. */
export function sendEmpty(response: Response, status: number, headers: Record<string, string>): void {
  const length: Record<string, string> = status === 204 || status === 304 ? {} : { 'Content-Length': '0' };
  response.writeHead(status, { ...headers, ...length }).end();
}

/** Sends JSON as exactly `application/json`; Express would add a charset. */
export function sendJson(response: Response, body: unknown, headers: Record<string, string> = {}): void {
  const contentType = { 'Content-Type': 'application/json' };
  sendBytes(response, 200, Buffer.from(JSON.stringify(body)), { ...headers, ...contentType });
}

/** Sends bytes, or only their headers to a HEAD request. */
export function sendBytes(
  response: Response,
  status: number,
  body: Uint8Array,
  headers: Record<string, string | number>,
): void {
  response.writeHead(status, { ...headers, 'Content-Length': body.length });
  response.end(response.req.method === 'HEAD' ? undefined : body);
  // A client that stops reading without closing would keep the bytes in memory forever.
  if (!response.writableFinished) response.setTimeout(SLOW_READER_MS, () => response.destroy());
}

/** Returns a signal that aborts when the response closes: it is complete, or the client disconnected. */
export function abortOnClose(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  const abort = () => gone.abort(new Error('the client went away'));
  if (response.closed) abort();
  else response.once('close', abort);
  return gone.signal;
}
