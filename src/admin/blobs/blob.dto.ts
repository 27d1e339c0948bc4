import { ApiProperty } from '@nestjs/swagger';
import { EXAMPLE_BLOB, EXAMPLE_BLOB_DIGEST, EXAMPLE_REPOSITORY, EXAMPLE_TIME } from '../../oci/examples.js';
import { NextCursorProperty } from '../paging/next-cursor.property.js';

const LINKED_AT = 'When the repository got it';

export class BlobDto {
  @ApiProperty({ description: 'The sha256 digest', example: EXAMPLE_BLOB_DIGEST })
  digest: string;

  @ApiProperty({
    type: [String],
    description: 'All verified digests, sha256 first, then tarsums',
    example: [EXAMPLE_BLOB_DIGEST],
  })
  digests: string[];

  @ApiProperty({ type: 'integer', minimum: 0, description: 'In bytes', example: EXAMPLE_BLOB.length })
  sizeBytes: number;

  @ApiProperty({ description: LINKED_AT, example: EXAMPLE_TIME })
  linkedAt: Date;
}

export class BlobRepositoryDto {
  @ApiProperty({ description: "The repository's name", example: EXAMPLE_REPOSITORY })
  name: string;

  @ApiProperty({ description: LINKED_AT, example: EXAMPLE_TIME })
  linkedAt: Date;
}

export class BlobRepositoryPageDto {
  @ApiProperty({ type: [BlobRepositoryDto], description: 'May be empty before the last page' })
  items: BlobRepositoryDto[];

  @NextCursorProperty()
  nextCursor: string | null;
}
