import { ApiProperty } from '@nestjs/swagger';
import { EXAMPLE_REPOSITORY, EXAMPLE_TIME, EXAMPLE_UPLOAD_ID } from '../../oci/examples.js';
import { NextCursorProperty } from '../paging/next-cursor.property.js';
import { PageQueryDto } from '../paging/page-query.dto.js';
import { SortProperty } from '../paging/sort.property.js';
import { UPLOAD_SORTS, type UploadSort } from './uploads.query.js';

/** An upload session in progress, without the states of hash and driver, which are internal. */
export class UploadDto {
  @ApiProperty({ format: 'uuid', example: EXAMPLE_UPLOAD_ID })
  id: string;

  @ApiProperty({ example: EXAMPLE_REPOSITORY })
  repository: string;

  @ApiProperty({ enum: ['open', 'committing'], enumName: 'UploadInProgressState' })
  state: 'open' | 'committing';

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Bytes stored durably', example: 20_000_000 })
  offsetBytes: number;

  @ApiProperty({ example: EXAMPLE_TIME })
  startedAt: Date;

  @ApiProperty({ description: 'When it last made progress, or a request acquired it', example: EXAMPLE_TIME })
  lastActivityAt: Date;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Seconds since its start', example: 60 })
  ageSeconds: number;

  @ApiProperty({ description: 'Whether a request is writing to it now', example: false })
  beingWritten: boolean;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'The address of the client that started it',
    example: '127.0.0.1',
  })
  clientAddress: string | null;

  @ApiProperty({ type: String, nullable: true, example: 'skopeo/1.9.3' })
  userAgent: string | null;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'Who started it; null if unknown',
    example: null,
  })
  createdBy: string | null;
}

export class UploadPageDto {
  @ApiProperty({ type: [UploadDto] })
  items: UploadDto[];

  @NextCursorProperty()
  nextCursor: string | null;
}

export class UploadsQueryDto extends PageQueryDto {
  @SortProperty(UPLOAD_SORTS, 'By id, by the time of the start, or by the bytes that are stored.')
  sort: UploadSort = 'id';
}
