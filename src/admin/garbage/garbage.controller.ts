import { Get } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { OnRegistry } from '../../access/access.js';
import { ForecastQuery } from '../../collection/forecast/forecast.query.js';
import { ObjectDeletions } from '../../collection/objects/object-deletions.js';
import { AdminController } from '../admin-controller.js';
import { GarbageDto } from './garbage.dto.js';

/** What is to be deleted, and when. */
@AdminController('garbage', 'deletions')
export class GarbageController {
  constructor(
    private readonly forecast: ForecastQuery,
    private readonly objects: ObjectDeletions,
  ) {}

  @Get()
  @OnRegistry('admin', 'read')
  @ApiOperation({
    operationId: 'getGarbage',
    summary: 'Show what will be deleted from the storage, and when',
    description:
      'Per stage of the collection, in total and per repository: how much, why, and when it goes, exact ' +
      'in one snapshot. It deletes nothing. Its time grows with the garbage, and by at most 5 s with the ' +
      'number of manifests.',
  })
  @ApiOkResponse({ type: GarbageDto, description: 'What is there to be collected' })
  async get(): Promise<GarbageDto> {
    const [forecast, refusal] = await Promise.all([this.forecast.measure(), this.objects.refusal()]);
    const { stages, repositories } = forecast;
    return {
      ...forecast,
      stages: { ...stages, objects: { ...stages.objects, refusal } },
      repositories: [...repositories],
    };
  }
}
