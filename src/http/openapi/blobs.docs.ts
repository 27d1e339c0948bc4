import { applyDecorators } from '@nestjs/common';
import { ApiResponse } from '@nestjs/swagger';
import {
  BlobNeededError,
  BlobUnknownError,
  PreconditionFailedError,
  RangeNotSatisfiableError,
} from '../../oci/errors.js';
import { EXAMPLE_BLOB, EXAMPLE_BLOB_DIGEST, EXAMPLE_MANIFEST_DIGEST } from '../../oci/examples.js';
import { DIGEST_INVALID, Errors, KEY_INVALID, NAME_INVALID } from './errors.js';
import {
  AlsoHead,
  Responds,
  DigestParamDoc,
  Endpoint,
  headers,
  IdempotencyKey,
  NameParam,
  RequestHeader,
} from './parts.js';

const BLOB_HEADERS = {
  'Docker-Content-Digest': 'The requested digest; for a tarsum the sha256 digest',
  ETag: 'This digest, quoted',
  'Last-Modified': 'When the repository got the blob',
  'Content-Length': 'Number of bytes',
  'Accept-Ranges': '`bytes`',
  'Cache-Control': 'Content never changes under its digest; for a tarsum `no-cache`',
};

const NAMED = 'Digest or tarsum. Of several blobs with a tarsum, the one that the repository has had longest';

const bytes = (status: number, description: string, types: string[], extra: Record<string, string> = {}) =>
  ApiResponse({
    status,
    description,
    headers: headers({ ...BLOB_HEADERS, ...extra }),
    content: Object.fromEntries(
      types.map((type) => [type, { schema: { type: 'string' as const, format: 'binary' } }]),
    ),
  });

export const BlobGetDocs = () =>
  applyDecorators(
    Endpoint('blobs', 'getBlob', 'Pull a blob, or a range of it', 'end-2'),
    AlsoHead('headBlob'),
    NameParam(),
    DigestParamDoc(NAMED),
    RequestHeader('Range', 'Ranges of bytes: `bytes=0-99`, `bytes=100-`, `bytes=-100`, `bytes=0-9,90-99`'),
    RequestHeader('If-Range', 'The ETag or the Last-Modified that the range applies to'),
    RequestHeader('If-None-Match', 'ETags that the client has'),
    RequestHeader('If-Modified-Since', 'The Last-Modified that the client has; without If-None-Match'),
    RequestHeader('If-Match', 'ETags that the blob must have'),
    RequestHeader('If-Unmodified-Since', 'The blob must not be newer; without If-Match'),
    bytes(200, 'The bytes', ['application/octet-stream']),
    bytes(206, 'The range; several are parts', ['application/octet-stream', 'multipart/byteranges'], {
      'Content-Range': '`bytes first-last/size`; not with several ranges',
    }),
    Responds(304, 'Not modified', {
      ETag: 'The digest, quoted',
      'Last-Modified': BLOB_HEADERS['Last-Modified'],
    }),
    Responds(307, 'The bytes are at `Location`: a URL of the object store, for a short time', {
      Location: 'A signed URL',
      'Cache-Control': '`no-store`',
      'Docker-Content-Digest': 'The requested digest',
    }),
    Errors(
      NAME_INVALID,
      DIGEST_INVALID,
      [
        new BlobUnknownError(EXAMPLE_BLOB_DIGEST),
        'not in the repository, or its bytes are lost; push it again',
      ],
      [new PreconditionFailedError(), 'a condition does not hold'],
      [new RangeNotSatisfiableError(EXAMPLE_BLOB.length), 'the range is not within the blob'],
    ),
  );

export const BlobDeleteDocs = () =>
  applyDecorators(
    Endpoint('blobs', 'deleteBlob', 'Remove a blob from the repository', 'end-10'),
    NameParam(),
    DigestParamDoc(NAMED),
    IdempotencyKey(),
    Responds(202, 'Removed; other repositories keep the blob'),
    Errors(
      NAME_INVALID,
      DIGEST_INVALID,
      KEY_INVALID,
      [new BlobUnknownError(EXAMPLE_BLOB_DIGEST), 'not in the repository'],
      [
        new BlobNeededError(EXAMPLE_MANIFEST_DIGEST),
        'a manifest of the repository needs it; `detail.manifest` is its digest',
      ],
    ),
  );
