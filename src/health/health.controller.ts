import { Controller, Get, Header, HttpStatus, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiServiceUnavailableResponse, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { OpenToAll } from '../access/access.js';
import { LivenessDto, ReadinessDto } from './health.dto.js';
import { ReadinessService } from './readiness.service.js';

/** What orchestrators and load balancers ask. */
@ApiTags('Health')
@Controller('health')
export class HealthController {
  constructor(private readonly readiness: ReadinessService) {}

  /** Depends on nothing: restarting the process wouldn't bring a lost database back. */
  @Get('live')
  @OpenToAll()
  @Header('Cache-Control', 'no-store')
  @ApiOperation({ operationId: 'getLiveness', summary: 'Whether the process serves' })
  @ApiOkResponse({ type: LivenessDto })
  live(): LivenessDto {
    return { status: 'ok' };
  }

  @Get('ready')
  @OpenToAll()
  @Header('Cache-Control', 'no-store')
  @ApiOperation({ operationId: 'getReadiness', summary: 'Whether the database and the storage work' })
  @ApiOkResponse({ type: ReadinessDto })
  @ApiServiceUnavailableResponse({
    type: ReadinessDto,
    description: 'Which of them failed; why is in the log',
  })
  async ready(@Res({ passthrough: true }) response: Response): Promise<ReadinessDto> {
    const checks = await this.readiness.check();
    const found = Object.values(checks);
    const ready = !found.includes('failed');
    response.status(ready ? HttpStatus.OK : HttpStatus.SERVICE_UNAVAILABLE);
    const working = found.includes('full') ? 'degraded' : 'ok';
    return { status: ready ? working : 'unavailable', checks };
  }
}
