import {
  BadRequestException,
  Body,
  Delete,
  Get,
  HttpCode,
  HttpStatus,
  Param,
  Post,
  Query,
  Req,
  Res,
} from '@nestjs/common';
import {
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
} from '@nestjs/swagger';
import type { Response } from 'express';
import type { AuthorizedRequest } from '../../../access/access.guard.js';
import { OnRegistry } from '../../../access/access.js';
import { originOf } from '../../../access/request-origin.js';
import { parseAccountName } from '../../../accounts/users/account-name.js';
import { tooManyGrants } from '../../../accounts/grants/grant-limit.js';
import {
  GrantService,
  GrantUnknownError,
  type NamedSubject,
} from '../../../accounts/grants/grant.service.js';
import { GroupUnknownError } from '../../../accounts/groups/group.errors.js';
import { parsePattern } from '../../../accounts/grants/pattern.js';
import type { GrantSubject } from '../../../database/entities/grant.entity.js';
import { AdminController } from '../../admin-controller.js';
import { KeysetCursor } from '../../paging/keyset-cursor.js';
import { ApiMalformedParameter, ApiProblem } from '../../problem.dto.js';
import { EXAMPLE_GROUP } from '../groups/group.dto.js';
import { parseRowId } from '../row-id.js';
import { EXAMPLE_GRANT_ID, GrantDto, GrantPageDto, GrantsQueryDto, NewGrantDto } from './grant.dto.js';
import { GrantsQuery } from './grants.query.js';

const CURSOR = new KeysetCursor('grants', parseRowId);

/** Grants: who has which role on which repositories. */
@AdminController('grants', 'grants')
export class GrantsController {
  constructor(
    private readonly reader: GrantsQuery,
    private readonly grants: GrantService,
  ) {}

  @Get()
  @OnRegistry('admin', 'read')
  @ApiOperation({ operationId: 'listGrants', summary: 'List grants, the oldest first' })
  @ApiOkResponse({ type: GrantPageDto, description: 'A page of grants' })
  @ApiMalformedParameter()
  async list(@Query() query: GrantsQueryDto): Promise<GrantPageDto> {
    const { subject, name, limit, cursor } = query;
    if (name !== undefined && subject !== 'account' && subject !== 'group')
      throw new BadRequestException('name: expected with it subject=account or subject=group');
    const pattern = query.pattern === undefined ? undefined : parsePattern(query.pattern);
    const page = await this.reader.list({ subject, name, pattern }, { after: CURSOR.decode(cursor), limit });
    return CURSOR.pageDto(page, ({ id }) => id);
  }

  @Post()
  @OnRegistry('admin', 'write')
  @ApiOperation({
    operationId: 'putGrant',
    summary: 'Create a grant, or replace its role',
    description:
      'A subject has one role on a pattern: with another role, its grant is changed and keeps its id. ' +
      'Grants only add up, none takes anything away. It acts at once in this process, and on requests to ' +
      'other replicas within a second.',
  })
  @ApiCreatedResponse({ type: GrantDto, description: 'The new grant' })
  @ApiOkResponse({ type: GrantDto, description: 'The grant that the subject had, with this role' })
  @ApiProblem(
    400,
    'The body is malformed',
    'pattern: expected a repository (a/b), all repositories below a name (a/b/**), or ** for all',
  )
  @ApiProblem(404, 'There is no such account or group', new GroupUnknownError(EXAMPLE_GROUP).message)
  @ApiProblem(409, 'Too many grants would reach an account', tooManyGrants('the account alice', '1001'))
  async put(
    @Body() { subject, name, pattern, role }: NewGrantDto,
    @Req() request: AuthorizedRequest,
    @Res({ passthrough: true }) response: Response,
  ): Promise<GrantDto> {
    if (subject === 'anonymous' && role !== 'pull')
      throw new BadRequestException('role: expected pull, which is all that anonymous callers can have');
    const wanted = { to: subjectOf(subject, name), pattern: parsePattern(pattern), role };
    const { id, isNew } = await this.grants.put(wanted, originOf(request));
    if (!isNew) response.status(HttpStatus.OK);
    const grant = await this.reader.find(id);
    if (grant === undefined) throw new GrantUnknownError(id);
    return grant;
  }

  @Delete(':id')
  @OnRegistry('admin', 'write')
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiOperation({ operationId: 'deleteGrant', summary: 'Delete a grant' })
  @ApiParam({ name: 'id', schema: { type: 'string', example: EXAMPLE_GRANT_ID } })
  @ApiNoContentResponse({ description: 'The grant is deleted' })
  @ApiProblem(400, 'The id is malformed', 'id: expected a number')
  @ApiProblem(404, 'There is no such grant', new GrantUnknownError(EXAMPLE_GRANT_ID).message)
  async delete(@Param('id') id: string, @Req() request: AuthorizedRequest): Promise<void> {
    await this.grants.delete(parseRowId(id), originOf(request));
  }
}

/** @throws BadRequestException if the name is missing, or belongs to a subject without one. */
function subjectOf(subject: GrantSubject, name: string | undefined): NamedSubject {
  if (subject === 'account' || subject === 'group') {
    if (name === undefined) throw new BadRequestException(`name: expected the name of the ${subject}`);
    return { subject, name: parseAccountName(name) };
  }
  if (name !== undefined) throw new BadRequestException(`name: expected none with the subject ${subject}`);
  return { subject };
}
