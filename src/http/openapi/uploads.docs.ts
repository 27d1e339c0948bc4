import { applyDecorators } from '@nestjs/common';
import { ApiBody, ApiConsumes } from '@nestjs/swagger';
import {
  Responds,
  Endpoint,
  Errors,
  NameParam,
  RequestHeader,
  TextQuery,
  UploadIdParamDoc,
} from './parts.js';

const SESSION_HEADERS = {
  Location: 'Path of the session',
  Range: '`0-<last durable byte>`; `0-0` if there is none',
  'Docker-Upload-UUID': 'Id of the session',
};

const BLOB_HEADERS = {
  Location: 'Path of the blob',
  'Docker-Content-Digest': 'Digest of the blob, with the requested algorithm',
};

const Bytes = (required: boolean) =>
  applyDecorators(
    ApiConsumes('application/octet-stream'),
    ApiBody({ required, schema: { type: 'string', format: 'binary' } }),
  );

const ContentRange = () =>
  RequestHeader('Content-Range', '`first-last`, both inclusive, without a unit; must start at the offset');

const UNKNOWN = 'BLOB_UPLOAD_UNKNOWN: no such session in this repository';
const BUSY = 'TOOMANYREQUESTS: another request writes to the session';

export const UploadStartDocs = () =>
  applyDecorators(
    Endpoint(
      'uploads',
      'startUpload',
      'Starts an upload, mounts a blob, or pushes a whole blob',
      'end-4a, end-4b, end-11',
    ),
    NameParam(),
    TextQuery('digest', 'With a body: pushes the whole blob in one request'),
    TextQuery('mount', 'Digest of a blob to mount'),
    TextQuery('from', 'Repository to mount from; default: any that the client may pull from'),
    TextQuery('digest-algorithm', 'Algorithm of the final digest, if not sha256'),
    Bytes(false),
    Responds(201, 'The blob was mounted or stored', BLOB_HEADERS),
    Responds(202, 'A session; a requested mount was not possible', SESSION_HEADERS),
    Errors({
      400: 'NAME_INVALID, DIGEST_INVALID, SIZE_INVALID',
      408: 'BLOB_UPLOAD_INVALID: the body stalled or was too slow',
    }),
  );

export const UploadStatusDocs = () =>
  applyDecorators(
    Endpoint('uploads', 'getUploadStatus', 'Returns the progress of an upload', 'end-13'),
    NameParam(),
    UploadIdParamDoc(),
    Responds(204, 'The durable bytes', SESSION_HEADERS),
    Errors({ 400: 'NAME_INVALID', 404: UNKNOWN }),
  );

export const UploadAppendDocs = () =>
  applyDecorators(
    Endpoint('uploads', 'appendToUpload', 'Appends a chunk, or a stream of any length', 'end-5'),
    NameParam(),
    UploadIdParamDoc(),
    ContentRange(),
    Bytes(true),
    Responds(202, 'All bytes are durable', SESSION_HEADERS),
    Errors({
      400: 'NAME_INVALID, SIZE_INVALID, BLOB_UPLOAD_INVALID',
      404: UNKNOWN,
      408: 'BLOB_UPLOAD_INVALID: the body stalled or was too slow; received bytes are kept',
      416: 'BLOB_UPLOAD_INVALID: the chunk does not start at the offset, which is in Range',
      429: BUSY,
    }),
  );

export const UploadCommitDocs = () =>
  applyDecorators(
    Endpoint('uploads', 'commitUpload', 'Completes an upload, optionally with a last chunk', 'end-6'),
    NameParam(),
    UploadIdParamDoc(),
    TextQuery('digest', 'Digest of the content', true),
    ContentRange(),
    Bytes(false),
    Responds(201, 'The blob was stored. A retry returns the same', BLOB_HEADERS),
    Errors({
      400: 'NAME_INVALID, SIZE_INVALID; DIGEST_INVALID: other content; the session keeps its bytes',
      404: UNKNOWN,
      416: 'BLOB_UPLOAD_INVALID: the chunk does not start at the offset, which is in Range',
      429: BUSY,
    }),
  );

export const UploadCancelDocs = () =>
  applyDecorators(
    Endpoint('uploads', 'abortUpload', 'Cancels an upload', 'end-14'),
    NameParam(),
    UploadIdParamDoc(),
    Responds(204, 'Cancelled'),
    Errors({ 400: 'NAME_INVALID, BLOB_UPLOAD_INVALID', 404: UNKNOWN, 429: BUSY }),
  );
