import { Delete, Get, HttpCode, HttpStatus, Query, Req } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import type { AuthorizedRequest } from '../../access/access.guard.js';
import { OnAdminRepository, OnRegistry } from '../../access/access.js';
import { originOf } from '../../access/request-origin.js';
import { DeletionService } from '../../deletions/deletion.service.js';
import { parseRepositoryName, type RepositoryName } from '../../oci/repository-name.js';
import { AdminController } from '../admin-controller.js';
import { DeletionDetailDto } from '../deletions/deletion.dto.js';
import { DeletionsQuery } from '../deletions/deletions.query.js';
import { KeysetCursor } from '../paging/keyset-cursor.js';
import { ApiRepositoryName, NameParam } from '../path-parameters.js';
import { ApiMalformedName, ApiMalformedParameter, ApiUnknownRepository } from '../problem.dto.js';
import { RepositoriesQueryDto, RepositoryDto, RepositoryPageDto } from './repository.dto.js';
import { RepositoriesQuery } from './repositories.query.js';

const CURSOR = new KeysetCursor('repositories', parseRepositoryName);

/** Repositories with their counts. Registered after the controllers for paths below a repository. */
@AdminController('repositories', 'repositories')
export class RepositoriesController {
  constructor(
    private readonly repositories: RepositoriesQuery,
    private readonly deletions: DeletionService,
    private readonly deletionReader: DeletionsQuery,
  ) {}

  @Get()
  @OnRegistry('admin', 'read')
  @ApiOperation({ operationId: 'listRepositories', summary: 'List repositories, sorted by name' })
  @ApiOkResponse({ type: RepositoryPageDto, description: 'A page of repositories' })
  @ApiMalformedParameter()
  async list(@Query() { limit, cursor, q }: RepositoriesQueryDto): Promise<RepositoryPageDto> {
    const page = await this.repositories.list(q ?? '', { after: CURSOR.decode(cursor), limit });
    return CURSOR.pageDto(page, ({ name }) => name);
  }

  @Get('*name')
  @OnAdminRepository('read')
  @ApiOperation({ operationId: 'getRepository', summary: 'Show one repository' })
  @ApiRepositoryName()
  @ApiOkResponse({ type: RepositoryDto, description: 'The repository' })
  @ApiMalformedName()
  @ApiUnknownRepository()
  get(@NameParam() name: RepositoryName): Promise<RepositoryDto> {
    return this.repositories.get(name);
  }

  @Delete('*name')
  @OnAdminRepository('write')
  @HttpCode(HttpStatus.OK)
  @ApiOperation({
    operationId: 'deleteRepository',
    summary: 'Delete a repository with all that it has',
    description:
      'At once, whatever its size: its name is free, and no client finds its content. It can be restored ' +
      'for `GC_UNDELETE_SECONDS` (`POST /api/v1/deletions/{id}/restore`). Its bytes are deleted after ' +
      'that, and after `GC_GRACE_SECONDS` and `GC_READ_WINDOW_SECONDS`.',
  })
  @ApiRepositoryName()
  @ApiOkResponse({ type: DeletionDetailDto, description: 'The deletion, whose id can restore it' })
  @ApiMalformedName()
  @ApiUnknownRepository()
  async delete(
    @NameParam() name: RepositoryName,
    @Req() request: AuthorizedRequest,
  ): Promise<DeletionDetailDto> {
    return this.deletionReader.get(await this.deletions.deleteRepository(name, originOf(request)));
  }
}
