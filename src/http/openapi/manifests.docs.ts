import { applyDecorators } from '@nestjs/common';
import { ApiOperation, ApiQuery, ApiResponse } from '@nestjs/swagger';
import {
  ManifestBlobUnknownError,
  ManifestInvalidError,
  ManifestNeededError,
  ManifestTooLargeError,
  ManifestUnknownError,
  NameUnknownError,
} from '../../oci/errors.js';
import {
  EXAMPLE_BLOB_DIGEST,
  EXAMPLE_MANIFEST_DIGEST,
  EXAMPLE_MANIFESTS,
  EXAMPLE_REPOSITORY,
  EXAMPLE_TAG,
} from '../../oci/examples.js';
import { parseTag } from '../../oci/tag.js';
import { BodyStalledError, ContentCodingError } from '../../transfer/body.errors.js';
import {
  DIGEST_INVALID,
  type ErrorCase,
  Errors,
  KEY_INVALID,
  NAME_INVALID,
  STORAGE_FULL,
  thrownBy,
} from './errors.js';
import {
  AlsoHead,
  Responds,
  Endpoint,
  headers,
  IdempotencyKey,
  NameParam,
  ReferenceParam,
  RequestHeader,
} from './parts.js';

/** A body of each media type with its example. */
const MANIFESTS = Object.fromEntries(
  Object.entries(EXAMPLE_MANIFESTS).map(([type, example]) => [
    type,
    { schema: { type: 'object' as const }, example },
  ]),
);

const UNKNOWN: readonly ErrorCase[] = [
  [new ManifestUnknownError(EXAMPLE_TAG), 'no such tag or manifest'],
  [new NameUnknownError(EXAMPLE_REPOSITORY), 'no such repository'],
];

const MANIFEST_HEADERS = {
  'Docker-Content-Digest': 'Digest of the manifest',
  ETag: 'The digest, quoted',
  'Content-Length': 'Number of bytes',
};

export const ManifestGetDocs = () =>
  applyDecorators(
    Endpoint('manifests', 'getManifest', 'Pull a manifest', 'end-3', 'The exact bytes that were pushed.'),
    AlsoHead('headManifest'),
    NameParam(),
    ReferenceParam(),
    RequestHeader('If-None-Match', 'ETags that the client has'),
    ApiResponse({
      status: 200,
      description: 'The manifest, with the media type of its push',
      headers: headers(MANIFEST_HEADERS),
      content: MANIFESTS,
    }),
    Responds(304, 'Not modified', {
      ETag: 'The digest, quoted',
      'Docker-Content-Digest': 'Digest of the manifest',
    }),
    Errors(NAME_INVALID, DIGEST_INVALID, ...UNKNOWN),
  );

export const ManifestPutDocs = () =>
  applyDecorators(
    // First, because it sets an empty summary.
    ApiOperation({ requestBody: { required: true, content: MANIFESTS } }),
    Endpoint(
      'manifests',
      'putManifest',
      'Push a manifest and set its tags',
      'end-7a, end-7b',
      'The examples of indexes can be pushed as they stand, those of images after the blob `{}`.',
    ),
    NameParam(),
    ReferenceParam(),
    ApiQuery({
      name: 'tag',
      required: false,
      isArray: true,
      schema: { type: 'array', items: { type: 'string' } },
      description: 'Tags to set in the same transaction',
    }),
    IdempotencyKey(),
    Responds(201, 'Stored', {
      Location: 'Path of the manifest',
      'Docker-Content-Digest': 'Digest of the manifest, with the algorithm of the reference',
      'OCI-Subject': 'Digest of the subject, if the manifest has one',
      'OCI-Tag': 'Tags of the query that were set',
    }),
    Errors(
      NAME_INVALID,
      [DIGEST_INVALID[0], 'the digest is malformed, or not that of the body'],
      [
        new ManifestInvalidError('schemaVersion: expected 2'),
        'the body is not a manifest of its Content-Type, or the tag is malformed',
      ],
      [
        new ManifestBlobUnknownError([EXAMPLE_BLOB_DIGEST]),
        'one error for each blob or manifest that the repository does not have',
      ],
      KEY_INVALID,
      [new BodyStalledError('MANIFEST_INVALID', 60), 'the body stalled or was too slow'],
      [new ManifestTooLargeError(4_194_304), 'larger than `MANIFEST_MAX_BYTES`'],
      [new ContentCodingError(), 'the body has a `Content-Encoding`'],
      STORAGE_FULL,
    ),
  );

export const ManifestDeleteDocs = () =>
  applyDecorators(
    Endpoint('manifests', 'deleteManifest', 'Delete a tag, or a manifest with its tags', 'end-9'),
    NameParam(),
    ReferenceParam(),
    IdempotencyKey(),
    Responds(202, 'Deleted'),
    Errors(
      NAME_INVALID,
      DIGEST_INVALID,
      [thrownBy(() => parseTag('-')), 'the tag is malformed'],
      KEY_INVALID,
      ...UNKNOWN,
      [
        new ManifestNeededError(EXAMPLE_MANIFEST_DIGEST),
        'an index of the repository, whose digest is in `detail.manifest`, lists the manifest',
      ],
    ),
  );
