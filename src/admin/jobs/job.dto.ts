import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsBoolean, ValidateIf } from 'class-validator';
import { JOB_RUN_STATES, type JobRunState } from '../../database/entities/job-run.entity.js';
import { EXAMPLE_REPLICA, EXAMPLE_TIME } from '../../oci/examples.js';
import { NextCursorProperty } from '../paging/next-cursor.property.js';

export const EXAMPLE_JOB = 'reap';
export const EXAMPLE_RUN = '4711';

const TIME = { type: String, format: 'date-time', nullable: true } as const;

export class JobRunDto {
  @ApiProperty({ example: EXAMPLE_RUN })
  id: string;

  @ApiProperty({ example: EXAMPLE_JOB })
  job: string;

  @ApiProperty({
    enum: JOB_RUN_STATES,
    enumName: 'JobRunState',
    description: '`queued`: waits for a process, at first or because its process has stopped',
    example: 'succeeded',
  })
  state: JobRunState;

  @ApiProperty({ description: 'Whether it was requested; if not, it was due', example: true })
  requested: boolean;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'Who requested it; null if unknown',
    example: 'admin',
  })
  requestedBy: string | null;

  @ApiProperty({ description: 'Whether it changes nothing, and only counts', example: false })
  dryRun: boolean;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'The process that ran it last',
    example: EXAMPLE_REPLICA,
  })
  replica: string | null;

  @ApiProperty({
    type: 'object',
    additionalProperties: { type: 'integer' },
    description: 'What it has counted, up to its last batch. The names are those of the job',
    example: { expiredUploads: 3 },
  })
  progress: Readonly<Record<string, number>>;

  @ApiProperty({ type: String, nullable: true, description: 'Why it failed', example: null })
  error: string | null;

  @ApiProperty({ example: EXAMPLE_TIME })
  createdAt: Date;

  @ApiProperty({ ...TIME, example: EXAMPLE_TIME })
  startedAt: Date | null;

  @ApiProperty({ ...TIME, description: 'When it was asked to stop', example: null })
  stopRequestedAt: Date | null;

  @ApiProperty({ ...TIME, example: EXAMPLE_TIME })
  endedAt: Date | null;
}

export class JobDto {
  @ApiProperty({ example: EXAMPLE_JOB })
  name: string;

  @ApiProperty({ description: 'What it does', example: 'Removes what interrupted and idle uploads leave' })
  description: string;

  @ApiProperty({
    type: 'number',
    minimum: 0,
    description: 'About the seconds from the end of a run to the next one; 0: it runs only on request',
    example: 60,
  })
  intervalSeconds: number;

  @ApiProperty({ description: 'Whether a dry run can be requested', example: false })
  hasDryRun: boolean;

  @ApiProperty({ description: 'Whether it starts no runs until that is changed', example: false })
  paused: boolean;

  @ApiProperty({
    type: JobRunDto,
    nullable: true,
    description: 'The run that is queued or running',
    example: null,
  })
  currentRun: JobRunDto | null;

  @ApiProperty({ ...TIME, description: 'When the last run ended', example: EXAMPLE_TIME })
  lastEndedAt: Date | null;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'Why the last run failed; null if it did not',
    example: null,
  })
  lastError: string | null;
}

export class JobListDto {
  @ApiProperty({ type: [JobDto] })
  items: JobDto[];
}

export class JobRunPageDto {
  @ApiProperty({ type: [JobRunDto] })
  items: JobRunDto[];

  @NextCursorProperty()
  nextCursor: string | null;
}

export class NewJobRunDto {
  @ApiPropertyOptional({ default: false, description: 'Change nothing, only count', example: false })
  @ValidateIf((_, value) => value !== undefined)
  @IsBoolean({ message: 'dryRun: expected true or false' })
  dryRun: boolean = false;
}

export class JobPausedDto {
  @ApiProperty({ description: 'Whether the job starts no runs', example: true })
  @IsBoolean({ message: 'paused: expected true or false' })
  paused: boolean;
}
