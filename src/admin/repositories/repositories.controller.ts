import { Get, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { OnRegistry } from '../../access/access.js';
import { parseRepositoryName, type RepositoryName } from '../../oci/repository-name.js';
import { AdminController } from '../admin-controller.js';
import { KeysetCursor } from '../paging/keyset-cursor.js';
import { toPage } from '../paging/page.js';
import { ApiRepositoryName, RepositoryNamePipe } from '../path-parameters.js';
import { ApiProblem } from '../problem.dto.js';
import { RepositoriesQuery, RepositoryDto, RepositoryPageDto } from './repository.dto.js';
import { RepositoryReader } from './repository.reader.js';

const CURSOR = new KeysetCursor('repositories', parseRepositoryName);

/** Repositories and what they hold. Comes after the controllers of what lies below a repository. */
@AdminController('repositories', 'repositories')
export class RepositoriesController {
  constructor(private readonly repositories: RepositoryReader) {}

  @Get()
  @OnRegistry('admin', 'read')
  @ApiOperation({ operationId: 'listRepositories', summary: 'Repositories, in the order of their names' })
  @ApiOkResponse({ type: RepositoryPageDto })
  @ApiProblem(400, 'A parameter is malformed')
  async list(@Query() { limit, cursor, q }: RepositoriesQuery): Promise<RepositoryPageDto> {
    const rows = await this.repositories.list(q ?? '', { after: CURSOR.decode(cursor), limit });
    return toPage(rows, limit, CURSOR, ({ name }) => name);
  }

  @Get('*name')
  @OnRegistry('admin', 'read')
  @ApiOperation({ operationId: 'getRepository', summary: 'One repository' })
  @ApiRepositoryName()
  @ApiOkResponse({ type: RepositoryDto })
  @ApiProblem(400, 'The name is malformed')
  @ApiProblem(404, 'There is no such repository')
  get(@Param('name', RepositoryNamePipe) name: RepositoryName): Promise<RepositoryDto> {
    return this.repositories.get(name);
  }
}
