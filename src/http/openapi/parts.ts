import { applyDecorators } from '@nestjs/common';
import {
  ApiExtension,
  ApiHeader,
  ApiOperation,
  ApiParam,
  ApiQuery,
  ApiResponse,
  ApiTags,
} from '@nestjs/swagger';
import {
  EXAMPLE_BLOB_DIGEST,
  EXAMPLE_REPOSITORY,
  EXAMPLE_TAG,
  EXAMPLE_UPLOAD_ID,
} from '../../oci/examples.js';
import { COMMON_ERRORS, Errors } from './errors.js';

/**
 * `x-…` of an operation that HEAD has too; its value is the id of the HEAD operation. See
 * `distribution-document.ts`.
 */
export const HEAD_EXTENSION = 'x-berth-head';

export type DistributionTag = 'base' | 'blobs' | 'uploads' | 'manifests' | 'lists';

/**
 * Documents an endpoint. `summary` says what it does and begins with a verb; `ends` are the spec's names for
 * it.
 */
export const Endpoint = (
  tag: DistributionTag,
  operationId: string,
  summary: string,
  ends: string,
  explanation = '',
) =>
  applyDecorators(
    ApiTags(`Distribution: ${tag}`),
    ApiOperation({
      operationId,
      summary,
      description: `${explanation}\n\nDistribution spec: ${ends}`.trim(),
    }),
    Errors(...COMMON_ERRORS),
  );

/** The endpoint also has HEAD: like GET, without a body. */
export const AlsoHead = (operationId: string) => ApiExtension(HEAD_EXTENSION, operationId);

export const NameParam = () =>
  ApiParam({
    name: 'name',
    schema: { type: 'string', maxLength: 255, example: EXAMPLE_REPOSITORY },
    description: "The repository's name. Its slashes may be encoded as `%2F` or not",
  });

export const DigestParamDoc = (description: string) =>
  ApiParam({ name: 'digest', schema: { type: 'string', example: EXAMPLE_BLOB_DIGEST }, description });

export const UploadIdParamDoc = () =>
  ApiParam({
    name: 'uploadId',
    schema: { type: 'string', format: 'uuid', example: EXAMPLE_UPLOAD_ID },
    description: 'From the `Location` of the upload',
  });

export const ReferenceParam = () =>
  ApiParam({
    name: 'reference',
    schema: { type: 'string', example: EXAMPLE_TAG },
    description: 'A tag or a digest',
  });

export const TextQuery = (name: string, description: string, required = false) =>
  ApiQuery({ name, description, required, schema: { type: 'string' } });

export const PageQueries = (max: number) =>
  applyDecorators(
    ApiQuery({
      name: 'n',
      required: false,
      schema: { type: 'integer', minimum: 0 },
      description: `Maximum number of entries, up to ${max}`,
    }),
    TextQuery('last', 'Return entries after this one, which need not exist'),
  );

export const RequestHeader = (name: string, description: string) =>
  ApiHeader({ name, description, required: false, schema: { type: 'string' } });

/** Of requests that change names. */
export const IdempotencyKey = () =>
  RequestHeader(
    'Idempotency-Key',
    'A random text of 1 to 255 characters. A repeat of the same request with it, within an hour, gets the ' +
      'response of the first one and changes nothing',
  );

/** Response headers with their descriptions. */
export const headers = (descriptions: Record<string, string>) =>
  Object.fromEntries(
    Object.entries(descriptions).map(([name, description]) => [
      name,
      { description, schema: { type: 'string' as const } },
    ]),
  );

/** Documents a response without a body. */
export const Responds = (status: number, description: string, responseHeaders: Record<string, string> = {}) =>
  ApiResponse({ status, description, headers: headers(responseHeaders) });
