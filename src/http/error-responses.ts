import { HttpException } from '@nestjs/common';
import { TooManyLoginsError, UnauthorizedError } from '../access/access.errors.js';
import { ContendedError } from '../database/errors/contended.error.js';
import { isDatabaseFull, isDatabaseUnavailable } from '../database/errors/database-errors.js';
import { DatabaseFullError } from '../database/errors/database-full.error.js';
import { ManifestUnsettledError } from '../manifests/manifest.errors.js';
import { formatUnsatisfiedRange } from '../oci/byte-range.js';
import type { ErrorCode } from '../oci/error-codes.js';
import {
  BlobNeededError,
  ManifestBlobUnknownError,
  ManifestNeededError,
  ManifestTooLargeError,
  MethodNotAllowedError,
  ParameterInvalidError,
  PreconditionFailedError,
  RangeNotSatisfiableError,
  RegistryError,
} from '../oci/errors.js';
import { NoTokensError, TokenRequestError } from '../tokens/token.errors.js';
import { StorageFullError, StorageUnavailableError } from '../storage/storage.errors.js';
import { NoAuthorityError } from '../tls/no-authority.error.js';
import {
  BodySlowError,
  BodyStalledError,
  ContentCodingError,
  TooManyBodiesError,
} from '../transfer/body.errors.js';
import {
  ShuttingDownError,
  TooManySessionsError,
  UploadBusyError,
  UploadOffsetError,
  UploadTakenOverError,
} from '../uploads/upload.errors.js';
import { sessionHeaders } from './upload-location.js';

/** The errors of one response. */
const MAX_ERRORS = 1_000;

type Headers = Readonly<Record<string, string>>;

/** The status of each code; `BY_CLASS` has the exceptions. */
const BY_CODE: Readonly<Record<ErrorCode, number>> = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 404,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  SIZE_INVALID: 400,
  UNAUTHORIZED: 401,
  DENIED: 403,
  UNSUPPORTED: 405,
  TOOMANYREQUESTS: 429,
};

/** Errors that have another status than their code, or headers. */
const BY_CLASS = [
  rule(ParameterInvalidError, 400),
  // RFC 9110, section 15.5.2: a 401 has a challenge.
  rule(UnauthorizedError, 401, ({ challenge = 'Bearer realm="berth"' }) => ({
    'WWW-Authenticate': challenge,
  })),
  rule(TokenRequestError, 400),
  rule(NoTokensError, 404),
  rule(TooManyLoginsError, 429, ({ retryAfterSeconds }) => retryAfter(retryAfterSeconds)),
  rule(NoAuthorityError, 404),
  // RFC 9110, section 15.5.6: a 405 names the methods that work.
  rule(MethodNotAllowedError, 405, ({ allowedMethods }) => ({ Allow: allowedMethods })),
  rule(BlobNeededError, 405, () => ({ Allow: 'GET, HEAD' })),
  rule(ManifestNeededError, 405, () => ({ Allow: 'GET, HEAD, PUT' })),
  rule(BodyStalledError, 408),
  rule(BodySlowError, 408),
  rule(PreconditionFailedError, 412),
  rule(ManifestTooLargeError, 413),
  rule(ContentCodingError, 415, () => ({ 'Accept-Encoding': 'identity' })),
  rule(RangeNotSatisfiableError, 416, ({ sizeBytes }) => ({
    'Content-Range': formatUnsatisfiedRange(sizeBytes),
  })),
  rule(UploadOffsetError, 416, ({ session }) => sessionHeaders(session)),
  rule(UploadBusyError, 429, ({ retryAfterSeconds }) => retryAfter(retryAfterSeconds)),
  rule(UploadTakenOverError, 429, () => retryAfter(1)),
  rule(TooManySessionsError, 429, () => retryAfter(60)),
  // Not 429: docker does not retry after it.
  rule(ContendedError, 503, () => retryAfter(1)),
  rule(TooManyBodiesError, 503, () => retryAfter(1)),
  rule(ManifestUnsettledError, 503, () => retryAfter(1)),
  rule(ShuttingDownError, 503, () => retryAfter(1)),
];

/** Failures of the database and the storage, with the message that the client gets instead of their own. */
const FAILURES: readonly Failure[] = [
  [
    (error) => error instanceof DatabaseFullError || isDatabaseFull(error),
    507,
    'the disk of the database is full',
  ],
  [isDatabaseUnavailable, 503, 'the database is not available', retryAfter(5)],
  // 503 also if the storage throttles: docker does not retry after 429.
  [(error) => error instanceof StorageUnavailableError, 503, 'the storage is not available', retryAfter(5)],
  [(error) => error instanceof StorageFullError, 507, 'the storage is full'],
];

type Failure = [matches: (error: unknown) => boolean, status: number, message: string, headers?: Headers];

interface Rule {
  readonly matches: (error: RegistryError) => boolean;
  readonly status: number;
  readonly headers: (error: RegistryError) => Headers;
}

/** The response to an error: what is sent as JSON on `/v2` (spec.md, "Error Codes"). */
export interface ErrorResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly errors: readonly { readonly code: string; readonly message: string; readonly detail?: unknown }[];
}

/**
 * The response to whatever a handler threw. Failures of the registry (5xx) have the code `UNKNOWN`, as in
 * Docker's own registry: the spec's codes are for 4xx responses. They tell the client the request's id and no
 * cause.
 */
export function responseToError(error: unknown, requestId: string): ErrorResponse {
  if (error instanceof HttpException) return fromHttpException(error, requestId);
  if (error instanceof RegistryError) return fromRegistryError(error, requestId);
  const [, status, message, headers] = FAILURES.find(([matches]) => matches(error)) ?? UNEXPECTED;
  return failure(status, message, requestId, headers);
}

const UNEXPECTED: Failure = [() => true, 500, 'internal error'];

function fromRegistryError(error: RegistryError, requestId: string): ErrorResponse {
  const special = BY_CLASS.find(({ matches }) => matches(error));
  const status = special?.status ?? BY_CODE[error.code];
  const headers = special?.headers(error) ?? {};
  if (status >= 500) return failure(status, error.message, requestId, headers);
  const { code, message, detail } = error;
  if (error instanceof ManifestBlobUnknownError) {
    const errors = error.digests.slice(0, MAX_ERRORS).map((digest, index) => {
      // Some clients print the first error only, others all of them.
      const own = index === 0 ? message : new ManifestBlobUnknownError([digest]).message;
      return { code, message: own, detail: { digest } };
    });
    return { status, headers, errors };
  }
  return { status, headers, errors: [detail === undefined ? { code, message } : { code, message, detail }] };
}

/** Errors of Nest: no route, a path that cannot be decoded, a DTO that is not valid. */
function fromHttpException(exception: HttpException, requestId: string): ErrorResponse {
  const status = exception.getStatus();
  const message = status === 404 ? 'no such endpoint' : exception.message;
  if (status >= 500) return failure(status, message, requestId);
  return { status, headers: {}, errors: [{ code: 'UNSUPPORTED', message }] };
}

function failure(status: number, message: string, requestId: string, headers: Headers = {}): ErrorResponse {
  return { status, headers, errors: [{ code: 'UNKNOWN', message, detail: { requestId } }] };
}

function retryAfter(seconds: number): Headers {
  return { 'Retry-After': String(seconds) };
}

function rule<E extends RegistryError>(
  kind: abstract new (...parameters: never[]) => E,
  status: number,
  headersOf: (error: E) => Headers = () => ({}),
): Rule {
  return {
    matches: (error) => error instanceof kind,
    status,
    headers: (error) => (error instanceof kind ? headersOf(error) : {}),
  };
}
