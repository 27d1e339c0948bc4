import { Get } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { OnRegistry } from '../../access/access.js';
import { AdminController } from '../admin-controller.js';
import { OverviewDto } from './overview.dto.js';
import { OverviewService } from './overview.service.js';

/** Versions, storage, database and counts. */
@AdminController('overview', 'overview')
export class OverviewController {
  constructor(private readonly service: OverviewService) {}

  @Get()
  @OnRegistry('admin', 'read')
  @ApiOperation({ operationId: 'getOverview', summary: 'Show versions, storage, database and counts' })
  @ApiOkResponse({ type: OverviewDto, description: 'The overview' })
  overview(): Promise<OverviewDto> {
    return this.service.overview();
  }
}
