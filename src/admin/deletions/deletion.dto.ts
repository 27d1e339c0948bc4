import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsOptional, IsString, ValidateIf } from 'class-validator';
import {
  DELETION_KINDS,
  DELETION_STATES,
  type DeletionKind,
  type DeletionState,
  TAG_REASONS,
} from '../../deletions/deletion.js';
import {
  EXAMPLE_MANIFEST_DIGEST,
  EXAMPLE_REPOSITORY,
  EXAMPLE_TAG,
  EXAMPLE_TIME,
} from '../../oci/examples.js';
import { MAX_REPOSITORY_NAME_LENGTH } from '../../oci/repository-name.js';
import { NextCursorProperty } from '../paging/next-cursor.property.js';
import { PageQueryDto } from '../paging/page-query.dto.js';

export const EXAMPLE_DELETION_ID = '7';

const TIME = { type: String, format: 'date-time', nullable: true } as const;
const TEXT = { type: String, nullable: true } as const;
const count = (example: number) => ({ type: 'integer', minimum: 0, example }) as const;

/** A tag that a restored deletion had, and that is not there again. */
export class TagNotRestoredDto {
  @ApiProperty({ example: EXAMPLE_TAG })
  tag: string;

  @ApiProperty({
    enum: Object.keys(TAG_REASONS),
    enumName: 'TagReason',
    description: Object.entries(TAG_REASONS)
      .map(([reason, meaning]) => `\`${reason}\`: ${meaning}`)
      .join('; '),
    example: 'taken',
  })
  reason: keyof typeof TAG_REASONS;

  @ApiProperty({ ...TEXT, description: 'With `deleted`: the deletion to restore for it', example: null })
  deletionId: string | null;
}

/** What was restored so far. */
export class RestorationDto {
  @ApiProperty({ ...TEXT, description: 'Who restored it; null if unknown', example: 'admin' })
  actor: string | null;

  @ApiProperty({ ...count(3), description: 'Manifests of the deletion that are there again' })
  manifests: number;

  @ApiProperty({ ...count(1), description: 'Tags that are there again' })
  tags: number;

  @ApiProperty({ ...count(1), description: 'Tags that are not' })
  tagsNotRestored: number;

  @ApiProperty({ type: [TagNotRestoredDto], description: 'The first 100 of these' })
  notRestored: TagNotRestoredDto[];
}

/** A deletion: what one request deleted, or one step of the collector. */
export class DeletionDto {
  @ApiProperty({ example: EXAMPLE_DELETION_ID })
  id: string;

  @ApiProperty({ description: 'The name of the repository at that time', example: EXAMPLE_REPOSITORY })
  repository: string;

  @ApiProperty({
    enum: DELETION_KINDS,
    enumName: 'DeletionKind',
    description: '`untagged` and `retention` are those of the collector',
    example: 'manifest',
  })
  kind: DeletionKind;

  @ApiProperty({
    ...TEXT,
    description: 'The tag, or the digest of the manifest; null for a repository',
    example: EXAMPLE_MANIFEST_DIGEST,
  })
  reference: string | null;

  @ApiProperty({ ...TEXT, description: 'Who deleted it; null if unknown', example: 'admin' })
  actor: string | null;

  @ApiProperty({ ...TEXT, description: 'Why the collector deleted it', example: null })
  reason: string | null;

  @ApiProperty({ example: EXAMPLE_TIME })
  deletedAt: Date;

  @ApiProperty({ enum: DELETION_STATES, enumName: 'DeletionState', example: 'restorable' })
  state: DeletionState;

  @ApiProperty({
    ...TEXT,
    description:
      'Of a repository: the other name that it was restored under. Null if there is none, or if the caller ' +
      'may not read the repository of that name',
    example: null,
  })
  restoredAs: string | null;

  @ApiProperty({
    ...TIME,
    description:
      'Until when it can be restored: `GC_UNDELETE_SECONDS` after the deletion; null if it can not',
    example: EXAMPLE_TIME,
  })
  restorableUntil: Date | null;

  @ApiProperty({
    description: 'Whether what depends on it is deleted, too: children, referrers, signatures',
    example: true,
  })
  followed: boolean;

  @ApiProperty({ ...TIME, description: 'When its purge was requested', example: null })
  purgeRequestedAt: Date | null;

  @ApiProperty({ ...TIME, description: 'When it was restored or purged', example: null })
  endedAt: Date | null;
}

/** A deletion with what it consists of. */
export class DeletionDetailDto extends DeletionDto {
  @ApiProperty({
    ...count(3),
    description: 'Manifests that it deleted and that are still there to be restored; of a repository, all',
  })
  manifests: number;

  @ApiProperty({ ...count(1), description: 'Tags that went with it' })
  tags: number;

  @ApiProperty({
    type: RestorationDto,
    nullable: true,
    description: 'What was restored; null if nothing, and for repositories, which are restored as a whole',
    example: null,
  })
  restoration: RestorationDto | null;
}

export class DeletionPageDto {
  @ApiProperty({ type: [DeletionDto] })
  items: DeletionDto[];

  @NextCursorProperty()
  nextCursor: string | null;
}

export class DeletionsQueryDto extends PageQueryDto {
  @ApiPropertyOptional({
    type: String,
    maxLength: MAX_REPOSITORY_NAME_LENGTH,
    description: 'Only deletions in the repository of this name',
  })
  @IsOptional()
  @IsString({ message: 'repository: expected a single value' })
  repository?: string | undefined;

  @ApiPropertyOptional({
    enum: DELETION_STATES,
    enumName: 'DeletionState',
    description: 'Only deletions in this state',
  })
  @IsOptional()
  @IsIn(DELETION_STATES, { message: `state: expected one of ${DELETION_STATES.join(', ')}` })
  state?: DeletionState | undefined;
}

export class RestoreDto {
  @ApiPropertyOptional({
    type: String,
    maxLength: MAX_REPOSITORY_NAME_LENGTH,
    description: 'Another name for the repository. For the deletion of a repository only',
  })
  // Not IsOptional, which would let null pass.
  @ValidateIf((_, value) => value !== undefined)
  @IsString({ message: 'as: expected the name of a repository' })
  as?: string | undefined;
}
