import { Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { OnRegistry } from '../../access/access.js';
import type { RepositoryName } from '../../oci/repository-name.js';
import { parseTag } from '../../oci/tag.js';
import { AdminController } from '../admin-controller.js';
import { KeysetCursor } from '../paging/keyset-cursor.js';
import { PageQueryDto } from '../paging/page-query.dto.js';
import { ApiRepositoryName, NameParam } from '../path-parameters.js';
import { ApiMalformedParameter, ApiUnknownRepository } from '../problem.dto.js';
import { TagPageDto } from './tag.dto.js';
import { TagsQuery } from './tags.query.js';

const CURSOR = new KeysetCursor('tags', parseTag);

/** The tags of a repository. */
@AdminController('repositories', 'repositories')
export class TagsController {
  constructor(private readonly tags: TagsQuery) {}

  @Get('*name/tags')
  @OnRegistry('admin', 'read')
  @ApiOperation({ operationId: 'listTags', summary: "List a repository's tags, sorted by name" })
  @ApiRepositoryName()
  @ApiOkResponse({ type: TagPageDto })
  @ApiMalformedParameter()
  @ApiUnknownRepository()
  async list(
    @NameParam() name: RepositoryName,
    @Query() { limit, cursor }: PageQueryDto,
  ): Promise<TagPageDto> {
    const page = await this.tags.list(name, { after: CURSOR.decode(cursor), limit });
    return CURSOR.pageDto(page, (tag) => tag.name);
  }
}
