import { Body, Delete, Get, HttpCode, HttpStatus, Param, Patch, Post, Query, Req } from '@nestjs/common';
import {
  ApiBody,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
} from '@nestjs/swagger';
import type { AuthorizedRequest } from '../../../access/access.guard.js';
import { OnRegistry } from '../../../access/access.js';
import { originOf } from '../../../access/request-origin.js';
import { type AccountName, parseAccountName } from '../../../accounts/users/account-name.js';
import { AccountService } from '../../../accounts/users/account.service.js';
import { parsePattern } from '../../../accounts/grants/pattern.js';
import { RobotService } from '../../../accounts/users/robot.service.js';
import { Configuration } from '../../../config/configuration.js';
import { AdminController } from '../../admin-controller.js';
import { KeysetCursor } from '../../paging/keyset-cursor.js';
import { ApiMalformedParameter } from '../../problem.dto.js';
import {
  ApiLastAdmin,
  ApiMalformedAccountName,
  ApiMalformedBody,
  ApiTakenName,
  ApiUnknownAccount,
} from '../accounts/account.docs.js';
import { AccountsQueryDto } from '../accounts/account.dto.js';
import { futureTime, secretExpiry } from '../accounts/account-fields.js';
import { AccountNamePipe, ApiAccountName } from '../accounts/account-parameters.js';
import { AccountsQuery } from '../accounts/accounts.query.js';
import { createdToken } from '../tokens/created-token.js';
import { EXAMPLE_PATTERN, EXAMPLE_ROBOT } from '../examples.js';
import { CreatedRobotDto, NewRobotDto, RobotChangeDto, RobotDto, RobotPageDto } from './robot.dto.js';

const CURSOR = new KeysetCursor('robots', parseAccountName);

const EXAMPLE_NEW_ROBOT: NewRobotDto = {
  name: EXAMPLE_ROBOT,
  grants: [{ pattern: EXAMPLE_PATTERN, role: 'push' }],
};

/** Robots: accounts of programs, which sign in with secrets. */
@AdminController('robots', 'robots')
export class RobotsController {
  constructor(
    private readonly reader: AccountsQuery,
    private readonly robots: RobotService,
    private readonly accounts: AccountService,
    private readonly configuration: Configuration,
  ) {}

  @Get()
  @OnRegistry('admin', 'read')
  @ApiOperation({ operationId: 'listRobots', summary: 'List robots, sorted by name' })
  @ApiOkResponse({ type: RobotPageDto, description: 'A page of robots' })
  @ApiMalformedParameter()
  async list(@Query() { limit, cursor, q }: AccountsQueryDto): Promise<RobotPageDto> {
    const page = await this.reader.robots(q ?? '', { after: CURSOR.decode(cursor), limit });
    return CURSOR.pageDto(page, ({ name }) => name);
  }

  @Post()
  @OnRegistry('admin', 'write')
  @ApiOperation({
    operationId: 'createRobot',
    summary: 'Create a robot, with its grants and its first secret',
    description: 'The secret is in this response only, with lines to paste that sign a program in.',
  })
  @ApiBody({ type: NewRobotDto, examples: { robot: { value: EXAMPLE_NEW_ROBOT } } })
  @ApiCreatedResponse({ type: CreatedRobotDto, description: 'The robot and its secret' })
  @ApiMalformedBody()
  @ApiTakenName('robot')
  async create(
    @Body() { name: text, role = null, grants, tokenExpiresAt }: NewRobotDto,
    @Req() request: AuthorizedRequest,
  ): Promise<CreatedRobotDto> {
    const name = parseAccountName(text);
    const robot = {
      name,
      role,
      grants: grants.map((grant) => ({ pattern: parsePattern(grant.pattern), role: grant.role })),
      secret: { name, expiresAt: secretExpiry('tokenExpiresAt', tokenExpiresAt), ceiling: null },
    };
    const secret = await this.robots.create(robot, originOf(request));
    return {
      ...(await this.reader.robot(name)),
      token: createdToken(request, this.configuration, name, secret),
    };
  }

  @Get(':name')
  @OnRegistry('admin', 'read')
  @ApiOperation({ operationId: 'getRobot', summary: 'Show one robot' })
  @ApiAccountName(EXAMPLE_ROBOT)
  @ApiOkResponse({ type: RobotDto, description: 'The robot' })
  @ApiMalformedAccountName()
  @ApiUnknownAccount('robot')
  get(@Param('name', AccountNamePipe) name: AccountName): Promise<RobotDto> {
    return this.reader.robot(name);
  }

  @Patch(':name')
  @OnRegistry('admin', 'write')
  @ApiOperation({
    operationId: 'changeRobot',
    summary: 'Change a robot: role, expiry, or disable it',
    description: 'It acts at once, in this process; on requests to other replicas within a second.',
  })
  @ApiAccountName(EXAMPLE_ROBOT)
  @ApiBody({ type: RobotChangeDto, examples: { disable: { value: { disabled: true } } } })
  @ApiOkResponse({ type: RobotDto, description: 'The robot after the change' })
  @ApiMalformedBody()
  @ApiUnknownAccount('robot')
  @ApiLastAdmin()
  async change(
    @Param('name', AccountNamePipe) name: AccountName,
    @Body() { expiresAt, ...change }: RobotChangeDto,
    @Req() request: AuthorizedRequest,
  ): Promise<RobotDto> {
    const expiry = futureTime<null | undefined>('expiresAt', expiresAt);
    await this.accounts.update('robot', name, { ...change, expiresAt: expiry }, originOf(request));
    return this.reader.robot(name);
  }

  @Delete(':name')
  @OnRegistry('admin', 'write')
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiOperation({
    operationId: 'deleteRobot',
    summary: 'Delete a robot with its grants and secrets',
    description: 'Its name stays taken, because events and pushes name accounts.',
  })
  @ApiAccountName(EXAMPLE_ROBOT)
  @ApiNoContentResponse({ description: 'The robot is deleted' })
  @ApiMalformedAccountName()
  @ApiUnknownAccount('robot')
  @ApiLastAdmin()
  async delete(
    @Param('name', AccountNamePipe) name: AccountName,
    @Req() request: AuthorizedRequest,
  ): Promise<void> {
    await this.accounts.delete('robot', name, originOf(request));
  }
}
