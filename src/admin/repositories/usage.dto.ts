import { ApiProperty } from '@nestjs/swagger';

/** Blobs, and their bytes. */
export class BlobSumDto {
  @ApiProperty({ type: 'integer', minimum: 0, example: 5 })
  blobs: number;

  @ApiProperty({ type: 'integer', format: 'int64', minimum: 0, example: 31_457_280 })
  bytes: number;
}

/** What a repository uses of the storage. Exact, in one snapshot. */
export class UsageDto {
  @ApiProperty({ description: 'All blobs that the repository links: `exclusive` and `shared`' })
  linked: BlobSumDto;

  @ApiProperty({
    description: 'Blobs that no other repository links: what its deletion would free in the end',
  })
  exclusive: BlobSumDto;

  @ApiProperty({ description: 'Blobs that other repositories link, too, deleted ones included' })
  shared: BlobSumDto;

  @ApiProperty({
    description:
      'Of `linked`: what only deleted manifests need. It goes when these can not be restored any more',
  })
  restorable: BlobSumDto;

  @ApiProperty({
    description: 'Of `linked`: what no manifest needs. It goes `GC_GRACE_SECONDS` after its last use',
  })
  unneeded: BlobSumDto;
}
