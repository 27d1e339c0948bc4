import { Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { OnAdminRepository, OnRegistry } from '../../access/access.js';
import { parseRepositoryName, type RepositoryName } from '../../oci/repository-name.js';
import { AdminController } from '../admin-controller.js';
import { KeysetCursor } from '../paging/keyset-cursor.js';
import { ApiRepositoryName, NameParam } from '../path-parameters.js';
import { ApiMalformedName, ApiMalformedParameter, ApiUnknownRepository } from '../problem.dto.js';
import { RepositoriesQueryDto, RepositoryDto, RepositoryPageDto } from './repository.dto.js';
import { RepositoriesQuery } from './repositories.query.js';

const CURSOR = new KeysetCursor('repositories', parseRepositoryName);

/** Repositories with their counts. Registered after the controllers for paths below a repository. */
@AdminController('repositories', 'repositories')
export class RepositoriesController {
  constructor(private readonly repositories: RepositoriesQuery) {}

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
}
