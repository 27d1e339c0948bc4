import { ApiProperty } from '@nestjs/swagger';
import { NextCursorProperty } from '../paging/next-cursor.property.js';

export class TagDto {
  @ApiProperty({ example: 'latest' })
  name: string;

  @ApiProperty({ description: 'The digest of its manifest' })
  digest: string;

  @ApiProperty({ example: 'application/vnd.oci.image.manifest.v1+json' })
  mediaType: string;

  @ApiProperty({ type: 'integer', description: 'Size of the manifest itself, in bytes' })
  sizeBytes: number;

  @ApiProperty({ description: 'When the tag was set or moved last' })
  updatedAt: Date;

  @ApiProperty({ type: String, nullable: true, description: 'Who moved it last; null if unknown' })
  updatedBy: string | null;
}

export class TagPageDto {
  @ApiProperty({ type: [TagDto] })
  items: TagDto[];

  @NextCursorProperty()
  nextCursor: string | null;
}
