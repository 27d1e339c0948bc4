import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsOptional, IsString, Matches } from 'class-validator';
import { AUDIT_ACTIONS, type AuditAction, AUDIT_KINDS } from '../../../audit/audit-actions.js';
import { EXAMPLE_REPOSITORY, EXAMPLE_TIME } from '../../../oci/examples.js';
import { EventsQueryDto } from '../../events/events-query.dto.js';
import { NextCursorProperty } from '../../paging/next-cursor.property.js';

export const EXPECTED_ACTION = `action: expected an action or its first part: ${AUDIT_KINDS.join(', ')}`;

/** The query parameters of the audit log. */
export class AuditQueryDto extends EventsQueryDto {
  @ApiPropertyOptional({ type: String, description: 'Only what this account did', maxLength: 64 })
  @IsOptional()
  @Matches(/^[a-z0-9][a-z0-9._-]{1,63}$/, { message: 'actor: expected the name of an account' })
  actor?: string | undefined;

  @ApiPropertyOptional({
    type: String,
    description: `Only this action, or all that begin with it: ${AUDIT_KINDS.map((kind) => `\`${kind}\``).join(', ')}`,
    maxLength: 64,
  })
  @IsOptional()
  @Matches(/^[a-z.]{1,64}$/, { message: EXPECTED_ACTION })
  action?: string | undefined;

  @ApiPropertyOptional({ type: String, description: 'Only events of this repository', maxLength: 255 })
  @IsOptional()
  @IsString({ message: 'repository: expected a single value' })
  repository?: string | undefined;
}

const TEXT = { type: String, nullable: true } as const;
const FIELDS = { type: 'object', nullable: true, additionalProperties: true } as const;

export class AuditEventDto {
  @ApiProperty({
    enum: Object.keys(AUDIT_ACTIONS),
    enumName: 'AuditAction',
    description: Object.entries(AUDIT_ACTIONS)
      .map(([action, meaning]) => `\`${action}\`: ${meaning}`)
      .join('; '),
    example: 'grant.create',
  })
  action: AuditAction;

  @ApiProperty({ ...TEXT, description: 'What the event is about: see `action`', example: 'developers' })
  subject: string | null;

  @ApiProperty({ ...TEXT, description: 'The repository, for deletions and mounts', example: null })
  repository: string | null;

  @ApiProperty({
    ...TEXT,
    description: 'The name of the caller; null if it was anonymous, or if no request caused the event',
    example: 'admin',
  })
  actor: string | null;

  @ApiProperty({ ...TEXT, description: 'The address of the client', example: '192.0.2.7' })
  clientAddress: string | null;

  @ApiProperty({ ...TEXT, description: 'The `User-Agent` of the client', example: 'curl/8.14.1' })
  userAgent: string | null;

  @ApiProperty({
    ...TEXT,
    description: 'The id of the request, which the log has, too',
    example: '0c8f9a52-6f5f-4c0b-8c53-3f6a5a0f6d11',
  })
  requestId: string | null;

  @ApiProperty({ ...FIELDS, description: 'What was there before; null if nothing', example: null })
  before: object | null;

  @ApiProperty({
    ...FIELDS,
    description: 'What is there now; null if nothing',
    example: { pattern: `${EXAMPLE_REPOSITORY}/**`, role: 'push' },
  })
  after: object | null;

  @ApiProperty({ example: EXAMPLE_TIME })
  happenedAt: Date;
}

export class AuditEventPageDto {
  @ApiProperty({ type: [AuditEventDto] })
  items: AuditEventDto[];

  @NextCursorProperty()
  nextCursor: string | null;
}
