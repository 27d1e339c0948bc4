import { Body, Delete, Get, HttpCode, HttpStatus, Param, Post, Query, Req } from '@nestjs/common';
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
import type { AccountName } from '../../../accounts/users/account-name.js';
import { SecretService } from '../../../accounts/secrets/secret.service.js';
import { Configuration } from '../../../config/configuration.js';
import { AdminController } from '../../admin-controller.js';
import { SortedCursor } from '../../paging/sorted-cursor.js';
import { ApiMalformedParameter } from '../../problem.dto.js';
import {
  ApiLastAdmin,
  ApiMalformedAccountName,
  ApiMalformedBody,
  ApiTooManyTokens,
  ApiUnknownAccount,
  ApiUnknownToken,
} from '../accounts/account.docs.js';
import { secretExpiry } from '../accounts/account-fields.js';
import {
  AccountNamePipe,
  ApiAccountName,
  ApiTokenId,
  parseTokenId,
  type TokenId,
  TokenIdPipe,
} from '../accounts/account-parameters.js';
import { createdToken } from '../tokens/created-token.js';
import { EXAMPLE_ROBOT } from '../examples.js';
import { CreatedTokenDto, NewTokenDto, TokenPageDto, TokensQueryDto } from '../tokens/token.dto.js';
import { TokensQuery } from '../tokens/tokens.query.js';

const CURSOR = new SortedCursor('tokens', 'id', parseTokenId);

/** The secrets of robots. Two at a time make a rotation without an interruption. */
@AdminController('robots/:name/tokens', 'robots')
export class RobotTokensController {
  constructor(
    private readonly reader: TokensQuery,
    private readonly secrets: SecretService,
    private readonly configuration: Configuration,
  ) {}

  @Get()
  @OnRegistry('admin', 'read')
  @ApiOperation({
    operationId: 'listRobotTokens',
    summary: "List a robot's secrets",
    description: 'Without their texts, which are not stored. The last 1,000 that ended stay for 30 days.',
  })
  @ApiAccountName(EXAMPLE_ROBOT)
  @ApiOkResponse({ type: TokenPageDto, description: 'A page of secrets' })
  @ApiMalformedParameter()
  @ApiUnknownAccount('robot')
  async list(
    @Param('name', AccountNamePipe) name: AccountName,
    @Query() { limit, cursor, sort }: TokensQueryDto,
  ): Promise<TokenPageDto> {
    const after = CURSOR.decode(sort, cursor);
    const page = await this.reader.list(await this.reader.accountId('robot', name), { sort, after, limit });
    return CURSOR.pageDto(page, sort, ({ id }) => id);
  }

  @Post()
  @OnRegistry('admin', 'write')
  @ApiOperation({
    operationId: 'createRobotToken',
    summary: 'Create a further secret of a robot',
    description: 'The secret is in this response only, with lines to paste that sign a program in.',
  })
  @ApiAccountName(EXAMPLE_ROBOT)
  @ApiBody({ type: NewTokenDto, examples: { token: { value: { name: 'build server' } } } })
  @ApiCreatedResponse({ type: CreatedTokenDto, description: 'The secret' })
  @ApiMalformedBody()
  @ApiUnknownAccount('robot')
  @ApiTooManyTokens()
  async create(
    @Param('name', AccountNamePipe) robot: AccountName,
    @Body() { name, expiresAt, ceiling = null }: NewTokenDto,
    @Req() request: AuthorizedRequest,
  ): Promise<CreatedTokenDto> {
    const secret = await this.secrets.create(
      { kind: 'robot', name: robot },
      { name, expiresAt: secretExpiry('expiresAt', expiresAt), ceiling },
      originOf(request),
    );
    return createdToken(request, this.configuration, robot, secret);
  }

  @Delete(':id')
  @OnRegistry('admin', 'write')
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiOperation({
    operationId: 'revokeRobotToken',
    summary: "Revoke a robot's secret",
    description: 'Logins with it, and the tokens that they got, end at once.',
  })
  @ApiAccountName(EXAMPLE_ROBOT)
  @ApiTokenId()
  @ApiNoContentResponse({ description: 'The secret is revoked' })
  @ApiMalformedAccountName()
  @ApiUnknownToken()
  @ApiLastAdmin()
  async revoke(
    @Param('name', AccountNamePipe) name: AccountName,
    @Param('id', TokenIdPipe) id: TokenId,
    @Req() request: AuthorizedRequest,
  ): Promise<void> {
    await this.secrets.revoke({ kind: 'robot', name }, id, originOf(request));
  }
}
