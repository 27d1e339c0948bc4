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
import { randomPassword } from '../../../accounts/passwords/random-password.js';
import { UserImportService } from '../../../accounts/users/user-import.service.js';
import { UserService } from '../../../accounts/users/user.service.js';
import { AdminController } from '../../admin-controller.js';
import { KeysetCursor } from '../../paging/keyset-cursor.js';
import { ApiMalformedParameter } from '../../problem.dto.js';
import {
  ApiLastAdmin,
  ApiMalformedAccountName,
  ApiMalformedBody,
  ApiTakenName,
  ApiTakenNames,
  ApiUnknownAccount,
} from '../accounts/account.docs.js';
import { AccountsQueryDto } from '../accounts/account.dto.js';
import { futureTime } from '../accounts/account-fields.js';
import { AccountNamePipe, ApiAccountName } from '../accounts/account-parameters.js';
import { AccountsQuery } from '../accounts/accounts.query.js';
import { EXAMPLE_HTPASSWD, EXAMPLE_USER } from '../examples.js';
import {
  CreatedUserDto,
  NewUserDto,
  UserChangeDto,
  UserDto,
  UserImportDto,
  UserImportResultDto,
  UserPageDto,
} from './user.dto.js';

const CURSOR = new KeysetCursor('users', parseAccountName);

/** Users: people, who sign in with a password or with a secret of theirs. */
@AdminController('users', 'users')
export class UsersController {
  constructor(
    private readonly reader: AccountsQuery,
    private readonly users: UserService,
    private readonly accounts: AccountService,
    private readonly imports: UserImportService,
  ) {}

  @Get()
  @OnRegistry('admin', 'read')
  @ApiOperation({ operationId: 'listUsers', summary: 'List users, sorted by name' })
  @ApiOkResponse({ type: UserPageDto, description: 'A page of users' })
  @ApiMalformedParameter()
  async list(@Query() { limit, cursor, q }: AccountsQueryDto): Promise<UserPageDto> {
    const page = await this.reader.users(q ?? '', { after: CURSOR.decode(cursor), limit });
    return CURSOR.pageDto(page, ({ name }) => name);
  }

  @Post()
  @OnRegistry('admin', 'write')
  @ApiOperation({ operationId: 'createUser', summary: 'Create a user' })
  @ApiBody({ type: NewUserDto, examples: { user: { value: { name: EXAMPLE_USER, role: null } } } })
  @ApiCreatedResponse({ type: CreatedUserDto, description: 'The user, with the password if Berth made it' })
  @ApiMalformedBody()
  @ApiTakenName('user')
  async create(
    @Body() { name: text, role = null, expiresAt, password: given }: NewUserDto,
    @Req() request: AuthorizedRequest,
  ): Promise<CreatedUserDto> {
    const name = parseAccountName(text);
    const password = given ?? randomPassword();
    const expiry = futureTime<null>('expiresAt', expiresAt ?? null);
    await this.users.create({ name, role, password, expiresAt: expiry }, originOf(request));
    return { ...(await this.reader.user(name)), password: given === undefined ? password : null };
  }

  @Post('import')
  @OnRegistry('admin', 'write')
  @HttpCode(HttpStatus.OK)
  @ApiOperation({
    operationId: 'importUsers',
    summary: 'Import users from the text of an htpasswd file',
    description:
      'All lines or none. Each user keeps its password; its hash is replaced at its first login. The body can ' +
      'have 64 KiB, about 800 users.',
  })
  @ApiBody({
    type: UserImportDto,
    examples: { users: { value: { htpasswd: EXAMPLE_HTPASSWD, existing: 'skip' } } },
  })
  @ApiOkResponse({ type: UserImportResultDto, description: 'What was imported' })
  @ApiMalformedBody()
  @ApiTakenNames()
  import(
    @Body() { htpasswd, existing }: UserImportDto,
    @Req() request: AuthorizedRequest,
  ): Promise<UserImportResultDto> {
    return this.imports.run(htpasswd, existing, originOf(request));
  }

  @Get(':name')
  @OnRegistry('admin', 'read')
  @ApiOperation({ operationId: 'getUser', summary: 'Show one user' })
  @ApiAccountName(EXAMPLE_USER)
  @ApiOkResponse({ type: UserDto, description: 'The user' })
  @ApiMalformedAccountName()
  @ApiUnknownAccount('user')
  get(@Param('name', AccountNamePipe) name: AccountName): Promise<UserDto> {
    return this.reader.user(name);
  }

  @Patch(':name')
  @OnRegistry('admin', 'write')
  @ApiOperation({
    operationId: 'changeUser',
    summary: 'Change a user: role, expiry, password, or disable it',
    description: 'It acts at once, in this process; on requests to other replicas within a second.',
  })
  @ApiAccountName(EXAMPLE_USER)
  @ApiBody({ type: UserChangeDto, examples: { role: { value: { role: 'reader' } } } })
  @ApiOkResponse({ type: UserDto, description: 'The user after the change' })
  @ApiMalformedBody()
  @ApiUnknownAccount('user')
  @ApiLastAdmin()
  async change(
    @Param('name', AccountNamePipe) name: AccountName,
    @Body() { expiresAt, ...change }: UserChangeDto,
    @Req() request: AuthorizedRequest,
  ): Promise<UserDto> {
    const expiry = futureTime<null | undefined>('expiresAt', expiresAt);
    await this.accounts.update('user', name, { ...change, expiresAt: expiry }, originOf(request));
    return this.reader.user(name);
  }

  @Delete(':name')
  @OnRegistry('admin', 'write')
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiOperation({
    operationId: 'deleteUser',
    summary: 'Delete a user with its grants and secrets',
    description: 'Its name stays taken, because events and pushes name accounts.',
  })
  @ApiAccountName(EXAMPLE_USER)
  @ApiNoContentResponse({ description: 'The user is deleted' })
  @ApiMalformedAccountName()
  @ApiUnknownAccount('user')
  @ApiLastAdmin()
  async delete(
    @Param('name', AccountNamePipe) name: AccountName,
    @Req() request: AuthorizedRequest,
  ): Promise<void> {
    await this.accounts.delete('user', name, originOf(request));
  }
}
