import { quoted } from '../../object-store/quoted.js';

/** What is to be known of a failed request: Azure's answer, or why there was none. */
export interface AzureAnswer {
  /** Missing when no answer came. */
  readonly status: number | undefined;
  /** Azure's (`BlobNotFound`), or that of the network (`ECONNRESET`). */
  readonly code: string | undefined;
  /** Azure's words on it, as far as it has any. */
  readonly text: string;
  /** For Azure's support, and in the logs of the account. */
  readonly requestId: string | undefined;
}

/**
 * Reads an error of the SDK, or one of the network in it. By its properties, as those of `@azure/identity` have
 * classes of their own.
 */
export function answerOf(error: unknown): AzureAnswer {
  const response = property(error, 'response');
  return {
    status: numberOr(property(error, 'statusCode')),
    // The answer to HEAD has no body that could say it.
    code: header(response, 'x-ms-error-code') ?? textOr(property(error, 'code')),
    text: [property(error, 'message'), property(response, 'bodyAsText')]
      .map((each) => textOr(each) ?? '')
      .join(' '),
    requestId: header(response, 'x-ms-request-id'),
  };
}

/** Azure's answer has one of these codes. */
export function answered(error: unknown, ...codes: string[]): boolean {
  const { status, code } = answerOf(error);
  return status !== undefined && code !== undefined && codes.includes(code);
}

/** There is no such blob; a missing container is something else. */
export function isBlobMissing(error: unknown): boolean {
  const { status, code } = answerOf(error);
  return status === 404 && (code === undefined || code === 'BlobNotFound');
}

/**
 * An error of the SDK's as the cause of one of Berth's: with what a log may show. The SDK keeps the whole exchange in it: the
 * request with its signature and its bytes, and all of an answer that it can't read (in the message), where a proxy may
 * have quoted the address and with it a shared access signature.
 */
export function shorn(error: unknown): unknown {
  if (property(error, 'name') !== 'RestError') return error;
  const { status, code, requestId } = answerOf(error);
  const isUnread = property(error, 'code') === 'PARSE_ERROR';
  const message = isUnread ? 'the answer could not be read' : firstLine(textOr(property(error, 'message')));
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
