import { applyDecorators } from '@nestjs/common';
import { ApiOkResponse, ApiProperty, ApiResponse } from '@nestjs/swagger';
import { DigestParamDoc, Endpoint, Fails, headers, NameParam, PageQueries, TextQuery } from './parts.js';

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

const LINK = { Link: '`<path of the next page>; rel="next"`, where there is one' };
const BAD_PAGE = 'UNSUPPORTED: n or last is malformed';

export const CatalogDocs = (max: number) =>
  applyDecorators(
    Endpoint('lists', 'getCatalog', 'Repositories, in the order of bytes', "Docker's `_catalog`"),
    PageQueries(max),
    ApiOkResponse({ description: 'Their names', headers: headers(LINK), type: CatalogDto }),
    Fails({ 400: BAD_PAGE }),
  );

export const TagListDocs = (max: number) =>
  applyDecorators(
    Endpoint('lists', 'getTags', "A repository's tags, in the order of bytes", 'end-8a, end-8b'),
    NameParam(),
    PageQueries(max),
    ApiOkResponse({ description: 'Their names', headers: headers(LINK), type: TagListDto }),
    Fails({ 400: `NAME_INVALID; ${BAD_PAGE}`, 404: 'NAME_UNKNOWN' }),
  );

export const ReferrersDocs = (max: number) =>
  applyDecorators(
    Endpoint('lists', 'getReferrers', 'Manifests whose subject is this digest', 'end-12a, end-12b'),
    NameParam(),
    DigestParamDoc('Of the subject, which need not exist'),
    TextQuery('artifactType', 'Only those of this type'),
    PageQueries(max),
    ApiResponse({
      status: 200,
      description: 'An OCI index of them; empty where there are none',
      headers: headers({ ...LINK, 'OCI-Filters-Applied': '`artifactType`, where it was asked for' }),
      content: { 'application/vnd.oci.image.index.v1+json': { schema: { type: 'object' } } },
    }),
    Fails({ 400: `NAME_INVALID, DIGEST_INVALID; ${BAD_PAGE}` }),
  );
