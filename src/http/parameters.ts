import { parse as parseQuery } from 'node:querystring';
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Request } from 'express';
import type { AuthorizedRequest } from '../access/access.guard.js';
import { type Digest, parseDigest } from '../oci/digest.js';
import { BlobUploadInvalidError, DigestInvalidError, ParameterInvalidError } from '../oci/errors.js';
import { describeUndecodable } from '../oci/percent-encoding.js';
import type { RepositoryName } from '../oci/repository-name.js';
import { parseUploadId, type UploadId } from '../oci/upload-id.js';

const request = (context: ExecutionContext) => context.switchToHttp().getRequest<AuthorizedRequest>();

/** The repository in the path, as the guard parsed it. */
export const Repository = createParamDecorator((_: unknown, context: ExecutionContext): RepositoryName => {
  const { repository } = request(context);
  if (repository === undefined) throw new Error('the handler has no repository in its path');
  return repository;
});

/** The digest in the path. */
export const DigestParam = createParamDecorator((_: unknown, context: ExecutionContext): Digest =>
  parseDigest(String(request(context).params.digest)),
);

/** The upload session's id in the path. */
export const UploadIdParam = createParamDecorator((_: unknown, context: ExecutionContext): UploadId => {
  const [id = '', ...appended] = String(request(context).params.uploadId).split('&');
  const uploadId = parseUploadId(id);
  if (appended.length === 0) return uploadId;
  throw new BlobUploadInvalidError('a query parameter follows the path of the upload with &; expected ?');
});

/** A query parameter that may occur once. @throws ParameterInvalidError if it is repeated. */
export function queryText({ query }: Pick<Request, 'query'>, name: string): string | undefined {
  const value = query[name];
  if (value === undefined || typeof value === 'string') return value;
  throw new ParameterInvalidError(`query parameter ${name} is repeated`);
}

/**
 * A query parameter that accepts any text and may occur once.
 *
 * @throws ParameterInvalidError if it is repeated, or cannot be decoded: Node would return it as it is.
 */
export function queryDecodedText(from: Request, name: string): string | undefined {
  const text = queryText(from, name);
  const [, query = ''] = /\?(.*)/s.exec(from.originalUrl) ?? [];
  if (text === undefined || !query.includes('%')) return text;
  const encoded = parseQuery(query, undefined, undefined, { maxKeys: 0, decodeURIComponent: (raw) => raw });
  const description = describeUndecodable(String(encoded[name] ?? ''));
  if (description !== undefined) throw new ParameterInvalidError(`invalid ${name}: ${description}`);
  return text;
}

/** A query parameter that may be repeated. */
export function queryTexts({ query }: Request, name: string): string[] {
  const value = query[name];
  return [value ?? []].flat().map(String);
}

/** The digest in the query. @throws DigestInvalidError if it is missing or malformed. */
export function queryDigest(from: Pick<Request, 'query'>, name: string): Digest {
  const text = queryText(from, name);
  if (text === undefined) throw new DigestInvalidError(`query parameter ${name} is missing`);
  return parseDigest(text);
}
