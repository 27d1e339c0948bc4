import { quoted } from '../../object-store/quoted.js';

/** Azure's response to a failed request, or why there was none. */
export interface AzureResponse {
  /** Missing if no response came. */
  readonly status: number | undefined;
  /** Azure's code (`BlobNotFound`) or the network's (`ECONNRESET`). */
  readonly code: string | undefined;
  /** The text of the response and of the error. */
  readonly text: string;
  /** For Azure's support, and in the logs of the account. */
  readonly requestId: string | undefined;
}

/**
 * Reads an error by its properties, because errors of `@azure/identity` have other classes than the storage
 * SDK's.
 */
export function responseOf(error: unknown): AzureResponse {
  const response = property(error, 'response');
  return {
    status: numberOr(property(error, 'statusCode')),
    // A response to HEAD has no body, so the code is in a header.
    code: header(response, 'x-ms-error-code') ?? textOr(property(error, 'code')),
    text: [property(error, 'message'), property(response, 'bodyAsText')]
      .map((each) => textOr(each) ?? '')
      .join(' '),
    requestId: header(response, 'x-ms-request-id'),
  };
}

/** Returns whether Azure responded with one of these codes. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  const { status, code } = responseOf(error);
  return status !== undefined && code !== undefined && codes.includes(code);
}

/** Returns whether the blob is missing. A missing container is another error. */
export function isBlobMissing(error: unknown): boolean {
  const { status, code } = responseOf(error);
  return status === 404 && (code === undefined || code === 'BlobNotFound');
}

/**
 * Returns the SDK's error without what a log must not show. The SDK keeps the whole exchange in it: the
 * request with its signature and bytes, and in the message the full text of a response that it can't parse,
 * in which a proxy may quote the URL with a shared access signature.
 */
export function redacted(error: unknown): unknown {
  if (property(error, 'name') !== 'RestError') return error;
  const { status, code, requestId } = responseOf(error);
  const isUnparsed = property(error, 'code') === 'PARSE_ERROR';
  const message = isUnparsed
    ? 'the response could not be parsed'
    : firstLine(textOr(property(error, 'message')));
  return Object.assign(new Error(message), { name: 'RestError', status, code, requestId });
}

export function firstLine(text = ''): string {
  return quoted(text.trim().split('\n', 1)[0] ?? '');
}

function property(holder: unknown, name: string): unknown {
  return typeof holder === 'object' && holder !== null
    ? (holder as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

function header(response: unknown, name: string): string | undefined {
  const headers = property(response, 'headers');
  const get = property(headers, 'get');
  return typeof get === 'function' ? textOr(get.call(headers, name)) : undefined;
}

function textOr(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function numberOr(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}
