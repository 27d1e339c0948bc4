import { Body, Delete, Get, HttpCode, HttpStatus, Param, Patch, Post, Query, Req } from '@nestjs/common';
import {
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
} from '@nestjs/swagger';
import type { AuthorizedRequest } from '../../../access/access.guard.js';
import { OnRegistry } from '../../../access/access.js';
import { originOf } from '../../../access/request-origin.js';
import {
  EXPECTED_ACCOUNT_NAME,
  MAX_ACCOUNT_NAME_LENGTH,
  parseAccountName,
} from '../../../accounts/users/account-name.js';
import { GroupUnknownError } from '../../../accounts/groups/group.errors.js';
import { GroupService } from '../../../accounts/groups/group.service.js';
import { AdminController } from '../../admin-controller.js';
import { KeysetCursor } from '../../paging/keyset-cursor.js';
import { PageQueryDto } from '../../paging/page-query.dto.js';
import { ApiMalformedParameter, ApiProblem } from '../../problem.dto.js';
import { EXAMPLE_GROUP, GroupChangeDto, GroupDto, GroupPageDto, NewGroupDto } from './group.dto.js';
import { GroupsQuery } from './groups.query.js';

const CURSOR = new KeysetCursor('groups', parseAccountName);

export const ApiGroupName = () =>
  ApiParam({
    name: 'name',
    schema: { type: 'string', maxLength: MAX_ACCOUNT_NAME_LENGTH, example: EXAMPLE_GROUP },
  });

export const ApiMalformedGroupName = () =>
  ApiProblem(400, 'A name or the body is malformed', `name: ${EXPECTED_ACCOUNT_NAME}`);

export const ApiUnknownGroup = () =>
  ApiProblem(404, 'There is no such group', new GroupUnknownError(EXAMPLE_GROUP).message);

/** Groups of accounts. */
@AdminController('groups', 'groups')
export class GroupsController {
  constructor(
    private readonly reader: GroupsQuery,
    private readonly groups: GroupService,
  ) {}

  @Get()
  @OnRegistry('admin', 'read')
  @ApiOperation({ operationId: 'listGroups', summary: 'List groups, sorted by name' })
  @ApiOkResponse({ type: GroupPageDto, description: 'A page of groups' })
  @ApiMalformedParameter()
  async list(@Query() { limit, cursor }: PageQueryDto): Promise<GroupPageDto> {
    const page = await this.reader.list({ after: CURSOR.decode(cursor), limit });
    return CURSOR.pageDto(page, ({ name }) => name);
  }

  @Post()
  @OnRegistry('admin', 'write')
  @ApiOperation({ operationId: 'createGroup', summary: 'Create a group' })
  @ApiCreatedResponse({ type: GroupDto, description: 'The group' })
  @ApiMalformedGroupName()
  @ApiProblem(409, 'The name is taken', `the name ${EXAMPLE_GROUP} belongs to another group`)
  async create(
    @Body() { name: text, description }: NewGroupDto,
    @Req() request: AuthorizedRequest,
  ): Promise<GroupDto> {
    const name = parseAccountName(text);
    await this.groups.create({ name, description }, originOf(request));
    return this.reader.get(name);
  }

  @Get(':name')
  @OnRegistry('admin', 'read')
  @ApiOperation({ operationId: 'getGroup', summary: 'Show one group' })
  @ApiGroupName()
  @ApiOkResponse({ type: GroupDto, description: 'The group' })
  @ApiMalformedGroupName()
  @ApiUnknownGroup()
  get(@Param('name') name: string): Promise<GroupDto> {
    return this.reader.get(parseAccountName(name));
  }

  @Patch(':name')
  @OnRegistry('admin', 'write')
  @ApiOperation({ operationId: 'changeGroup', summary: 'Change the description of a group' })
  @ApiGroupName()
  @ApiOkResponse({ type: GroupDto, description: 'The group after the change' })
  @ApiMalformedGroupName()
  @ApiUnknownGroup()
  async change(
    @Param('name') text: string,
    @Body() { description }: GroupChangeDto,
    @Req() request: AuthorizedRequest,
  ): Promise<GroupDto> {
    const name = parseAccountName(text);
    await this.groups.update(name, description, originOf(request));
    return this.reader.get(name);
  }

  @Delete(':name')
  @OnRegistry('admin', 'write')
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiOperation({
    operationId: 'deleteGroup',
    summary: 'Delete a group with its grants',
    description: 'Its members stay accounts. The name may be used for another group.',
  })
  @ApiGroupName()
  @ApiNoContentResponse({ description: 'The group is deleted' })
  @ApiMalformedGroupName()
  @ApiUnknownGroup()
  async delete(@Param('name') name: string, @Req() request: AuthorizedRequest): Promise<void> {
    await this.groups.delete(parseAccountName(name), originOf(request));
  }
}
