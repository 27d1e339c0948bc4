import { ApiProperty } from '@nestjs/swagger';
import { EXAMPLE_MANIFEST_DIGEST, EXAMPLE_TAG, EXAMPLE_TIME } from '../../oci/examples.js';
import { NextCursorProperty } from '../paging/next-cursor.property.js';

export class TagDto {
  @ApiProperty({ example: EXAMPLE_TAG })
  name: string;

  @ApiProperty({ description: 'The digest of its manifest', example: EXAMPLE_MANIFEST_DIGEST })
  digest: string;

  @ApiProperty({ example: 'application/vnd.oci.image.manifest.v1+json' })
  mediaType: string;

  @ApiProperty({ type: 'integer', description: 'Size of the manifest itself, in bytes', example: 1_024 })
  sizeBytes: number;

  @ApiProperty({ description: 'When the tag was set or moved last', example: EXAMPLE_TIME })
  updatedAt: Date;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'Who moved it last; null if unknown',
    example: null,
  })
  updatedBy: string | null;
}

export class TagPageDto {
  @ApiProperty({ type: [TagDto] })
  items: TagDto[];

  @NextCursorProperty()
  nextCursor: string | null;
}
