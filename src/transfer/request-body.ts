import type { IncomingMessage } from 'node:http';
import type { Configuration } from '../config/configuration.js';
import { type ContentRange, parseContentRange } from '../oci/content-range.js';
import {
  BlobUploadInvalidError,
  ManifestTooLargeError,
  type RegistryError,
  SizeInvalidError,
} from '../oci/errors.js';
import { ContentCodingError } from './body.errors.js';
import { GatheredBody } from './gathered-body.js';
import { HEARTBEAT, readBody, type UploadBody } from './read-body.js';

/**
 * A header that may be there once. Node joins some repeated headers and drops others; either way what the client
 * meant can't be known.
 *
 * @throws what `refuse` makes when it is repeated.
 */
export function singleHeader(
  request: IncomingMessage,
  name: string,
  refuse: (message: string) => RegistryError,
): string | undefined {
  const values = request.headersDistinct[name] ?? [];
  if (values.length > 1) throw refuse(`the header ${name} is repeated`);
  return values[0];
}

/** Whether the request announces a body (RFC 9112, section 6.3), an empty chunked one included. */
export function hasBody(request: IncomingMessage): boolean {
  return (
    request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0
  );
}

/**
 * A blob or a manifest is the bytes whose digest its client knows, so nothing is decoded (RFC 9110, section
 * 8.4).
 *
 * @throws ContentCodingError when the body has a content coding.
 */
function refuseContentCoding({ headers }: IncomingMessage): void {
  const codings = (headers['content-encoding'] ?? '').toLowerCase().split(',');
  if (codings.every((coding) => ['', 'identity'].includes(coding.trim()))) return;
  throw new ContentCodingError();
}

/**
 * The request's body and what it says of itself.
 *
 * @throws ContentCodingError when it has a `Content-Encoding`.
 */
export function uploadBody(request: IncomingMessage): UploadBody {
  refuseContentCoding(request);
  const contentRange = singleHeader(
    request,
    'content-range',
    (message) => new BlobUploadInvalidError(message),
  );
  const range: ContentRange | undefined =
    contentRange === undefined ? undefined : parseContentRange(contentRange);
  const lengthBytes = contentLength(request);
  const source = hasBody(request) ? largeBodySource(request, lengthBytes) : bodySource(request);
  return { source, lengthBytes, range };
}

/**
 * A small body, whole.
 *
 * @param hold is called for the bytes of each piece before it is kept; what it throws ends the reading.
 * @throws ContentCodingError when it has a `Content-Encoding`.
 * @throws ManifestTooLargeError as soon as it is known to be larger than `MANIFEST_MAX_BYTES`.
 */
export async function readSmallBody(
  request: IncomingMessage,
  { manifestMaxBytes: maxBytes, requestIdleTimeoutSeconds, requestMinBytesPerSecond }: Configuration,
  hold: (bytes: number) => void,
): Promise<Buffer> {
  refuseContentCoding(request);
  const tooLarge = () => new ManifestTooLargeError(maxBytes);
  if ((contentLength(request) ?? 0) > maxBytes) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let length = 0;
  const idleTimeoutMs = requestIdleTimeoutSeconds * 1000;
  for await (const chunk of readBody(bodySource(request), {
    heartbeatMs: idleTimeoutMs,
    idleTimeoutMs,
    minBytesPerSecond: requestMinBytesPerSecond,
    signal: new AbortController().signal,
  })) {
    if (chunk === HEARTBEAT) continue;
    length += chunk.length;
    if (length > maxBytes) throw tooLarge();
    hold(chunk.length);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

/** Below this a body is hardly more than one chunk, and needs no buffers of its own. */
const GATHERED_BYTES = 64 * 1024;

/** What is read of it is the reader's until it asks for more. */
function largeBodySource(request: IncomingMessage, lengthBytes = Infinity): AsyncIterable<Uint8Array> {
  if (lengthBytes <= GATHERED_BYTES) return bodySource(request);
  return { [Symbol.asyncIterator]: () => new GatheredBody(request, lengthBytes) };
}

/** Reading may stop early without destroying the socket: an answer is still to be sent. */
function bodySource(request: IncomingMessage): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]: () => request.iterator({ destroyOnReturn: false })[Symbol.asyncIterator](),
  };
}

function contentLength(request: IncomingMessage): number | undefined {
  const header = request.headers['content-length'];
  if (header === undefined) return undefined;
  const length = Number(header);
  if (!Number.isSafeInteger(length)) throw new SizeInvalidError('the Content-Length is out of range');
  return length;
}
