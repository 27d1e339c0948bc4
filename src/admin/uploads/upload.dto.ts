import { ApiProperty } from '@nestjs/swagger';
import { NextCursorProperty } from '../paging/next-cursor.property.js';

/** An upload session in progress, without the states of hash and driver, which are internal. */
export class UploadDto {
  @ApiProperty({ format: 'uuid' })
  id: string;

  @ApiProperty({ example: 'library/busybox' })
  repository: string;

  @ApiProperty({ enum: ['open', 'committing'], enumName: 'UploadInProgressState' })
  state: 'open' | 'committing';

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Bytes stored durably' })
  offsetBytes: number;

  @ApiProperty()
  startedAt: Date;

  @ApiProperty({ description: 'When it last made progress, or a request acquired it' })
  lastActivityAt: Date;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Seconds since its start' })
  ageSeconds: number;

  @ApiProperty({ description: 'Whether a request is writing to it now' })
  beingWritten: boolean;

  @ApiProperty({ type: String, nullable: true, description: 'The address of the client that started it' })
  clientAddress: string | null;

  @ApiProperty({ type: String, nullable: true })
  userAgent: string | null;

  @ApiProperty({ type: String, nullable: true, description: 'Who started it; null if unknown' })
  createdBy: string | null;
}

export class UploadPageDto {
  @ApiProperty({ type: [UploadDto] })
  items: UploadDto[];

  @NextCursorProperty()
  nextCursor: string | null;
}
