import { applyDecorators } from '@nestjs/common';
import { ApiBody, ApiConsumes } from '@nestjs/swagger';
import { Answer, Endpoint, Fails, NameParam, RequestHeader, TextQuery, UploadIdParamDoc } from './parts.js';

const SESSION_HEADERS = {
  Location: 'The session, as a path',
  Range: '`0-<last durable byte>`; `0-0` where there is none',
  'Docker-Upload-UUID': "The session's id",
};

const BLOB_HEADERS = {
  Location: 'The blob, as a path',
  'Docker-Content-Digest': 'The digest, in the algorithm that was asked for',
};

const Bytes = (required: boolean) =>
  applyDecorators(
    ApiConsumes('application/octet-stream'),
    ApiBody({ required, schema: { type: 'string', format: 'binary' } }),
  );

const ContentRange = () =>
  RequestHeader('Content-Range', '`first-last`, both inclusive, without a unit; must begin at the offset');

const UNKNOWN = 'BLOB_UPLOAD_UNKNOWN: no such session in this repository';
const BUSY = 'TOOMANYREQUESTS: another request holds the session';

export const UploadStartDocs = () =>
  applyDecorators(
    Endpoint(
      'uploads',
      'startUpload',
      'Begins an upload; or mounts, or pushes a whole blob',
      'end-4a, end-4b, end-11',
    ),
    NameParam(),
    TextQuery('digest', 'With a body: the whole blob in one request'),
    TextQuery('mount', 'Digest of a blob that the registry may have already'),
    TextQuery('from', 'The repository to mount from; any that may be read, where it is left out'),
    TextQuery('digest-algorithm', 'Algorithm of the digest that the upload will end with, if not sha256'),
    Bytes(false),
    Answer(201, 'The blob is there: mounted or pushed', BLOB_HEADERS),
    Answer(202, 'A session; where a mount was asked for, it could not be done', SESSION_HEADERS),
    Fails({
      400: 'NAME_INVALID, DIGEST_INVALID, SIZE_INVALID',
      408: 'BLOB_UPLOAD_INVALID: the body moved no byte for too long',
    }),
  );

export const UploadStatusDocs = () =>
  applyDecorators(
    Endpoint('uploads', 'getUploadStatus', 'How far an upload has come', 'end-13'),
    NameParam(),
    UploadIdParamDoc(),
    Answer(204, 'What is durable', SESSION_HEADERS),
    Fails({ 400: 'NAME_INVALID', 404: UNKNOWN }),
  );

export const UploadAppendDocs = () =>
  applyDecorators(
    Endpoint('uploads', 'appendToUpload', 'Appends a chunk, or a stream of any length', 'end-5'),
    NameParam(),
    UploadIdParamDoc(),
    ContentRange(),
    Bytes(true),
    Answer(202, 'All of it is durable', SESSION_HEADERS),
    Fails({
      400: 'NAME_INVALID, SIZE_INVALID, BLOB_UPLOAD_INVALID',
      404: UNKNOWN,
      408: 'BLOB_UPLOAD_INVALID: the body moved no byte for too long; what arrived is kept',
      416: 'BLOB_UPLOAD_INVALID: the chunk begins elsewhere than at the offset, which Range tells',
      429: BUSY,
    }),
  );

export const UploadCommitDocs = () =>
  applyDecorators(
    Endpoint('uploads', 'commitUpload', 'Ends an upload, with a last chunk or without', 'end-6'),
    NameParam(),
    UploadIdParamDoc(),
    TextQuery('digest', 'What the content is', true),
    ContentRange(),
    Bytes(false),
    Answer(201, 'The blob is there. Repeated after a lost answer, it is so again', BLOB_HEADERS),
    Fails({
      400: 'NAME_INVALID, SIZE_INVALID; DIGEST_INVALID: the content is another, and the session keeps its bytes',
      404: UNKNOWN,
      416: 'BLOB_UPLOAD_INVALID: the chunk begins elsewhere than at the offset, which Range tells',
      429: BUSY,
    }),
  );

export const UploadCancelDocs = () =>
  applyDecorators(
    Endpoint('uploads', 'abortUpload', 'Cancels an upload', 'end-14'),
    NameParam(),
    UploadIdParamDoc(),
    Answer(204, 'It is cancelled, its bytes forgotten'),
    Fails({ 400: 'NAME_INVALID, BLOB_UPLOAD_INVALID', 404: UNKNOWN, 429: BUSY }),
  );
