import { applyDecorators } from '@nestjs/common';
import { ApiResponse } from '@nestjs/swagger';
import {
  AlsoHead,
  Responds,
  DigestParamDoc,
  Endpoint,
  Errors,
  headers,
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

const bytes = (status: number, description: string, extra: Record<string, string> = {}) =>
  ApiResponse({
    status,
    description,
    headers: headers({ ...BLOB_HEADERS, ...extra }),
    content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } },
  });

export const BlobGetDocs = () =>
  applyDecorators(
    Endpoint('blobs', 'getBlob', 'Returns a blob, or a range of it', 'end-2'),
    AlsoHead('headBlob'),
    NameParam(),
    DigestParamDoc('Digest of the blob'),
    RequestHeader('Range', 'One range of bytes: `bytes=0-99`, `bytes=100-`, `bytes=-100`'),
    RequestHeader('If-Range', 'The ETag that the range applies to'),
    RequestHeader('If-None-Match', 'ETags that the client has'),
    bytes(200, 'The bytes'),
    bytes(206, 'The range', { 'Content-Range': '`bytes first-last/size`' }),
    Responds(304, 'Not modified', { ETag: 'The digest, quoted' }),
    Errors({
      400: 'NAME_INVALID, DIGEST_INVALID',
      404: 'BLOB_UNKNOWN: not in the repository, or its bytes are lost; push it again',
      416: 'SIZE_INVALID: the range is not within the blob',
    }),
  );

export const BlobDeleteDocs = () =>
  applyDecorators(
    Endpoint('blobs', 'deleteBlob', 'Removes a blob from the repository', 'end-10'),
    NameParam(),
    DigestParamDoc('Digest of the blob'),
    Responds(202, 'Removed; other repositories keep the blob'),
    Errors({
      400: 'NAME_INVALID, DIGEST_INVALID',
      404: 'BLOB_UNKNOWN',
      405: 'DENIED: a manifest of the repository needs it; `detail.manifest` is its digest',
    }),
  );
