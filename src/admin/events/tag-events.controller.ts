import { Get, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam } from '@nestjs/swagger';
import { OnAdminRepository } from '../../access/access.js';
import { EXAMPLE_TAG } from '../../oci/examples.js';
import type { RepositoryName } from '../../oci/repository-name.js';
import type { Tag } from '../../oci/tag.js';
import { AdminController } from '../admin-controller.js';
import { ApiRepositoryName, NameParam, TagPipe } from '../path-parameters.js';
import { ApiMalformedParameter, ApiUnknownRepository } from '../problem.dto.js';
import { EventCursor } from './event-cursor.js';
import { TagEventPageDto } from './event.dto.js';
import { EventsQueryDto } from './events-query.dto.js';
import { TagEventsQuery } from './tag-events.query.js';

const OF_TAG = new EventCursor('tag-events');
const OF_REPOSITORY = new EventCursor('repository-events');

/** The history of tags. */
@AdminController('repositories', 'repositories')
export class TagEventsController {
  constructor(private readonly events: TagEventsQuery) {}

  @Get('*name/tags/:tag/events')
  @OnAdminRepository('read')
  @ApiOperation({
    operationId: 'listTagEvents',
    summary: "Show a tag's history, newest first",
    description:
      'When the tag was set, moved and deleted, by whom, and what it pointed at. The history of a deleted ' +
      'tag is kept. A tag that never existed has none.',
  })
  @ApiRepositoryName()
  @ApiParam({ name: 'tag', schema: { type: 'string', maxLength: 128, example: EXAMPLE_TAG } })
  @ApiOkResponse({ type: TagEventPageDto, description: 'A page of events' })
  @ApiMalformedParameter()
  @ApiUnknownRepository()
  async ofTag(
    @NameParam() name: RepositoryName,
    @Param('tag', TagPipe) tag: Tag,
    @Query() { since, until, cursor, limit }: EventsQueryDto,
  ): Promise<TagEventPageDto> {
    const after = OF_TAG.decode(cursor);
    const page = await this.events.ofTag(name, tag, { since, until, after, limit });
    return OF_TAG.pageDto(page);
  }

  @Get('*name/events')
  @OnAdminRepository('read')
  @ApiOperation({
    operationId: 'listRepositoryEvents',
    summary: "Show the history of a repository's tags, newest first",
    description: 'Pushes that set or moved a tag, and deletions of tags: when, by whom, from and to what.',
  })
  @ApiRepositoryName()
  @ApiOkResponse({ type: TagEventPageDto, description: 'A page of events' })
  @ApiMalformedParameter()
  @ApiUnknownRepository()
  async ofRepository(
    @NameParam() name: RepositoryName,
    @Query() { since, until, cursor, limit }: EventsQueryDto,
  ): Promise<TagEventPageDto> {
    const after = OF_REPOSITORY.decode(cursor);
    const page = await this.events.ofRepository(name, { since, until, after, limit });
    return OF_REPOSITORY.pageDto(page);
  }
}
