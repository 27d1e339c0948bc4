import { Get, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam } from '@nestjs/swagger';
import { OnAdminRepository } from '../../access/access.js';
import { parseDigest } from '../../oci/digest.js';
import { ERROR_CODES } from '../../oci/error-codes.js';
import { EXAMPLE_MANIFEST_DIGEST } from '../../oci/examples.js';
import type { RepositoryName } from '../../oci/repository-name.js';
import { AdminController } from '../admin-controller.js';
import { SortedCursor } from '../paging/sorted-cursor.js';
import { ApiRepositoryName, NameParam } from '../path-parameters.js';
import { ApiMalformedParameter, ApiProblem, ApiUnknownRepository } from '../problem.dto.js';
import { RepositoriesQuery } from '../repositories/repositories.query.js';
import type { RepositoryDto } from '../repositories/repository.dto.js';
import { ManifestDetailsDto, ManifestPageDto, ManifestsQueryDto } from './manifest.dto.js';
import { ManifestsQuery } from './manifests.query.js';

const CURSOR = new SortedCursor('manifests', 'digest', parseDigest);

/** The manifests of a repository, with their references. */
@AdminController('repositories', 'repositories')
export class AdminManifestsController {
  constructor(
    private readonly manifests: ManifestsQuery,
    private readonly repositories: RepositoriesQuery,
  ) {}

  @Get('*name/manifests')
  @OnAdminRepository('read')
  @ApiOperation({
    operationId: 'listManifests',
    summary: "List a repository's manifests",
  })
  @ApiRepositoryName()
  @ApiOkResponse({ type: ManifestPageDto, description: 'A page of manifests' })
  @ApiMalformedParameter()
  @ApiUnknownRepository()
  async list(
    @NameParam() name: RepositoryName,
    @Query() { limit, cursor, sort }: ManifestsQueryDto,
  ): Promise<ManifestPageDto> {
    const page = await this.manifests.list(name, { sort, after: CURSOR.decode(sort, cursor), limit });
    return CURSOR.pageDto(page, sort, ({ digest }) => digest);
  }

  @Get('*name/manifests/:digest')
  @OnAdminRepository('read')
  @ApiOperation({ operationId: 'describeManifest', summary: 'Show one manifest with its references' })
  @ApiRepositoryName()
  @ApiParam({
    name: 'digest',
    schema: { type: 'string', example: EXAMPLE_MANIFEST_DIGEST },
    description: 'The digest. A tag is not accepted',
  })
  @ApiOkResponse({ type: ManifestDetailsDto, description: 'The manifest' })
  @ApiProblem(400, 'A parameter is malformed', 'expected sha256: and 64 lower-case hex digits')
  @ApiProblem(404, 'The repository or the manifest does not exist', ERROR_CODES.MANIFEST_UNKNOWN)
  get(
    @NameParam() name: RepositoryName,
    @Param('digest') text: string,
  ): Promise<ManifestDetailsDto | RepositoryDto> {
    // Only digests have a colon. Without one, the whole path is the name of a repository: the guard knows it.
    if (!text.includes(':')) return this.repositories.get(name);
    return this.manifests.get(name, parseDigest(text));
  }
}
