import { ApiProperty } from '@nestjs/swagger';

const STATUS = { enum: ['ok', 'failed'], enumName: 'CheckStatus' };

export class LivenessDto {
  @ApiProperty({ enum: ['ok'] })
  status: 'ok';
}

/** What readiness depends on. */
export class ChecksDto {
  @ApiProperty({ ...STATUS, description: 'PostgreSQL answers a query' })
  database: 'ok' | 'failed';

  @ApiProperty({ ...STATUS, description: 'the storage driver could store bytes' })
  storage: 'ok' | 'failed';
}

export class ReadinessDto {
  @ApiProperty({ enum: ['ok', 'unavailable'] })
  status: 'ok' | 'unavailable';

  @ApiProperty()
  checks: ChecksDto;
}
