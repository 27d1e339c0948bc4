import { Get, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam } from '@nestjs/swagger';
import { OnRegistry } from '../../access/access.js';
import { type Digest, parseDigest } from '../../oci/digest.js';
import type { RepositoryName } from '../../oci/repository-name.js';
import { AdminController } from '../admin-controller.js';
import { KeysetCursor } from '../paging/keyset-cursor.js';
import { PageQueryDto } from '../paging/page-query.dto.js';
import { ApiRepositoryName, DigestPipe, NameParam } from '../path-parameters.js';
import { ApiProblem } from '../problem.dto.js';
import { ManifestDetailsDto, ManifestPageDto } from './manifest.dto.js';
import { ManifestsQuery } from './manifests.query.js';

const CURSOR = new KeysetCursor('manifests', parseDigest);

/** The manifests of a repository, with their references. */
@AdminController('repositories', 'repositories')
export class AdminManifestsController {
  constructor(private readonly manifests: ManifestsQuery) {}

  @Get('*name/manifests')
  @OnRegistry('admin', 'read')
  @ApiOperation({
    operationId: 'listManifests',
    summary: "A repository's manifests, sorted by digest",
  })
  @ApiRepositoryName()
  @ApiOkResponse({ type: ManifestPageDto })
  @ApiProblem(400, 'A parameter is malformed')
  @ApiProblem(404, 'The repository does not exist')
  async list(
    @NameParam() name: RepositoryName,
    @Query() { limit, cursor }: PageQueryDto,
  ): Promise<ManifestPageDto> {
    const page = await this.manifests.list(name, { after: CURSOR.decode(cursor), limit });
    return CURSOR.pageDto(page, ({ digest }) => digest);
  }

  @Get('*name/manifests/:digest')
  @OnRegistry('admin', 'read')
  @ApiOperation({ operationId: 'describeManifest', summary: 'One manifest with its references' })
  @ApiRepositoryName()
  @ApiParam({ name: 'digest', schema: { type: 'string' }, description: 'The digest. A tag is not accepted' })
  @ApiOkResponse({ type: ManifestDetailsDto })
  @ApiProblem(400, 'A parameter is malformed')
  @ApiProblem(404, 'The repository or the manifest does not exist')
  get(
    @NameParam() name: RepositoryName,
    @Param('digest', DigestPipe) digest: Digest,
  ): Promise<ManifestDetailsDto> {
    return this.manifests.get(name, digest);
  }
}
