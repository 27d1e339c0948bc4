import { applyDecorators } from '@nestjs/common';
import { ApiOkResponse, ApiProperty, ApiResponse } from '@nestjs/swagger';
import { DigestParamDoc, Endpoint, Errors, headers, NameParam, PageQueries, TextQuery } from './parts.js';

class CatalogDto {
  @ApiProperty({ type: [String], example: ['library/busybox'] })
  repositories: string[];
}

class TagListDto {
  @ApiProperty({ example: 'library/busybox' })
  name: string;

  @ApiProperty({ type: [String], example: ['1.36', 'latest'] })
  tags: string[];
}

const LINK = { Link: '`<path of the next page>; rel="next"`, if there are more entries' };
const BAD_PAGE = 'UNSUPPORTED: n or last is malformed';

export const CatalogDocs = (max: number) =>
  applyDecorators(
    Endpoint('lists', 'getCatalog', 'Lists repositories, sorted by bytes', "Docker's `_catalog`"),
    PageQueries(max),
    ApiOkResponse({ description: 'Names', headers: headers(LINK), type: CatalogDto }),
    Errors({ 400: BAD_PAGE }),
  );

export const TagListDocs = (max: number) =>
  applyDecorators(
    Endpoint('lists', 'getTags', 'Lists the tags of a repository, sorted by bytes', 'end-8a, end-8b'),
    NameParam(),
    PageQueries(max),
    ApiOkResponse({ description: 'Names', headers: headers(LINK), type: TagListDto }),
    Errors({ 400: `NAME_INVALID; ${BAD_PAGE}`, 404: 'NAME_UNKNOWN' }),
  );

export const ReferrersDocs = (max: number) =>
  applyDecorators(
    Endpoint('lists', 'getReferrers', 'Lists manifests whose subject is this digest', 'end-12a, end-12b'),
    NameParam(),
    DigestParamDoc('Digest of the subject, which need not exist'),
    TextQuery('artifactType', 'Only referrers of this type'),
    PageQueries(max),
    ApiResponse({
      status: 200,
      description: 'An OCI index of the referrers; may be empty',
      headers: headers({ ...LINK, 'OCI-Filters-Applied': '`artifactType`, if the request has it' }),
      content: { 'application/vnd.oci.image.index.v1+json': { schema: { type: 'object' } } },
    }),
    Errors({ 400: `NAME_INVALID, DIGEST_INVALID; ${BAD_PAGE}` }),
  );
