import { applyDecorators } from '@nestjs/common';
import { ApiOkResponse, ApiProperty, ApiResponse } from '@nestjs/swagger';
import { NameUnknownError } from '../../oci/errors.js';
import { EXAMPLE_MANIFEST_DIGEST, EXAMPLE_REPOSITORY } from '../../oci/examples.js';
import { OCI_INDEX, OCI_MANIFEST } from '../../oci/media-types.js';
import { parsePageSize } from '../../oci/page.js';
import { DIGEST_INVALID, type ErrorCase, Errors, NAME_INVALID, thrownBy } from './errors.js';
import { DigestParamDoc, Endpoint, headers, NameParam, PageQueries, TextQuery } from './parts.js';

class CatalogDto {
  @ApiProperty({ type: [String], example: [EXAMPLE_REPOSITORY] })
  repositories: string[];
}

class TagListDto {
  @ApiProperty({ example: EXAMPLE_REPOSITORY })
  name: string;

  @ApiProperty({ type: [String], example: ['1.0', 'latest'] })
  tags: string[];
}

const LINK = { Link: '`<path of the next page>; rel="next"`, if there are more entries' };
const BAD_PAGE: ErrorCase = [thrownBy(() => parsePageSize('-1', 1)), 'n or last is malformed'];

const REFERRERS = {
  schemaVersion: 2,
  mediaType: OCI_INDEX,
  manifests: [
    {
      mediaType: OCI_MANIFEST,
      digest: EXAMPLE_MANIFEST_DIGEST,
      size: 512,
      artifactType: 'application/spdx+json',
      annotations: { 'org.opencontainers.image.created': '2026-01-31T12:00:00Z' },
    },
  ],
};

export const CatalogDocs = (max: number) =>
  applyDecorators(
    Endpoint('lists', 'getCatalog', 'List repositories', "Docker's `_catalog`", 'In the order of bytes.'),
    PageQueries(max),
    ApiOkResponse({ description: 'Names', headers: headers(LINK), type: CatalogDto }),
    Errors(BAD_PAGE),
  );

export const TagListDocs = (max: number) =>
  applyDecorators(
    Endpoint('lists', 'getTags', 'List the tags of a repository', 'end-8a, end-8b', 'In the order of bytes.'),
    NameParam(),
    PageQueries(max),
    ApiOkResponse({ description: 'Names', headers: headers(LINK), type: TagListDto }),
    Errors(NAME_INVALID, BAD_PAGE, [new NameUnknownError(EXAMPLE_REPOSITORY), 'no such repository']),
  );

export const ReferrersDocs = (max: number) =>
  applyDecorators(
    Endpoint(
      'lists',
      'getReferrers',
      'List the referrers of a manifest',
      'end-12a, end-12b',
      'Manifests whose `subject` is the digest.',
    ),
    NameParam(),
    DigestParamDoc('Digest of the subject, which need not exist'),
    TextQuery('artifactType', 'Only referrers of this type'),
    PageQueries(max),
    ApiResponse({
      status: 200,
      description: 'An OCI index of the referrers; may be empty',
      headers: headers({ ...LINK, 'OCI-Filters-Applied': '`artifactType`, if the request has it' }),
      content: { [OCI_INDEX]: { schema: { type: 'object' }, example: REFERRERS } },
    }),
    Errors(NAME_INVALID, DIGEST_INVALID, BAD_PAGE),
  );
