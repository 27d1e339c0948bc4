import { applyDecorators } from '@nestjs/common';
import { ApiBody, ApiConsumes } from '@nestjs/swagger';
import { parseContentRange } from '../../oci/content-range.js';
import {
  BlobUploadInvalidError,
  BlobUploadUnknownError,
  digestMismatch,
  SizeInvalidError,
} from '../../oci/errors.js';
import {
  EXAMPLE_BLOB_DIGEST,
  EXAMPLE_MANIFEST_DIGEST,
  EXAMPLE_REPOSITORY,
  EXAMPLE_UPLOAD_ID,
} from '../../oci/examples.js';
import { parseRepositoryName } from '../../oci/repository-name.js';
import { parseUploadId } from '../../oci/upload-id.js';
import { BodyStalledError, ContentCodingError } from '../../transfer/body.errors.js';
import { TooManySessionsError, UploadBusyError, UploadOffsetError } from '../../uploads/upload.errors.js';
import { type ErrorCase, Errors, KEY_INVALID, NAME_INVALID, STORAGE_FULL, thrownBy } from './errors.js';
import {
  Responds,
  Endpoint,
  IdempotencyKey,
  NameParam,
  RequestHeader,
  TextQuery,
  UploadIdParamDoc,
} from './parts.js';

const SESSION_HEADERS = {
  Location: 'Path of the session, with the offset that the next body starts at',
  Range: '`0-<last durable byte>`; `0-0` if there is none',
  'Upload-Offset': 'The number of durable bytes, which is where the next body starts',
  'Docker-Upload-UUID': 'Id of the session',
};

const BLOB_HEADERS = {
  Location: 'Path of the blob',
  'Docker-Content-Digest':
    'Digest of the blob: of several that were named, and for a tarsum, the sha256 digest',
};

/** A `+` that arrives as a space is read as `+`. */
const SEVERAL =
  'May be repeated: at most four digests or tarsums (`tarsum.v1%2Bsha256:…`), which must all match';

const Bytes = (required: boolean) =>
  applyDecorators(
    ApiConsumes('application/octet-stream'),
    ApiBody({ required, schema: { type: 'string', format: 'binary' } }),
  );

const ContentRange = () =>
  RequestHeader('Content-Range', '`first-last`, both inclusive, without a unit; must start at the offset');

const StatedOffset = () =>
  RequestHeader('Upload-Offset', 'Where the body starts. Must be the offset; nothing is compared');

const TAKEOVER = '`upload-takeover`: a request that holds the session has a second to release it';
const PROGRESS = '`upload-progress`: interim responses `104` with the durable `Upload-Offset`';

const Prefer = (...preferences: string[]) => RequestHeader('Prefer', preferences.join('; '));

const Offset = () =>
  TextQuery('offset', 'From the `Location`: where the body starts. A repeated body is not appended twice');

const UNKNOWN: ErrorCase = [
  new BlobUploadUnknownError(EXAMPLE_UPLOAD_ID),
  'no such session in this repository; it may have expired',
];
const BUSY: ErrorCase = [new UploadBusyError(15), 'another request writes to the session'];
const OFFSET: ErrorCase = [
  new UploadOffsetError(
    {
      repository: parseRepositoryName(EXAMPLE_REPOSITORY),
      id: parseUploadId(EXAMPLE_UPLOAD_ID),
      offsetBytes: 16_777_216,
    },
    'the Content-Range starts at byte 0',
  ),
  'the body does not start at the offset, which is in `Range` and `Location`',
];
const LENGTH: ErrorCase = [
  new SizeInvalidError('Content-Length and Content-Range say different lengths'),
  'the length of the body is not that of its range',
];
const RANGE: ErrorCase = [thrownBy(() => parseContentRange('bytes=0-99')), 'the range is malformed'];
const CODING: ErrorCase = [new ContentCodingError(), 'the body has a `Content-Encoding`'];
const STALLED: ErrorCase = [
  new BodyStalledError('BLOB_UPLOAD_INVALID', 60),
  'the body stalled or was too slow; received bytes are kept',
];
const OTHER_CONTENT = digestMismatch('upload', {
  expected: EXAMPLE_BLOB_DIGEST,
  received: EXAMPLE_MANIFEST_DIGEST,
  size: 16_777_216,
});

export const UploadStartDocs = () =>
  applyDecorators(
    Endpoint(
      'uploads',
      'startUpload',
      'Start an upload, mount a blob, or push a whole one',
      'end-4a, end-4b, end-11',
    ),
    NameParam(),
    TextQuery('digest', `With a body: pushes the whole blob in one request. ${SEVERAL}`),
    TextQuery('mount', 'Digest of a blob to mount; with `from` also a tarsum'),
    TextQuery('from', 'Repository to mount from; default: any that the client may pull from'),
    IdempotencyKey(),
    TextQuery('digest-algorithm', 'Algorithm of the final digest or tarsum, if not sha256'),
    Bytes(false),
    Responds(201, 'The blob was mounted or stored', BLOB_HEADERS),
    Responds(202, 'A session; a requested mount was not possible', SESSION_HEADERS),
    Errors(
      NAME_INVALID,
      [OTHER_CONTENT, 'the digest is malformed, or not that of the body'],
      KEY_INVALID,
      [STALLED[0], 'the body stalled or was too slow'],
      CODING,
      [new TooManySessionsError('repository_sessions', 10_000), 'as many uploads are open as may be'],
      STORAGE_FULL,
    ),
  );

export const UploadStatusDocs = () =>
  applyDecorators(
    Endpoint('uploads', 'getUploadStatus', 'Show the progress of an upload', 'end-13'),
    NameParam(),
    UploadIdParamDoc(),
    Responds(204, 'The durable bytes', SESSION_HEADERS),
    Errors(NAME_INVALID, UNKNOWN),
  );

export const UploadAppendDocs = () =>
  applyDecorators(
    Endpoint('uploads', 'appendToUpload', 'Append a chunk, or a stream of any length', 'end-5'),
    NameParam(),
    UploadIdParamDoc(),
    Offset(),
    ContentRange(),
    StatedOffset(),
    Prefer(PROGRESS, TAKEOVER),
    Bytes(true),
    Responds(202, 'All bytes are durable', SESSION_HEADERS),
    Errors(NAME_INVALID, LENGTH, RANGE, UNKNOWN, STALLED, CODING, OFFSET, BUSY, STORAGE_FULL),
  );

export const UploadCommitDocs = () =>
  applyDecorators(
    Endpoint('uploads', 'commitUpload', 'Complete an upload, optionally with a last chunk', 'end-6'),
    NameParam(),
    UploadIdParamDoc(),
    TextQuery('digest', `Digest of the content. ${SEVERAL}`, true),
    Offset(),
    ContentRange(),
    StatedOffset(),
    Prefer(PROGRESS, TAKEOVER),
    Bytes(false),
    Responds(201, 'The blob was stored. A retry returns the same', BLOB_HEADERS),
    Errors(
      NAME_INVALID,
      [OTHER_CONTENT, 'the content has another digest; the session keeps its bytes'],
      LENGTH,
      RANGE,
      UNKNOWN,
      STALLED,
      CODING,
      OFFSET,
      BUSY,
      STORAGE_FULL,
    ),
  );

export const UploadCancelDocs = () =>
  applyDecorators(
    Endpoint('uploads', 'abortUpload', 'Cancel an upload', 'end-14'),
    NameParam(),
    UploadIdParamDoc(),
    Prefer(TAKEOVER),
    Responds(204, 'Cancelled'),
    Errors(
      NAME_INVALID,
      [new BlobUploadInvalidError('the upload is being committed'), 'the upload is being committed'],
      UNKNOWN,
      BUSY,
    ),
  );
