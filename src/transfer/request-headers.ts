import type { IncomingMessage } from 'node:http';
import { type RegistryError, SizeInvalidError } from '../oci/errors.js';
import { ContentCodingError } from './body.errors.js';

/**
 * Returns a header that may occur once. Node joins some repeated headers and drops others, so their meaning
 * is lost.
 *
 * @throws the result of `toError` if the header is repeated.
 */
export function singleHeader(
  request: IncomingMessage,
  name: string,
  toError: (message: string) => RegistryError,
): string | undefined {
  const values = request.headersDistinct[name] ?? [];
  if (values.length > 1) throw toError(`the header ${name} is repeated`);
  return values[0];
}

/** Whether the request announces a body (RFC 9112, section 6.3). An empty chunked body counts. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** @throws SizeInvalidError if the length is not a safe integer. */
export function contentLength({ headers }: IncomingMessage): number | undefined {
  const header = headers['content-length'];
  if (header === undefined) return undefined;
  const length = Number(header);
  if (!Number.isSafeInteger(length)) throw new SizeInvalidError('the Content-Length is out of range');
  return length;
}

/** @throws ContentCodingError if the body has a content coding (RFC 9110, section 8.4). */
export function refuseContentCoding({ headers }: IncomingMessage): void {
  const codings = (headers['content-encoding'] ?? '').toLowerCase().split(',');
  if (!codings.every((coding) => ['', 'identity'].includes(coding.trim()))) throw new ContentCodingError();
}
