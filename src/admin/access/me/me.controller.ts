import {
  Body,
  ConflictException,
  Delete,
  ForbiddenException,
  Get,
  HttpCode,
  HttpStatus,
  Param,
  Post,
  Put,
  Query,
  Req,
} from '@nestjs/common';
import {
  ApiBody,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
} from '@nestjs/swagger';
import type { AuthorizedRequest } from '../../../access/access.guard.js';
import { SignedIn } from '../../../access/access.js';
import type { Caller } from '../../../access/caller.js';
import { originOf } from '../../../access/request-origin.js';
import type { AccountRights } from '../../../accounts/rights/account-rights.js';
import { parseAccountName } from '../../../accounts/users/account-name.js';
import { SecretService } from '../../../accounts/secrets/secret.service.js';
import { UserService } from '../../../accounts/users/user.service.js';
import { Configuration } from '../../../config/configuration.js';
import { AdminController } from '../../admin-controller.js';
import { SortedCursor } from '../../paging/sorted-cursor.js';
import { ApiMalformedParameter, ApiProblem } from '../../problem.dto.js';
import {
  ApiLastAdmin,
  ApiMalformedBody,
  ApiTooManyTokens,
  ApiUnknownToken,
} from '../accounts/account.docs.js';
import { secretExpiry } from '../accounts/account-fields.js';
import {
  ApiTokenId,
  EXPECTED_TOKEN_ID,
  parseTokenId,
  type TokenId,
  TokenIdPipe,
} from '../accounts/account-parameters.js';
import { createdToken } from '../tokens/created-token.js';
import { MeDto, PasswordChangeDto } from './me.dto.js';
import { MeService } from './me.service.js';
import { CreatedTokenDto, NewTokenDto, TokenPageDto, TokensQueryDto } from '../tokens/token.dto.js';
import { TokensQuery } from '../tokens/tokens.query.js';

const CURSOR = new SortedCursor('tokens', 'id', parseTokenId);

const NO_ACCOUNT = 'access is open: credentials are ignored, so there is no account that is signed in';

const TOO_LOW = 'this secret may only pull: sign in with the password, or with a secret without a ceiling';

const ApiNoAccount = () => ApiProblem(409, 'Access is open, so nobody is signed in', NO_ACCOUNT);

/** The caller itself: who it is, its password, its secrets. */
@AdminController('me', 'me')
@SignedIn()
export class MeController {
  constructor(
    private readonly me: MeService,
    private readonly reader: TokensQuery,
    private readonly users: UserService,
    private readonly secrets: SecretService,
    private readonly configuration: Configuration,
  ) {}

  @Get()
  @ApiOperation({
    operationId: 'getMe',
    summary: 'Show who you are and what you may do',
    description: 'Your account and role, the credential of the request, and the grants that reach you.',
  })
  @ApiOkResponse({ type: MeDto, description: 'You' })
  show(@Req() { caller }: AuthorizedRequest): Promise<MeDto> {
    return this.me.describe(caller);
  }

  @Put('password')
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiOperation({
    operationId: 'changeOwnPassword',
    summary: 'Change your password',
    description:
      'Needs a login with the current password. A secret does not suffice: a client that finds one ' +
      'must not take the account over. Logins with the old password, and the tokens that they got, end; ' +
      'secrets stay.',
  })
  @ApiNoContentResponse({ description: 'The password is changed' })
  @ApiMalformedBody()
  @ApiNoAccount()
  async changePassword(
    @Body() { currentPassword: current, newPassword: next }: PasswordChangeDto,
    @Req() request: AuthorizedRequest,
  ): Promise<void> {
    const account = accountOf(request.caller);
    if (request.caller.credential.kind !== 'password') {
      throw new ForbiddenException('sign in with your password to change it: a secret does not suffice');
    }
    await this.users.changePassword(parseAccountName(account.name), { current, next }, originOf(request));
  }

  @Get('tokens')
  @ApiOperation({
    operationId: 'listOwnTokens',
    summary: 'List your secrets',
    description: 'Without their texts, which are not stored. The last 1,000 that ended stay for 30 days.',
  })
  @ApiOkResponse({ type: TokenPageDto, description: 'A page of secrets' })
  @ApiMalformedParameter()
  @ApiNoAccount()
  async list(
    @Query() { limit, cursor, sort }: TokensQueryDto,
    @Req() { caller }: AuthorizedRequest,
  ): Promise<TokenPageDto> {
    const page = await this.reader.list(accountOf(caller).id, {
      sort,
      after: CURSOR.decode(sort, cursor),
      limit,
    });
    return CURSOR.pageDto(page, sort, ({ id }) => id);
  }

  @Post('tokens')
  @ApiOperation({
    operationId: 'createOwnToken',
    summary: 'Create a secret for a program of yours',
    description:
      'It signs in with your name and may do what you may do, or less. It is in this response only, with ' +
      'lines to paste that sign a program in. A secret with a ceiling can not create secrets.',
  })
  @ApiBody({ type: NewTokenDto, examples: { token: { value: { name: 'laptop', ceiling: 'pull' } } } })
  @ApiCreatedResponse({ type: CreatedTokenDto, description: 'The secret' })
  @ApiMalformedBody()
  @ApiTooManyTokens()
  async create(
    @Body() { name, expiresAt, ceiling = null }: NewTokenDto,
    @Req() request: AuthorizedRequest,
  ): Promise<CreatedTokenDto> {
    const { kind, name: account } = accountOf(request.caller);
    refuseCeiling(request.caller);
    const options = { name, expiresAt: secretExpiry('expiresAt', expiresAt), ceiling };
    const owner = { kind, name: parseAccountName(account) };
    return createdToken(
      request,
      this.configuration,
      account,
      await this.secrets.create(owner, options, originOf(request)),
    );
  }

  @Delete('tokens/:id')
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiOperation({
    operationId: 'revokeOwnToken',
    summary: 'Revoke a secret of yours',
    description: 'Logins with it, and the tokens that they got, end at once.',
  })
  @ApiTokenId()
  @ApiNoContentResponse({ description: 'The secret is revoked' })
  @ApiProblem(400, 'The id is malformed', `id: ${EXPECTED_TOKEN_ID}`)
  @ApiUnknownToken()
  @ApiLastAdmin()
  async revoke(@Param('id', TokenIdPipe) id: TokenId, @Req() request: AuthorizedRequest): Promise<void> {
    const { kind, name } = accountOf(request.caller);
    // A secret may always end itself.
    if (!isOwn(request.caller, id)) refuseCeiling(request.caller);
    await this.secrets.revoke({ kind, name: parseAccountName(name) }, id, originOf(request));
  }
}

/** @throws ConflictException where access is open: nobody is signed in. */
function accountOf({ account }: Caller): AccountRights {
  if (account === null) throw new ConflictException(NO_ACCOUNT);
  return account;
}

/** @throws ForbiddenException for a secret with a ceiling. */
function refuseCeiling({ ceiling }: Caller): void {
  if (ceiling !== null) throw new ForbiddenException(TOO_LOW);
}

function isOwn({ credential }: Caller, id: TokenId): boolean {
  return credential.kind === 'secret' && credential.id === id;
}
