import { parse as parseQuery } from 'node:querystring';
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Request } from 'express';
import type { AuthorizedRequest } from '../access/access.guard.js';
import { type Digest, parseDigest } from '../oci/digest.js';
import { BlobUploadInvalidError, DigestInvalidError, ParameterInvalidError } from '../oci/errors.js';
import { describeUndecodable } from '../oci/percent-encoding.js';
import type { RepositoryName } from '../oci/repository-name.js';
import { type BlobAlgorithm, type BlobDigest, parseBlobAlgorithm, parseBlobDigest } from '../oci/tarsum.js';
import { parseUploadId, type UploadId } from '../oci/upload-id.js';
import { WantedDigests } from '../uploads/wanted-digests.js';

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

/** The digest or the tarsum of a blob in the path. */
export const BlobDigestParam = createParamDecorator((_: unknown, context: ExecutionContext): BlobDigest =>
  parseBlobDigest(String(request(context).params.digest)),
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

/** Two algorithms of digests, and two of tarsums. */
const MAX_DIGESTS = 4;

/**
 * The digests in the query, undefined without any. The parameter may be repeated.
 *
 * @throws DigestInvalidError if one is malformed, or if there are too many.
 */
export function queryDigests({ query }: Pick<Request, 'query'>): WantedDigests | undefined {
  const texts = [query.digest ?? []].flat().map(String);
  if (texts.length > MAX_DIGESTS) throw new DigestInvalidError(`expected at most ${MAX_DIGESTS} digests`);
  return texts.length === 0 ? undefined : new WantedDigests(texts.map(parseBlobDigest));
}

/** The algorithm of the digest that the client will send. @throws DigestInvalidError */
export function queryAlgorithm(from: Pick<Request, 'query'>): BlobAlgorithm | undefined {
  const text = queryText(from, 'digest-algorithm');
  return text === undefined ? undefined : parseBlobAlgorithm(text);
}
