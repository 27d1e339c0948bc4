import { ApiProperty } from '@nestjs/swagger';
import { CHECK_STATUSES, type CheckStatus } from './check.js';
import { READINESS_STATUSES, type Readiness } from './readiness.service.js';

const STATUS = { enum: CHECK_STATUSES, enumName: 'CheckStatus', example: 'ok' };

export class LivenessDto {
  @ApiProperty({ enum: ['ok'] })
  status: 'ok';
}

/** The checks of readiness. */
export class ChecksDto {
  @ApiProperty({
    ...STATUS,
    description: 'ok: PostgreSQL runs a query; full: its disk has too little space',
  })
  database: CheckStatus;

  @ApiProperty({
    ...STATUS,
    description: 'ok: the schema is of this version; newer: a newer version has changed it',
  })
  migrations: CheckStatus;

  @ApiProperty({
    ...STATUS,
    description: 'ok: the storage can be read and can store bytes; full: it has no space',
  })
  storage: CheckStatus;

  @ApiProperty({
    ...STATUS,
    description: 'ok: storage and database belong together; unknown: one of them failed its check',
  })
  identity: CheckStatus;
}

export class ReadinessDto {
  @ApiProperty({
    enum: READINESS_STATUSES,
    example: 'ok',
    description: 'degraded: pushes are refused; stopping: no new requests should be sent',
  })
  status: Readiness['status'];

  @ApiProperty()
  checks: ChecksDto;
}
