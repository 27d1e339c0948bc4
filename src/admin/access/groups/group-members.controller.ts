import { Delete, Get, HttpCode, HttpStatus, Param, Put, Query, Req } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiParam } from '@nestjs/swagger';
import type { AuthorizedRequest } from '../../../access/access.guard.js';
import { OnRegistry } from '../../../access/access.js';
import { originOf } from '../../../access/request-origin.js';
import { MAX_ACCOUNT_NAME_LENGTH, parseAccountName } from '../../../accounts/users/account-name.js';
import { tooManyGrants } from '../../../accounts/grants/grant-limit.js';
import { AnyAccountUnknownError, MemberUnknownError } from '../../../accounts/groups/group.errors.js';
import { GroupService } from '../../../accounts/groups/group.service.js';
import { AdminController } from '../../admin-controller.js';
import { KeysetCursor } from '../../paging/keyset-cursor.js';
import { PageQueryDto } from '../../paging/page-query.dto.js';
import { ApiMalformedParameter, ApiProblem } from '../../problem.dto.js';
import { parseRowId } from '../row-id.js';
import { EXAMPLE_GROUP, EXAMPLE_MEMBER, MemberPageDto } from './group.dto.js';
import { ApiGroupName, ApiMalformedGroupName, ApiUnknownGroup } from './groups.controller.js';
import { GroupsQuery } from './groups.query.js';

const CURSOR = new KeysetCursor('members', parseRowId);

const ApiAccount = () =>
  ApiParam({
    name: 'account',
    description: 'The name of a user or robot',
    schema: { type: 'string', maxLength: MAX_ACCOUNT_NAME_LENGTH, example: EXAMPLE_MEMBER },
  });

/** The members of groups. */
@AdminController('groups', 'groups')
export class GroupMembersController {
  constructor(
    private readonly reader: GroupsQuery,
    private readonly groups: GroupService,
  ) {}

  @Get(':name/members')
  @OnRegistry('admin', 'read')
  @ApiOperation({
    operationId: 'listGroupMembers',
    summary: "List a group's members",
    description: 'Users and robots; the oldest account first.',
  })
  @ApiGroupName()
  @ApiOkResponse({ type: MemberPageDto, description: 'A page of members' })
  @ApiMalformedParameter()
  @ApiUnknownGroup()
  async list(@Param('name') name: string, @Query() { limit, cursor }: PageQueryDto): Promise<MemberPageDto> {
    const page = await this.reader.members(parseAccountName(name), { after: CURSOR.decode(cursor), limit });
    const { items, nextCursor } = CURSOR.pageDto(page, ({ id }) => id);
    return { items: items.map(({ id: _, ...member }) => member), nextCursor };
  }

  @Put(':name/members/:account')
  @OnRegistry('admin', 'write')
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiOperation({ operationId: 'addGroupMember', summary: 'Add an account to a group' })
  @ApiGroupName()
  @ApiAccount()
  @ApiNoContentResponse({ description: 'The account is a member' })
  @ApiMalformedGroupName()
  @ApiProblem(404, 'There is no such group or account', new AnyAccountUnknownError(EXAMPLE_MEMBER).message)
  @ApiProblem(
    409,
    'Too many grants would reach the account',
    tooManyGrants(`the account ${EXAMPLE_MEMBER}`, '1001'),
  )
  async add(
    @Param('name') name: string,
    @Param('account') account: string,
    @Req() request: AuthorizedRequest,
  ): Promise<void> {
    await this.groups.addMember(parseAccountName(name), parseAccountName(account), originOf(request));
  }

  @Delete(':name/members/:account')
  @OnRegistry('admin', 'write')
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiOperation({ operationId: 'removeGroupMember', summary: 'Remove an account from a group' })
  @ApiGroupName()
  @ApiAccount()
  @ApiNoContentResponse({ description: 'The account is not a member any more' })
  @ApiMalformedGroupName()
  @ApiProblem(
    404,
    'There is no such group or account, or the account is no member',
    new MemberUnknownError(EXAMPLE_GROUP, EXAMPLE_MEMBER).message,
  )
  async remove(
    @Param('name') name: string,
    @Param('account') account: string,
    @Req() request: AuthorizedRequest,
  ): Promise<void> {
    await this.groups.removeMember(parseAccountName(name), parseAccountName(account), originOf(request));
  }
}
