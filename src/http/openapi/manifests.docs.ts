import { applyDecorators } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiQuery, ApiResponse } from '@nestjs/swagger';
import {
  AlsoHead,
  Responds,
  Endpoint,
  Errors,
  headers,
  NameParam,
  ReferenceParam,
  RequestHeader,
} from './parts.js';

const MEDIA_TYPES = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
];

const MANIFEST_HEADERS = {
  'Docker-Content-Digest': 'Digest of the manifest',
  ETag: 'The digest, quoted',
  'Content-Length': 'Number of bytes',
};

export const ManifestGetDocs = () =>
  applyDecorators(
    Endpoint('manifests', 'getManifest', 'Returns a manifest: the exact bytes that were pushed', 'end-3'),
    AlsoHead('headManifest'),
    NameParam(),
    ReferenceParam(),
    RequestHeader('If-None-Match', 'ETags that the client has'),
    ApiResponse({
      status: 200,
      description: 'The manifest, with the media type of its push',
      headers: headers(MANIFEST_HEADERS),
      content: Object.fromEntries(MEDIA_TYPES.map((type) => [type, { schema: { type: 'object' } }])),
    }),
    Responds(304, 'Not modified', {
      ETag: 'The digest, quoted',
      'Docker-Content-Digest': 'Digest of the manifest',
    }),
    Errors({ 400: 'NAME_INVALID, DIGEST_INVALID', 404: 'MANIFEST_UNKNOWN' }),
  );

export const ManifestPutDocs = () =>
  applyDecorators(
    Endpoint('manifests', 'putManifest', 'Pushes a manifest', 'end-7a, end-7b'),
    NameParam(),
    ReferenceParam(),
    ApiQuery({
      name: 'tag',
      required: false,
      isArray: true,
      schema: { type: 'array', items: { type: 'string' } },
      description: 'Tags to set in the same transaction',
    }),
    ApiConsumes(...MEDIA_TYPES),
    ApiBody({ schema: { type: 'object' } }),
    Responds(201, 'Stored', {
      Location: 'Path of the manifest',
      'Docker-Content-Digest': 'Digest of the manifest, with the algorithm of the reference',
      'OCI-Subject': 'Digest of the subject, if the manifest has one',
      'OCI-Tag': 'Tags of the query that were set',
    }),
    Errors({
      400: 'NAME_INVALID, DIGEST_INVALID, MANIFEST_INVALID',
      404: 'MANIFEST_BLOB_UNKNOWN: one error for each blob or manifest that the repository does not have',
      408: 'MANIFEST_INVALID: the body stalled or was too slow',
      413: 'MANIFEST_INVALID: larger than MANIFEST_MAX_BYTES',
    }),
  );

export const ManifestDeleteDocs = () =>
  applyDecorators(
    Endpoint('manifests', 'deleteManifest', 'Deletes a tag, or a manifest with its tags', 'end-9'),
    NameParam(),
    ReferenceParam(),
    Responds(202, 'Deleted'),
    Errors({ 400: 'NAME_INVALID, DIGEST_INVALID, MANIFEST_INVALID', 404: 'MANIFEST_UNKNOWN' }),
  );
