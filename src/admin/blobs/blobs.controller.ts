import { Get, Param } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam } from '@nestjs/swagger';
import { OnAdminRepository } from '../../access/access.js';
import { BlobService } from '../../blobs/blob.service.js';
import { ERROR_CODES } from '../../oci/error-codes.js';
import { EXAMPLE_BLOB_DIGEST } from '../../oci/examples.js';
import type { RepositoryName } from '../../oci/repository-name.js';
import { parseBlobDigest } from '../../oci/tarsum.js';
import { AdminController } from '../admin-controller.js';
import { ApiRepositoryName, NameParam } from '../path-parameters.js';
import { ApiProblem } from '../problem.dto.js';
import { RepositoriesQuery } from '../repositories/repositories.query.js';
import type { RepositoryDto } from '../repositories/repository.dto.js';
import { BlobDto } from './blob.dto.js';
import { BlobsQuery } from './blobs.query.js';

/** The blobs of a repository. */
@AdminController('repositories', 'repositories')
export class AdminBlobsController {
  constructor(
    private readonly blobs: BlobsQuery,
    private readonly service: BlobService,
    private readonly repositories: RepositoriesQuery,
  ) {}

  @Get('*name/blobs/:digest')
  @OnAdminRepository('read')
  @ApiOperation({ operationId: 'getRepositoryBlob', summary: 'Show one blob of a repository' })
  @ApiRepositoryName()
  @ApiParam({
    name: 'digest',
    schema: { type: 'string', example: EXAMPLE_BLOB_DIGEST },
    description: 'A digest, or a tarsum: of several blobs, the one that the repository has had longest',
  })
  @ApiOkResponse({ type: BlobDto, description: 'The blob' })
  @ApiProblem(400, 'A parameter is malformed', 'expected sha256: and 64 lower-case hex digits')
  @ApiProblem(404, 'The repository or the blob does not exist', ERROR_CODES.BLOB_UNKNOWN)
  async get(
    @NameParam() name: RepositoryName,
    @Param('digest') text: string,
  ): Promise<BlobDto | RepositoryDto> {
    // Only digests have a colon. Without one, the whole path is the name of a repository: the guard knows it.
    if (!text.includes(':')) return this.repositories.get(name);
    const named = parseBlobDigest(text);
    const repositoryId = await this.repositories.idOf(name);
    return this.blobs.get(repositoryId, await this.service.resolve(name, named));
  }
}
