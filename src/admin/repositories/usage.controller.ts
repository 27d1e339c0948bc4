import { Get } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { OnAdminRepository } from '../../access/access.js';
import type { RepositoryName } from '../../oci/repository-name.js';
import { AdminController } from '../admin-controller.js';
import { ApiRepositoryName, NameParam } from '../path-parameters.js';
import { ApiMalformedName, ApiUnknownRepository } from '../problem.dto.js';
import { UsageDto } from './usage.dto.js';
import { UsageQuery } from './usage.query.js';

/** What repositories use of the storage. */
@AdminController('repositories', 'repositories')
export class UsageController {
  constructor(private readonly usage: UsageQuery) {}

  @Get('*name/usage')
  @OnAdminRepository('read')
  @ApiOperation({
    operationId: 'getRepositoryUsage',
    summary: 'Show what a repository uses of the storage',
    description: 'Exact. It looks at each blob of the repository, so it takes longer for a large one.',
  })
  @ApiRepositoryName()
  @ApiOkResponse({ type: UsageDto, description: 'Its blobs and their bytes' })
  @ApiMalformedName()
  @ApiUnknownRepository()
  get(@NameParam() name: RepositoryName): Promise<UsageDto> {
    return this.usage.get(name);
  }
}
