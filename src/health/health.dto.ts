import { ApiProperty } from '@nestjs/swagger';
import type { Check } from './readiness.service.js';

const STATUS = { enum: ['ok', 'full', 'failed'], enumName: 'CheckStatus' };

export class LivenessDto {
  @ApiProperty({ enum: ['ok'] })
  status: 'ok';
}

/** What readiness depends on. */
export class ChecksDto {
  @ApiProperty({ ...STATUS, description: 'PostgreSQL answers a query; full: its disk has too little space' })
  database: Check;

  @ApiProperty({ ...STATUS, description: 'the storage driver could store bytes; full: it has no space' })
  storage: Check;
}

export class ReadinessDto {
  @ApiProperty({ enum: ['ok', 'degraded', 'unavailable'], description: 'degraded: pushes are refused' })
  status: 'ok' | 'degraded' | 'unavailable';

  @ApiProperty()
  checks: ChecksDto;
}
