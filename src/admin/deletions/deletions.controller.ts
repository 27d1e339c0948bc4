import { Body, Get, HttpCode, HttpStatus, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiAcceptedResponse, ApiBody, ApiOkResponse, ApiOperation, ApiParam } from '@nestjs/swagger';
import type { Response } from 'express';
import type { AuthorizedRequest } from '../../access/access.guard.js';
import { SignedIn } from '../../access/access.js';
import { originOf } from '../../access/request-origin.js';
import { DeletionUnknownError, nameTaken, neededByIndex } from '../../deletions/deletion.errors.js';
import { DeletionService } from '../../deletions/deletion.service.js';
import { EXAMPLE_BLOB_DIGEST, EXAMPLE_MANIFEST_DIGEST, EXAMPLE_REPOSITORY } from '../../oci/examples.js';
import { parseRepositoryName } from '../../oci/repository-name.js';
import { AdminController } from '../admin-controller.js';
import { KeysetCursor } from '../paging/keyset-cursor.js';
import { ApiMalformedParameter, ApiProblem } from '../problem.dto.js';
import { parseRowId } from '../access/row-id.js';
import { DeletionAccess } from './deletion-access.js';
import {
  DeletionDetailDto,
  DeletionPageDto,
  DeletionsQueryDto,
  EXAMPLE_DELETION_ID,
  RestoreDto,
} from './deletion.dto.js';
import { DeletionsQuery } from './deletions.query.js';

const CURSOR = new KeysetCursor('deletions', parseRowId);

const RESTORES = {
  restore: { value: {} },
  'a repository as another one': { value: { as: 'demo/restored' } },
};

const ApiDeletionId = () =>
  ApiParam({ name: 'id', schema: { type: 'string', example: EXAMPLE_DELETION_ID } });
const ApiMalformedId = () => ApiProblem(400, 'The id is malformed', 'id: expected a number');
const ApiUnknownDeletion = () =>
  ApiProblem(
    404,
    'There is no such deletion, or the caller may not read its repository',
    new DeletionUnknownError(EXAMPLE_DELETION_ID).message,
  );

/** Deletions: lists them, restores them, and ends their windows. */
@AdminController('deletions', 'deletions')
export class DeletionsController {
  constructor(
    private readonly reader: DeletionsQuery,
    private readonly access: DeletionAccess,
    private readonly deletions: DeletionService,
  ) {}

  @Get()
  @SignedIn()
  @ApiOperation({
    operationId: 'listDeletions',
    summary: 'List deletions, newest first',
    description:
      'Of all repositories for admins and readers. With `repository` it takes `pull` on it. Deletions ' +
      'that were restored or purged are listed for `JOB_HISTORY_SECONDS`.',
  })
  @ApiOkResponse({ type: DeletionPageDto, description: 'A page of deletions' })
  @ApiMalformedParameter()
  async list(
    @Query() { repository, state, limit, cursor }: DeletionsQueryDto,
    @Req() request: AuthorizedRequest,
  ): Promise<DeletionPageDto> {
    const name = repository === undefined ? undefined : parseRepositoryName(repository);
    this.access.expectList(request, name);
    const page = await this.reader.list({ repository: name, state }, { after: CURSOR.decode(cursor), limit });
    const items = page.items.map((item) => this.access.visible(request, item));
    return CURSOR.pageDto({ ...page, items }, ({ id }) => id);
  }

  @Get(':id')
  @SignedIn()
  @ApiOperation({
    operationId: 'getDeletion',
    summary: 'Show one deletion',
    description: 'It takes `pull` on its repository, or the role `reader`.',
  })
  @ApiDeletionId()
  @ApiOkResponse({ type: DeletionDetailDto, description: 'The deletion' })
  @ApiMalformedId()
  @ApiUnknownDeletion()
  async get(@Param('id') text: string, @Req() request: AuthorizedRequest): Promise<DeletionDetailDto> {
    const id = parseRowId(text);
    await this.access.expect(request, id, 'read');
    return this.access.visible(request, await this.reader.get(id));
  }

  @Post(':id/restore')
  @SignedIn()
  @HttpCode(HttpStatus.OK)
  @ApiOperation({
    operationId: 'restoreDeletion',
    summary: 'Restore what a deletion deleted',
    description:
      'Its manifests, their children, what was deleted because of them, and the tags whose names are free; ' +
      '`restoration` names the others. A repository comes back as a whole, under its name or `as` ' +
      'another one. It takes `maintain` on the repository, and `push` on the other name.',
  })
  @ApiDeletionId()
  @ApiBody({ type: RestoreDto, required: false, examples: RESTORES })
  @ApiOkResponse({ type: DeletionDetailDto, description: 'It is restored' })
  @ApiAcceptedResponse({
    type: DeletionDetailDto,
    description: 'It is large: it is being restored, and its state tells when that is done',
  })
  @ApiMalformedId()
  @ApiUnknownDeletion()
  @ApiProblem(
    409,
    'It was restored or purged, it is too old, its repository is deleted, or the name is taken',
    nameTaken(EXAMPLE_REPOSITORY),
  )
  async restore(
    @Param('id') text: string,
    @Body() { as }: RestoreDto,
    @Req() request: AuthorizedRequest,
    @Res({ passthrough: true }) response: Response,
  ): Promise<DeletionDetailDto> {
    const id = parseRowId(text);
    await this.access.expect(request, id, 'write');
    const name = as === undefined ? undefined : parseRepositoryName(as);
    if (name !== undefined) this.access.expectPush(request, name);
    await this.deletions.restore(id, name, originOf(request));
    const deletion = await this.reader.get(id);
    if (deletion.state === 'restoring') response.status(HttpStatus.ACCEPTED);
    return deletion;
  }

  @Post(':id/purge')
  @SignedIn()
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiOperation({
    operationId: 'purgeDeletion',
    summary: 'Purge what a deletion deleted, without waiting',
    description:
      'For leaked secrets: the next run of the collector deletes its manifests, and the bytes that ' +
      'nothing else needs, without any window. It can not be undone. While the job `collect` is paused, ' +
      'it waits until that is resumed. What other manifests need stays, also in other repositories. It ' +
      'takes `maintain` on the repository.',
  })
  @ApiDeletionId()
  @ApiAcceptedResponse({ type: DeletionDetailDto, description: 'The purge is requested' })
  @ApiMalformedId()
  @ApiUnknownDeletion()
  @ApiProblem(
    409,
    'It was restored or purged, or an index of another deletion, which can be restored, lists a manifest ' +
      'of it',
    neededByIndex(EXAMPLE_BLOB_DIGEST, EXAMPLE_MANIFEST_DIGEST, '8'),
  )
  async purge(@Param('id') text: string, @Req() request: AuthorizedRequest): Promise<DeletionDetailDto> {
    const id = parseRowId(text);
    await this.access.expect(request, id, 'write');
    await this.deletions.requestPurge(id, originOf(request));
    return this.reader.get(id);
  }
}
