import type { ArgumentsHost } from '@nestjs/common';
import { BadRequestException, Logger, NotFoundException } from '@nestjs/common';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { ContendedError } from '../database/errors/contended.error.js';
import { ConnectionLostError } from '../database/errors/database-errors.js';
import { DatabaseFullError } from '../database/errors/database-full.error.js';
import * as manifestErrors from '../manifests/manifest.errors.js';
import * as ociErrors from '../oci/errors.js';
import { parseRepositoryName } from '../oci/repository-name.js';
import { newUploadId } from '../oci/upload-id.js';
import {
  StorageFullError,
  StorageIdentityError,
  StorageUnavailableError,
} from '../storage/storage.errors.js';
import * as bodyErrors from '../transfer/body.errors.js';
import * as uploadErrors from '../uploads/upload.errors.js';
import { RegistryExceptionFilter } from './registry-exception.filter.js';

type Row = [error: () => unknown, status: number, code: string, headers?: Record<string, string>];

const { RegistryError } = ociErrors;
const SESSION = { repository: parseRepositoryName('a/b'), id: newUploadId(), offsetBytes: 5 };

/** What each error looks like on the wire. Codes of failures of the registry (5xx) are always `UNKNOWN`. */
const RESPONSES: Row[] = [
  [() => new ociErrors.RegistryError('DENIED'), 403, 'DENIED'],
  [() => new ociErrors.RegistryError('UNAUTHORIZED'), 401, 'UNAUTHORIZED'],
  [() => new ociErrors.RegistryError('TOOMANYREQUESTS'), 429, 'TOOMANYREQUESTS'],
  [() => new ociErrors.RegistryError('UNSUPPORTED'), 405, 'UNSUPPORTED'],
  [() => new ociErrors.DigestInvalidError(), 400, 'DIGEST_INVALID'],
  [() => new ociErrors.NameInvalidError(), 400, 'NAME_INVALID'],
  [() => new ociErrors.NameUnknownError('a'), 404, 'NAME_UNKNOWN'],
  [() => new ociErrors.BlobUnknownError('sha256:a'), 404, 'BLOB_UNKNOWN'],
  [() => new ociErrors.BlobNeededError('sha256:a'), 405, 'DENIED', { Allow: 'GET, HEAD' }],
  [() => new ociErrors.ManifestNeededError('sha256:a'), 405, 'DENIED', { Allow: 'GET, HEAD, PUT' }],
  [() => new ociErrors.ManifestUnknownError('a'), 404, 'MANIFEST_UNKNOWN'],
  [() => new ociErrors.ManifestInvalidError('a'), 400, 'MANIFEST_INVALID'],
  [() => new ociErrors.SizeInvalidError('a'), 400, 'SIZE_INVALID'],
  [() => new ociErrors.TagInvalidError(), 400, 'MANIFEST_INVALID'],
  [() => new ociErrors.ManifestTooLargeError(1), 413, 'MANIFEST_INVALID'],
  [() => new ociErrors.RangeNotSatisfiableError(5), 416, 'SIZE_INVALID', { 'Content-Range': 'bytes */5' }],
  [() => new bodyErrors.ContentCodingError(), 415, 'UNSUPPORTED', { 'Accept-Encoding': 'identity' }],
  [() => new ociErrors.BlobUploadUnknownError('a'), 404, 'BLOB_UPLOAD_UNKNOWN'],
  [() => new ociErrors.BlobUploadInvalidError(), 400, 'BLOB_UPLOAD_INVALID'],
  [() => new ociErrors.ManifestBlobUnknownError(['sha256:a']), 404, 'MANIFEST_BLOB_UNKNOWN'],
  [() => new ociErrors.MethodNotAllowedError('GET, HEAD'), 405, 'UNSUPPORTED', { Allow: 'GET, HEAD' }],
  [() => new ociErrors.PreconditionFailedError(), 412, 'UNSUPPORTED'],
  [() => new ociErrors.ParameterInvalidError('a'), 400, 'UNSUPPORTED'],
  [
    () => new uploadErrors.UploadOffsetError(SESSION, 'a'),
    416,
    'BLOB_UPLOAD_INVALID',
    {
      Location: `/v2/a/b/blobs/uploads/${SESSION.id}?offset=5`,
      Range: '0-4',
      'Upload-Offset': '5',
      'Docker-Upload-UUID': SESSION.id,
    },
  ],
  [
    () => new uploadErrors.TooManySessionsError('sessions', 5),
    429,
    'TOOMANYREQUESTS',
    { 'Retry-After': '60' },
  ],
  [() => new uploadErrors.UploadBusyError(7), 429, 'TOOMANYREQUESTS', { 'Retry-After': '7' }],
  [() => new uploadErrors.UploadTakenOverError(), 429, 'TOOMANYREQUESTS', { 'Retry-After': '1' }],
  [() => new uploadErrors.ShuttingDownError(), 503, 'UNKNOWN', { 'Retry-After': '1' }],
  [() => new manifestErrors.ManifestUnsettledError('a'), 503, 'UNKNOWN', { 'Retry-After': '1' }],
  [() => new bodyErrors.TooManyBodiesError(5), 503, 'UNKNOWN', { 'Retry-After': '1' }],
  [() => new bodyErrors.BodyStalledError('BLOB_UPLOAD_INVALID', 60), 408, 'BLOB_UPLOAD_INVALID'],
  [() => new bodyErrors.BodyStalledError('MANIFEST_INVALID', 60), 408, 'MANIFEST_INVALID'],
  [() => new bodyErrors.BodySlowError('BLOB_UPLOAD_INVALID', 100, 60), 408, 'BLOB_UPLOAD_INVALID'],
  [
    () => new bodyErrors.BodyBrokenError('BLOB_UPLOAD_INVALID', new Error('gone')),
    400,
    'BLOB_UPLOAD_INVALID',
  ],
  [() => new bodyErrors.BodyBrokenError('MANIFEST_INVALID', new Error('gone')), 400, 'MANIFEST_INVALID'],
  [() => new ContendedError(), 503, 'UNKNOWN', { 'Retry-After': '1' }],
  [() => new ConnectionLostError(new Error('lost')), 503, 'UNKNOWN', { 'Retry-After': '5' }],
  [() => new DatabaseFullError(), 507, 'UNKNOWN'],
  [() => new StorageFullError('full'), 507, 'UNKNOWN'],
  [() => new StorageUnavailableError('away'), 503, 'UNKNOWN', { 'Retry-After': '5' }],
  [() => new StorageIdentityError('other'), 503, 'UNKNOWN', { 'Retry-After': '5' }],
  [() => new Error('a defect'), 500, 'UNKNOWN'],
  [() => new NotFoundException(), 404, 'UNSUPPORTED'],
  [() => new BadRequestException('bad'), 400, 'UNSUPPORTED'],
];

describe('the response to an error', () => {
  beforeAll(() => void Logger.overrideLogger(false));

  it.each(RESPONSES)('sends %s as %i %s %j', (error, status, code, headers = {}) => {
    expect(responseTo(error())).toEqual({ status, code, headers });
  });

  it('has a row above for every error of the spec', () => {
    const kinds = [ociErrors, uploadErrors, manifestErrors, bodyErrors]
      .flatMap((module): unknown[] => Object.values(module))
      .filter(
        (value) =>
          typeof value === 'function' &&
          value.prototype instanceof RegistryError &&
          value !== bodyErrors.BodyError,
      );
    const tested = RESPONSES.map(([error]) => (error() as object).constructor);
    expect(kinds.length).toBeGreaterThan(0);
    expect(kinds.filter((kind) => !tested.includes(kind as (typeof tested)[number]))).toEqual([]);
  });

  it.each<[unknown, string]>([
    [
      new bodyErrors.BodyStalledError('MANIFEST_INVALID', 60),
      'no data received for 60 s, the limit REQUEST_IDLE_TIMEOUT_SECONDS',
    ],
    [
      new bodyErrors.BodySlowError('MANIFEST_INVALID', 100, 60),
      'received fewer than 100 bytes per second for 60 s, ' +
        'the limits REQUEST_MIN_BYTES_PER_SECOND and REQUEST_IDLE_TIMEOUT_SECONDS',
    ],
    [new ociErrors.ManifestUnknownError('v9'), 'manifest unknown to registry: v9'],
  ])('names the limit and its setting, or the reference: %s', (error, message) => {
    expect(respond(error).body.errors[0]?.message).toBe(message);
  });

  it('names each missing blob of a manifest', () => {
    const { errors } = respond(new ociErrors.ManifestBlobUnknownError(['sha256:a', 'sha256:b'])).body;
    expect(errors.map(({ detail }) => detail)).toEqual([{ digest: 'sha256:a' }, { digest: 'sha256:b' }]);
    expect(errors.map(({ message }) => message)).toEqual([
      'the repository does not have sha256:a, sha256:b: push them first',
      'the repository does not have sha256:b: push it first',
    ]);
  });

  it('limits the number of missing blobs that it names', () => {
    const digests = Array.from({ length: 2_000 }, (_, index) => `sha256:${index}`);
    const { errors } = respond(new ociErrors.ManifestBlobUnknownError(digests)).body;
    expect(errors).toHaveLength(1_000);
    expect(errors[0]?.message).toBe(
      `the repository does not have ${digests.slice(0, 10).join(', ')} and 1990 more: push them first`,
    );
  });

  it('tells the client nothing of an unexpected failure but the id of its request', () => {
    const { body } = respond(new Error('password=secret'));
    expect(body).toEqual({
      errors: [{ code: 'UNKNOWN', message: 'internal error', detail: { requestId: 'request 1' } }],
    });
  });
});

interface SentBody {
  readonly errors: readonly { code: string; message: string; detail?: unknown }[];
}

function responseTo(error: unknown) {
  const { status, headers, body } = respond(error);
  const { 'Content-Type': type, 'Content-Length': length, ...rest } = headers;
  expect([type, length]).toEqual(['application/json', expect.any(Number)]);
  return { status, code: body.errors[0]?.code, headers: rest };
}

function respond(error: unknown): { status: number; headers: Record<string, unknown>; body: SentBody } {
  const sent = { status: 0, headers: {}, text: '' };
  const response = {
    writeHead: (status: number, headers: object) => Object.assign(sent, { status, headers }),
    end: (body: Buffer) => (sent.text = body.toString()),
  };
  const request = { id: 'request 1', method: 'GET', path: '/v2/', complete: true };
  const http = { getRequest: () => request, getResponse: () => response };
  new RegistryExceptionFilter().catch(error, { switchToHttp: () => http } as unknown as ArgumentsHost);
  return { status: sent.status, headers: sent.headers, body: JSON.parse(sent.text) as SentBody };
}
