import { Get, Param, Query, Req } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam } from '@nestjs/swagger';
import type { AuthorizedRequest } from '../../access/access.guard.js';
import { SignedIn } from '../../access/access.js';
import { AccessService } from '../../access/access.service.js';
import { parseDigest } from '../../oci/digest.js';
import { EXAMPLE_BLOB_DIGEST } from '../../oci/examples.js';
import { AdminController } from '../admin-controller.js';
import { KeysetCursor } from '../paging/keyset-cursor.js';
import { PageQueryDto } from '../paging/page-query.dto.js';
import { ApiMalformedParameter } from '../problem.dto.js';
import { BlobRepositoryPageDto } from './blob.dto.js';
import { BlobsQuery } from './blobs.query.js';

const CURSOR = new KeysetCursor('blob-repositories', parseRepositoryId);

/** Where a blob is. */
@AdminController('blobs', 'repositories')
export class BlobRepositoriesController {
  constructor(
    private readonly blobs: BlobsQuery,
    private readonly access: AccessService,
  ) {}

  @Get(':digest/repositories')
  @SignedIn()
  @ApiOperation({
    operationId: 'listBlobRepositories',
    summary: 'List the repositories that have a blob',
    description:
      'Those that the caller may pull, the oldest repository first. If other repositories have the blob, a ' +
      'page may have fewer items than `limit`, or none: `nextCursor` says whether it is the last one.',
  })
  @ApiParam({
    name: 'digest',
    schema: { type: 'string', example: EXAMPLE_BLOB_DIGEST },
    description: 'The digest. A tarsum is not accepted: different blobs can have the same',
  })
  @ApiOkResponse({ type: BlobRepositoryPageDto, description: 'A page of repositories' })
  @ApiMalformedParameter()
  async list(
    @Param('digest') text: string,
    @Query() { limit, cursor }: PageQueryDto,
    @Req() request: AuthorizedRequest,
  ): Promise<BlobRepositoryPageDto> {
    const ranges = this.access.pullableNames(request.caller);
    const page = { after: CURSOR.decode(cursor), limit };
    const { items, next } = await this.blobs.repositories(parseDigest(text), ranges, page);
    return { items, nextCursor: next === undefined ? null : CURSOR.encode(next) };
  }
}

function parseRepositoryId(text: string): string {
  if (!/^[1-9][0-9]{0,17}$/.test(text)) throw new Error('expected the id of a repository');
  return text;
}
