import type { Response } from 'express';

/** `Cache-Control` of what is named by its digest: content never changes under it. */
export const IMMUTABLE = 'max-age=31536000, immutable';

/** How long a reader of a manifest or a list may read nothing. */
const SLOW_READER_MS = 60_000;

/** Answers with headers alone. */
export function answerEmpty(response: Response, status: number, headers: Record<string, string>): void {
  const length: Record<string, string> = status === 204 || status === 304 ? {} : { 'Content-Length': '0' };
  response.writeHead(status, { ...headers, ...length }).end();
}

/** Answers with JSON whose media type is exactly `application/json`: Express would add a charset. */
export function answerJson(response: Response, body: unknown, headers: Record<string, string> = {}): void {
  const contentType = { 'Content-Type': 'application/json' };
  answerBytes(response, 200, Buffer.from(JSON.stringify(body)), { ...headers, ...contentType });
}

/** Answers with bytes; to a HEAD request, with what would be said of them. */
export function answerBytes(
  response: Response,
  status: number,
  body: Uint8Array,
  headers: Record<string, string | number>,
): void {
  response.writeHead(status, { ...headers, 'Content-Length': body.length });
  response.end(response.req.method === 'HEAD' ? undefined : body);
  // A client that stops reading without closing would keep the bytes in memory for ever.
  if (!response.writableFinished) response.setTimeout(SLOW_READER_MS, () => response.destroy());
}

/** Is aborted when the client has gone, or has all that it asked for. */
export function untilClosed(response: Response): AbortSignal {
  const gone = new AbortController();
  const abort = () => gone.abort(new Error('the client went away'));
  if (response.closed) abort();
  else response.once('close', abort);
  return gone.signal;
}
