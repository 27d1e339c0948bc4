import { ApiProperty } from '@nestjs/swagger';
import type { Check } from './readiness.service.js';

const STATUS = { enum: ['ok', 'full', 'failed'], enumName: 'CheckStatus' };

export class LivenessDto {
  @ApiProperty({ enum: ['ok'] })
  status: 'ok';
}

/** The dependencies of readiness. */
export class ChecksDto {
  @ApiProperty({
    ...STATUS,
    example: 'ok',
    description: 'ok: PostgreSQL runs a query; full: its disk has too little space',
  })
  database: Check;

  @ApiProperty({
    ...STATUS,
    example: 'ok',
    description: 'ok: the storage can store bytes; full: it has no space',
  })
  storage: Check;
}

export class ReadinessDto {
  @ApiProperty({
    enum: ['ok', 'degraded', 'unavailable'],
    example: 'ok',
    description: 'degraded: pushes are refused',
  })
  status: 'ok' | 'degraded' | 'unavailable';

  @ApiProperty()
  checks: ChecksDto;
}
