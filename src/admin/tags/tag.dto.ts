import { ApiProperty } from '@nestjs/swagger';
import { EXAMPLE_TAG, EXAMPLE_TIME } from '../../oci/examples.js';
import { ImageProperties } from '../manifests/image-properties.dto.js';
import { NextCursorProperty } from '../paging/next-cursor.property.js';
import { PageQueryDto } from '../paging/page-query.dto.js';
import { SortProperty } from '../paging/sort.property.js';
import { TAG_SORTS, type TagSort } from './tags.query.js';

export class TagDto extends ImageProperties {
  @ApiProperty({ example: EXAMPLE_TAG })
  name: string;

  @ApiProperty({ description: 'When the tag was last set or moved', example: EXAMPLE_TIME })
  pushedAt: Date;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'Who set or moved it last; null if unknown',
    example: null,
  })
  pushedBy: string | null;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'The address of the client that set or moved it last; null if unknown',
    example: '127.0.0.1',
  })
  clientAddress: string | null;
}

export class TagPageDto {
  @ApiProperty({ type: [TagDto] })
  items: TagDto[];

  @NextCursorProperty()
  nextCursor: string | null;
}

export class TagsQueryDto extends PageQueryDto {
  @SortProperty(TAG_SORTS, "By name, by the time of the last push, or by the image's size.")
  sort: TagSort = 'name';
}
