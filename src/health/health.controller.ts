import { Controller, Get, Header, HttpStatus, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiServiceUnavailableResponse, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { OpenToAll } from '../access/access.js';
import { LivenessDto, ReadinessDto } from './health.dto.js';
import { ReadinessService } from './readiness.service.js';

/** Health checks for orchestrators and load balancers. */
@ApiTags('Health')
@Controller('health')
export class HealthController {
  constructor(private readonly readiness: ReadinessService) {}

  /** Checks no dependency: restarting the process does not repair a database. */
  @Get('live')
  @OpenToAll()
  @Header('Cache-Control', 'no-store')
  @ApiOperation({ operationId: 'getLiveness', summary: 'Check that the process is running' })
  @ApiOkResponse({ type: LivenessDto, description: 'The process is running' })
  live(): LivenessDto {
    return { status: 'ok' };
  }

  @Get('ready')
  @OpenToAll()
  @Header('Cache-Control', 'no-store')
  @ApiOperation({ operationId: 'getReadiness', summary: 'Check that the database and the storage work' })
  @ApiOkResponse({
    type: ReadinessDto,
    description: 'The replica serves requests; `degraded` if a disk is full',
  })
  @ApiServiceUnavailableResponse({
    type: ReadinessDto,
    description: 'A check failed, and the log has the reason; or the replica is stopping',
    example: {
      status: 'unavailable',
      checks: { database: 'ok', migrations: 'ok', storage: 'failed', identity: 'unknown' },
    },
  })
  async ready(@Res({ passthrough: true }) response: Response): Promise<ReadinessDto> {
    const readiness = await this.readiness.check();
    const isReady = readiness.status === 'ok' || readiness.status === 'degraded';
    response.status(isReady ? HttpStatus.OK : HttpStatus.SERVICE_UNAVAILABLE);
    return readiness;
  }
}
