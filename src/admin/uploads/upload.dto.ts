import { ApiProperty } from '@nestjs/swagger';
import { NextCursorProperty } from '../paging/next-cursor.property.js';

/** An upload session in progress. Its midstate and the driver's state are nobody's business but the writer's. */
export class UploadDto {
  @ApiProperty({ format: 'uuid' })
  id: string;

  @ApiProperty({ example: 'library/busybox' })
  repository: string;

  @ApiProperty({ enum: ['open', 'committing'], enumName: 'UploadInProgressState' })
  state: 'open' | 'committing';

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Bytes that are durable' })
  offsetBytes: number;

  @ApiProperty()
  startedAt: Date;

  @ApiProperty({ description: 'When it last made progress, or was taken by a writer' })
  lastActivityAt: Date;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Since it was started' })
  ageSeconds: number;

  @ApiProperty({ description: 'Whether a request holds it now' })
  beingWritten: boolean;

  @ApiProperty({ type: String, nullable: true, description: 'Where it was started from' })
  clientAddress: string | null;

  @ApiProperty({ type: String, nullable: true })
  userAgent: string | null;

  @ApiProperty({ type: String, nullable: true, description: 'Who started it; null: nobody in particular' })
  createdBy: string | null;
}

export class UploadPageDto {
  @ApiProperty({ type: [UploadDto] })
  items: UploadDto[];

  @NextCursorProperty()
  nextCursor: string | null;
}
