import { ApiProperty } from '@nestjs/swagger';

/** Documents `nextCursor` of a page. */
export const NextCursorProperty = () =>
  ApiProperty({
    type: String,
    nullable: true,
    description: 'The `cursor` of the next page; null on the last page',
    example: null,
  });
