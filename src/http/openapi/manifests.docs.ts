import { applyDecorators } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiQuery, ApiResponse } from '@nestjs/swagger';
import {
  AlsoHead,
  Answer,
  Endpoint,
  Fails,
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
  'Docker-Content-Digest': 'Its digest',
  ETag: 'The digest, quoted',
  'Content-Length': 'Exactly as many bytes as follow',
};

export const ManifestGetDocs = () =>
  applyDecorators(
    Endpoint('manifests', 'getManifest', 'Pulls a manifest: the exact bytes that were pushed', 'end-3'),
    AlsoHead('headManifest'),
    NameParam(),
    ReferenceParam(),
    RequestHeader('If-None-Match', 'ETags that the client has'),
    ApiResponse({
      status: 200,
      description: 'The manifest, in the media type that it was pushed with',
      headers: headers(MANIFEST_HEADERS),
      content: Object.fromEntries(MEDIA_TYPES.map((type) => [type, { schema: { type: 'object' } }])),
    }),
    Answer(304, 'The client has it', { ETag: 'The digest, quoted', 'Docker-Content-Digest': 'Its digest' }),
    Fails({ 400: 'NAME_INVALID, DIGEST_INVALID', 404: 'MANIFEST_UNKNOWN' }),
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
      description: 'Tags to point at it, in the same transaction',
    }),
    ApiConsumes(...MEDIA_TYPES),
    ApiBody({ schema: { type: 'object' } }),
    Answer(201, 'It is there', {
      Location: 'The manifest, as a path',
      'Docker-Content-Digest': 'Its digest, in the algorithm of the reference',
      'OCI-Subject': 'The digest of its subject, where it has one',
      'OCI-Tag': 'The tags of the query that were set',
    }),
    Fails({
      400: 'NAME_INVALID, DIGEST_INVALID, MANIFEST_INVALID',
      404: 'MANIFEST_BLOB_UNKNOWN: one error for each blob or manifest that the repository does not have',
      413: 'MANIFEST_INVALID: longer than the registry takes',
    }),
  );

export const ManifestDeleteDocs = () =>
  applyDecorators(
    Endpoint('manifests', 'deleteManifest', 'Deletes a tag, or a manifest with its tags', 'end-9'),
    NameParam(),
    ReferenceParam(),
    Answer(202, 'It is gone'),
    Fails({ 400: 'NAME_INVALID, DIGEST_INVALID, MANIFEST_INVALID', 404: 'MANIFEST_UNKNOWN' }),
  );
