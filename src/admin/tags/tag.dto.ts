import { ApiProperty } from '@nestjs/swagger';
import { NextCursorProperty } from '../paging/next-cursor.property.js';

export class TagDto {
  @ApiProperty({ example: 'latest' })
  name: string;

  @ApiProperty({ description: 'Of the manifest that it points at' })
  digest: string;

  @ApiProperty({ example: 'application/vnd.oci.image.manifest.v1+json' })
  mediaType: string;

  @ApiProperty({ type: 'integer', description: 'Of the manifest itself, in bytes' })
  sizeBytes: number;

  @ApiProperty({ description: 'When it last moved' })
  updatedAt: Date;

  @ApiProperty({ type: String, nullable: true, description: 'Who moved it; null: nobody in particular' })
  updatedBy: string | null;
}

export class TagPageDto {
  @ApiProperty({ type: [TagDto] })
  items: TagDto[];

  @NextCursorProperty()
  nextCursor: string | null;
}
