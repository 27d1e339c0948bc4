import { applyDecorators } from '@nestjs/common';
import { ApiResponse } from '@nestjs/swagger';
import {
  AlsoHead,
  Answer,
  DigestParamDoc,
  Endpoint,
  Fails,
  headers,
  NameParam,
  RequestHeader,
} from './parts.js';

const BLOB_HEADERS = {
  'Docker-Content-Digest': 'The digest that was asked for',
  ETag: 'The digest, quoted',
  'Content-Length': 'Exactly as many bytes as follow',
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
    Endpoint('blobs', 'getBlob', 'Pulls a blob, or a part of it', 'end-2'),
    AlsoHead('headBlob'),
    NameParam(),
    DigestParamDoc('Of the blob'),
    RequestHeader('Range', 'One range of bytes: `bytes=0-99`, `bytes=100-`, `bytes=-100`'),
    RequestHeader('If-Range', 'The ETag for which the range is meant'),
    RequestHeader('If-None-Match', 'ETags that the client has'),
    bytes(200, 'The bytes'),
    bytes(206, 'The range', { 'Content-Range': '`bytes first-last/size`' }),
    Answer(304, 'The client has it', { ETag: 'The digest, quoted' }),
    Fails({
      400: 'NAME_INVALID, DIGEST_INVALID',
      404: 'BLOB_UNKNOWN: the repository does not link it, or its bytes are lost: push it again',
      416: 'SIZE_INVALID: the range is not within the blob',
    }),
  );

export const BlobDeleteDocs = () =>
  applyDecorators(
    Endpoint('blobs', 'deleteBlob', 'Takes a blob out of the repository', 'end-10'),
    NameParam(),
    DigestParamDoc('Of the blob'),
    Answer(202, 'It is gone from here; other repositories keep it'),
    Fails({
      400: 'NAME_INVALID, DIGEST_INVALID',
      404: 'BLOB_UNKNOWN',
      405: 'DENIED: a manifest of the repository needs it; `detail.manifest` is its digest',
    }),
  );
