import { ApiProperty } from '@nestjs/swagger';
import type { Forecast, RepositoryForecast, UntaggedForecast } from '../../collection/forecast/forecast.js';
import { EXAMPLE_REPOSITORY, EXAMPLE_TIME } from '../../oci/examples.js';

const count = (example: number, description?: string) =>
  ({ type: 'integer', minimum: 0, example, ...(description && { description }) }) as const;
const bytes = (example: number, description?: string) =>
  ({ type: 'integer', format: 'int64', minimum: 0, example, ...(description && { description }) }) as const;
const time = (description: string) =>
  ({ type: String, format: 'date-time', nullable: true, description, example: EXAMPLE_TIME }) as const;
const UNLESS_IN_TIME = 'Null if the registry is too large to measure it within 5 s';

export class RepositoryGarbageTotalDto {
  @ApiProperty(count(3, 'Links of blobs to the repository that go'))
  links: number;

  @ApiProperty(bytes(31_457_280, 'The bytes of these blobs'))
  bytesUnlinked: number;

  @ApiProperty(bytes(20_971_520, 'Those that no other repository links: the storage loses them'))
  bytesFreed: number;
}

export class GarbageTotalDto {
  @ApiProperty(count(3, 'Links of blobs to repositories that go'))
  links: number;

  @ApiProperty(bytes(31_457_280, 'The bytes of these blobs, as often as they are linked'))
  bytesUnlinked: number;

  @ApiProperty(count(2, 'Blobs that no repository links then'))
  blobs: number;

  @ApiProperty(count(2, 'Objects that are deleted from the storage'))
  objects: number;

  @ApiProperty(bytes(20_971_520, 'The bytes of these objects'))
  bytesFreed: number;
}

export class GarbageStageDto {
  @ApiProperty(count(2))
  count: number;

  @ApiProperty(bytes(20_971_520))
  bytes: number;

  @ApiProperty(time('When the first of them goes; null if there is none'))
  nextAt: string | null;

  @ApiProperty(time('When the last of them goes'))
  lastAt: string | null;
}

export class ObjectsStageDto extends GarbageStageDto {
  @ApiProperty(count(0, 'Those that could not be deleted so far; they are retried'))
  failing: number;

  @ApiProperty({ type: String, nullable: true, description: 'Why not, of one of them', example: null })
  lastError: string | null;

  @ApiProperty({
    type: String,
    nullable: true,
    description:
      'Why no object is deleted now: the storage is unavailable, or this database is a clone or was restored',
    example: null,
  })
  refusal: string | null;
}

export class UntaggedStageDto implements UntaggedForecast {
  @ApiProperty({
    description: 'Whether the collector deletes them: `GC_UNTAGGED_SECONDS` is not 0',
    example: false,
  })
  enabled: boolean;

  @ApiProperty({
    ...count(4, 'Live manifests that no tag, index, subject or missing reference holds. ' + UNLESS_IN_TIME),
    nullable: true,
  })
  count: number | null;

  @ApiProperty({
    ...bytes(
      20_971_520,
      'What the storage would lose if these manifests were deleted, with what follows them: children and ' +
        'referrers that nothing else holds, and signatures. Not in `now` and `afterWindows`, nor in ' +
        '`repositories`, before they are deleted. ' +
        UNLESS_IN_TIME,
    ),
    nullable: true,
  })
  bytes: number | null;
}

export class FollowersStageDto {
  @ApiProperty(count(0, 'Deletions of which the collector has yet to find what follows them'))
  count: number;
}

export class GarbageStagesDto {
  @ApiProperty({ description: 'Manifests without a tag, also where the collector does not delete them' })
  untagged: UntaggedStageDto;

  @ApiProperty({ description: 'What follows deletions: children, referrers, signatures' })
  followers: FollowersStageDto;

  @ApiProperty({
    description:
      'Deletions that can be restored, or are being purged; `bytes` are those of blobs that nothing else ' +
      'in their repositories needs. `nextAt` and `lastAt` are the ends of `GC_UNDELETE_SECONDS`',
  })
  deletions: GarbageStageDto;

  @ApiProperty({
    description: 'Links that no manifest needs: they go `GC_GRACE_SECONDS` after their last use',
  })
  links: GarbageStageDto;

  @ApiProperty({ description: 'Blobs that no repository links: they go with the next run' })
  blobs: GarbageStageDto;

  @ApiProperty({ description: 'Objects of blobs that are gone: they go after `GC_READ_WINDOW_SECONDS`' })
  objects: ObjectsStageDto;
}

export class GarbageReasonsDto {
  @ApiProperty(bytes(0, 'No manifest needs them'))
  unneeded: number;

  @ApiProperty(bytes(31_457_280, 'Only deleted manifests need them'))
  deleted: number;

  @ApiProperty(bytes(0, 'The repository is deleted'))
  repository: number;
}

export class RepositoryGarbageDto implements RepositoryForecast {
  @ApiProperty({
    description: 'Its name; of a deleted repository, the one that it had',
    example: EXAMPLE_REPOSITORY,
  })
  repository: string;

  @ApiProperty({ example: false })
  isDeleted: boolean;

  @ApiProperty({ description: 'With the next run' })
  now: RepositoryGarbageTotalDto;

  @ApiProperty({ description: 'When all windows are over' })
  afterWindows: RepositoryGarbageTotalDto;

  @ApiProperty({ description: 'Why: the bytes of `afterWindows.bytesUnlinked` by reason' })
  reasons: GarbageReasonsDto;

  @ApiProperty({ description: 'When its first link goes', format: 'date-time', example: EXAMPLE_TIME })
  nextAt: string;

  @ApiProperty({ description: 'When its last link goes', format: 'date-time', example: EXAMPLE_TIME })
  lastAt: string;
}

/** What collections will delete if nothing is pushed, restored or deleted meanwhile. */
export class GarbageDto implements Forecast {
  @ApiProperty({ format: 'date-time', example: EXAMPLE_TIME })
  measuredAt: string;

  @ApiProperty({
    description: 'False if the collector has yet to find what follows some deletions: then more will go',
    example: true,
  })
  isComplete: boolean;

  @ApiProperty({ description: 'What waits for each stage of the collection' })
  stages: GarbageStagesDto;

  @ApiProperty({ description: 'What the next run deletes' })
  now: GarbageTotalDto;

  @ApiProperty({ description: 'What is deleted when all windows are over' })
  afterWindows: GarbageTotalDto;

  @ApiProperty({
    type: [RepositoryGarbageDto],
    description: 'The same for each repository: the 100 with most bytes',
  })
  repositories: RepositoryGarbageDto[];
}
