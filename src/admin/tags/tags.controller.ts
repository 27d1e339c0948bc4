import { Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { OnAdminRepository } from '../../access/access.js';
import type { RepositoryName } from '../../oci/repository-name.js';
import { parseTag } from '../../oci/tag.js';
import { AdminController } from '../admin-controller.js';
import { SortedCursor } from '../paging/sorted-cursor.js';
import { ApiRepositoryName, NameParam } from '../path-parameters.js';
import { ApiMalformedParameter, ApiUnknownRepository } from '../problem.dto.js';
import { TagPageDto, TagsQueryDto } from './tag.dto.js';
import { TagsQuery } from './tags.query.js';

const CURSOR = new SortedCursor('tags', 'name', parseTag);

/** The tags of a repository. */
@AdminController('repositories', 'repositories')
export class TagsController {
  constructor(private readonly tags: TagsQuery) {}

  @Get('*name/tags')
  @OnAdminRepository('read')
  @ApiOperation({ operationId: 'listTags', summary: "List a repository's tags" })
  @ApiRepositoryName()
  @ApiOkResponse({ type: TagPageDto, description: 'A page of tags' })
  @ApiMalformedParameter()
  @ApiUnknownRepository()
  async list(
    @NameParam() name: RepositoryName,
    @Query() { limit, cursor, sort }: TagsQueryDto,
  ): Promise<TagPageDto> {
    const page = await this.tags.list(name, { sort, after: CURSOR.decode(sort, cursor), limit });
    return CURSOR.pageDto(page, sort, (tag) => tag.name);
  }
}
