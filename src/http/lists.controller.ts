import { Controller, Get, Req, Res } from '@nestjs/common';
import type { Request, Response } from 'express';
import { OnRegistry, OnRepository } from '../access/access.js';
import type { AuthorizedRequest } from '../access/access.guard.js';
import { AccessService } from '../access/access.service.js';
import type { PageRequest } from '../database/page.js';
import { ListingService, type Referrer } from '../manifests/listing.service.js';
import { CatalogueService } from '../repositories/catalogue.service.js';
import type { Digest } from '../oci/digest.js';
import { OCI_INDEX } from '../oci/media-types.js';
import { nextLink, parseArtifactTypeFilter, parsePageMarker, parsePageSize } from '../oci/page.js';
import type { RepositoryName } from '../oci/repository-name.js';
import { CatalogDocs, ReferrersDocs, TagListDocs } from './openapi/lists.docs.js';
import { DigestParam, queryDecodedText, Repository } from './parameters.js';
import { sendBytes, sendJson } from './responses.js';

/**
 * The page size without `n`, and the maximum. It is large because some clients ignore `Link`.
 */
export const MAX_LIST_PAGE = 100_000;
/** Smaller, because referrers have annotations. */
export const MAX_REFERRERS_PAGE = 1_000;

/**
 * Tags, repositories and referrers (spec.md, "Content Discovery": end-8a, end-8b, end-12; `_catalog` is
 * Docker's).
 */
@Controller('v2')
export class ListsController {
  constructor(
    private readonly lists: ListingService,
    private readonly catalogue: CatalogueService,
    private readonly access: AccessService,
  ) {}

  @Get('_catalog')
  @OnRegistry('catalog', 'read')
  @CatalogDocs(MAX_LIST_PAGE)
  async catalog(@Req() request: AuthorizedRequest, @Res() response: Response): Promise<void> {
    const page = pageOf(request, MAX_LIST_PAGE);
    const { items, more } = await this.catalogue.names(this.access.pullableNames(request.caller), page);
    sendJson(response, { repositories: items }, linkAfter('/v2/_catalog', page, items.at(-1), more));
  }

  @Get('*name/tags/list')
  @OnRepository('pull')
  @TagListDocs(MAX_LIST_PAGE)
  async tags(
    @Repository() name: RepositoryName,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    const page = pageOf(request, MAX_LIST_PAGE);
    const { items, more } = await this.lists.tags(name, page);
    sendJson(response, { name, tags: items }, linkAfter(`/v2/${name}/tags/list`, page, items.at(-1), more));
  }

  @Get('*name/referrers/:digest')
  @OnRepository('pull')
  @ReferrersDocs(MAX_REFERRERS_PAGE)
  async referrers(
    @Repository() name: RepositoryName,
    @DigestParam() digest: Digest,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    const artifactType = parseArtifactTypeFilter(queryDecodedText(request, 'artifactType'));
    const page = pageOf(request, MAX_REFERRERS_PAGE);
    const { items, more } = await this.lists.referrers(name, digest, artifactType, page);
    const filters = artifactType === undefined ? undefined : { artifactType };
    const manifests = items.map(toDescriptor).join(',');
    const index = `{"schemaVersion":2,"mediaType":"${OCI_INDEX}","manifests":[${manifests}]}`;
    const headers = linkAfter(`/v2/${name}/referrers/${digest}`, page, items.at(-1)?.digest, more, filters);
    if (filters !== undefined) headers['OCI-Filters-Applied'] = 'artifactType';
    sendBytes(response, 200, Buffer.from(index), { ...headers, 'Content-Type': OCI_INDEX });
  }
}

function pageOf(request: Request, max: number): PageRequest {
  return {
    after: parsePageMarker(queryDecodedText(request, 'last')),
    limit: parsePageSize(queryDecodedText(request, 'n'), max) ?? max,
  };
}

function linkAfter(
  path: string,
  { limit }: PageRequest,
  last: string | undefined,
  more: boolean,
  filters?: Record<string, string>,
): Record<string, string> {
  return more && last !== undefined ? { Link: nextLink(path, limit, last, filters) } : {};
}

/** Returns JSON text, because the annotations are stored as JSON text. */
function toDescriptor({ mediaType, digest, size, artifactType, annotations }: Referrer): string {
  const descriptor = { mediaType, digest, size, ...(artifactType !== null && { artifactType }) };
  const fields = JSON.stringify(descriptor).slice(1, -1);
  return annotations === null ? `{${fields}}` : `{${fields},"annotations":${annotations}}`;
}
