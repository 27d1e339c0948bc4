import { Controller, Get, Header, HttpStatus, Res } from '@nestjs/common';
import type { Response } from 'express';
import { ReplicaSet } from './replicas/replica-set.js';

/** Health checks of a front: it is ready while one of its replicas is. */
@Controller('health')
export class FrontHealthController {
  constructor(private readonly replicas: ReplicaSet) {}

  @Get('live')
  @Header('Cache-Control', 'no-store')
  live(): { status: 'ok' } {
    return { status: 'ok' };
  }

  @Get('ready')
  @Header('Cache-Control', 'no-store')
  ready(@Res({ passthrough: true }) response: Response): object {
    const { isAnyReady } = this.replicas;
    response.status(isAnyReady ? HttpStatus.OK : HttpStatus.SERVICE_UNAVAILABLE);
    const check = isAnyReady ? 'ok' : 'failed';
    return { status: isAnyReady ? 'ok' : 'unavailable', checks: { replicas: check } };
  }
}
