import { applyDecorators } from '@nestjs/common';
import { ApiExtraModels, ApiResponse, getSchemaPath } from '@nestjs/swagger';
import { UnauthorizedError } from '../../access/access.errors.js';
import { parseDigest } from '../../oci/digest.js';
import { ParameterInvalidError, RegistryError } from '../../oci/errors.js';
import { EXAMPLE_REPOSITORY } from '../../oci/examples.js';
import { parseRepositoryName } from '../../oci/repository-name.js';
import { StorageFullError, StorageUnavailableError } from '../../storage/storage.errors.js';
import { responseToError } from '../error-responses.js';
import { RegistryErrorsDto } from './registry-errors.dto.js';

/**
 * An error that an endpoint may return. It is the error that the code throws: the status, the headers and the
 * example in the document are those of the real response.
 */
export type ErrorCase = readonly [error: unknown, when: string];

const REQUEST_ID = '0c8f9a52-6f5f-4c0b-8c53-3f6a5a0f6d11';

export const NAME_INVALID: ErrorCase = [
  thrownBy(() => parseRepositoryName('Demo')),
  "the repository's name is malformed",
];
export const DIGEST_INVALID: ErrorCase = [
  thrownBy(() => parseDigest('sha256:1234')),
  'the digest is malformed, or of an unknown algorithm',
];
/** For endpoints with the header `Idempotency-Key`. */
export const KEY_INVALID: ErrorCase = [
  new ParameterInvalidError('Idempotency-Key: expected 1 to 255 visible ASCII characters'),
  'the Idempotency-Key is malformed or repeated',
];
/** For endpoints that store something. */
export const STORAGE_FULL: ErrorCase = [
  new StorageFullError('full'),
  'the disk of the storage or of the database is full',
];

function unauthorized(): UnauthorizedError {
  const error = new UnauthorizedError();
  error.challenge =
    'Bearer realm="https://registry.example.org/auth/token",service="berth",' +
    `scope="repository:${EXAMPLE_REPOSITORY}:pull"`;
  return error;
}

/** Errors of every endpoint. */
export const COMMON_ERRORS: readonly ErrorCase[] = [
  [
    unauthorized(),
    'no credentials, wrong ones, or a token without the right; `WWW-Authenticate` says where to get a token',
  ],
  [
    new RegistryError('DENIED'),
    'a name with a password or a secret whose rights do not suffice; or, where access is open on loopback, a ' +
      'request of another web page or for another host name',
  ],
  [new Error('unexpected'), 'a failure that the log explains; it has the request id'],
  [
    new StorageUnavailableError('unavailable'),
    'the database or the storage is not available, or is overloaded; retry after `Retry-After`',
  ],
];

/** Documents error responses, with an example for each code. */
export function Errors(...cases: readonly ErrorCase[]) {
  const responses = cases.map(([error, when]) => ({ ...responseToError(error, REQUEST_ID), when }));
  const statuses = new Set(responses.map(({ status }) => status));
  return applyDecorators(
    ApiExtraModels(RegistryErrorsDto),
    ...[...statuses].map((status) => {
      const ofStatus = responses.filter((response) => response.status === status);
      return ApiResponse({
        status,
        description: ofStatus.map(({ errors, when }) => `${codeOf(errors)}: ${when}`).join('; '),
        headers: Object.fromEntries(
          ofStatus.flatMap(({ headers }) =>
            Object.entries(headers).map(([name, example]) => [name, { schema: { type: 'string', example } }]),
          ),
        ),
        content: {
          'application/json': {
            schema: { $ref: getSchemaPath(RegistryErrorsDto) },
            examples: Object.fromEntries(
              ofStatus.map(({ errors, when }) => [codeOf(errors), { summary: when, value: { errors } }]),
            ),
          },
        },
      });
    }),
  );
}

function codeOf(errors: readonly { readonly code: string }[]): string {
  return errors[0]?.code ?? 'UNKNOWN';
}

export function thrownBy(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return error;
  }
}
