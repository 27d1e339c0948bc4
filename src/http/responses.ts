import type { Response } from 'express';

/** Answers with headers alone. */
export function answerEmpty(response: Response, status: number, headers: Record<string, string>): void {
  const length: Record<string, string> = status === 204 || status === 304 ? {} : { 'Content-Length': '0' };
  response.writeHead(status, { ...headers, ...length }).end();
}

/** Answers with JSON whose media type is exactly `contentType`: Express would add a charset. */
export function answerJson(
  response: Response,
  body: unknown,
  headers: Record<string, string> = {},
  contentType = 'application/json',
): void {
  answerBytes(response, 200, Buffer.from(JSON.stringify(body)), { ...headers, 'Content-Type': contentType });
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
}
