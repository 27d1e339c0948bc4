import { Get, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { OnRegistry } from '../../access/access.js';
import type { RepositoryName } from '../../oci/repository-name.js';
import { parseTag } from '../../oci/tag.js';
import { AdminController } from '../admin-controller.js';
import { KeysetCursor } from '../paging/keyset-cursor.js';
import { toPage } from '../paging/page.js';
import { PageQuery } from '../paging/page.query.js';
import { ApiRepositoryName, RepositoryNamePipe } from '../path-parameters.js';
import { ApiProblem } from '../problem.dto.js';
import { TagPageDto } from './tag.dto.js';
import { TagReader } from './tag.reader.js';

const CURSOR = new KeysetCursor('tags', parseTag);

/** A repository's tags. */
@AdminController('repositories', 'repositories')
export class TagsController {
  constructor(private readonly tags: TagReader) {}

  @Get('*name/tags')
  @OnRegistry('admin', 'read')
  @ApiOperation({ operationId: 'listTags', summary: "A repository's tags, in the order of their names" })
  @ApiRepositoryName()
  @ApiOkResponse({ type: TagPageDto })
  @ApiProblem(400, 'A parameter is malformed')
  @ApiProblem(404, 'There is no such repository')
  async list(
    @Param('name', RepositoryNamePipe) name: RepositoryName,
    @Query() { limit, cursor }: PageQuery,
  ): Promise<TagPageDto> {
    const rows = await this.tags.list(name, { after: CURSOR.decode(cursor), limit });
    return toPage(rows, limit, CURSOR, (tag) => tag.name);
  }
}
