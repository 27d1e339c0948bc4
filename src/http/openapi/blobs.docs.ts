import { applyDecorators } from '@nestjs/common';
import { ApiResponse } from '@nestjs/swagger';
import { BlobNeededError, BlobUnknownError, RangeNotSatisfiableError } from '../../oci/errors.js';
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
  'Docker-Content-Digest': 'The requested digest',
  ETag: 'The digest, quoted',
  'Content-Length': 'Number of bytes',
  'Accept-Ranges': '`bytes`',
  'Cache-Control': 'Content never changes under its digest',
};

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
    DigestParamDoc('Digest of the blob'),
    RequestHeader('Range', 'Ranges of bytes: `bytes=0-99`, `bytes=100-`, `bytes=-100`, `bytes=0-9,90-99`'),
    RequestHeader('If-Range', 'The ETag that the range applies to'),
    RequestHeader('If-None-Match', 'ETags that the client has'),
    bytes(200, 'The bytes', ['application/octet-stream']),
    bytes(206, 'The range; several are parts', ['application/octet-stream', 'multipart/byteranges'], {
      'Content-Range': '`bytes first-last/size`; not with several ranges',
    }),
    Responds(304, 'Not modified', { ETag: 'The digest, quoted' }),
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
      [new RangeNotSatisfiableError(EXAMPLE_BLOB.length), 'the range is not within the blob'],
    ),
  );

export const BlobDeleteDocs = () =>
  applyDecorators(
    Endpoint('blobs', 'deleteBlob', 'Remove a blob from the repository', 'end-10'),
    NameParam(),
    DigestParamDoc('Digest of the blob'),
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
