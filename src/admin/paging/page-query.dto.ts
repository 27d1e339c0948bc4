import { ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsInt, IsOptional, IsString, Max, MaxLength, Min } from 'class-validator';
import { MAX_CURSOR_LENGTH } from './keyset-cursor.js';

export const DEFAULT_PAGE_SIZE = 100;
export const MAX_PAGE_SIZE = 1_000;

/** Accepts decimal digits only. `Number` would accept `1e2`, `0x64` and ` 100 `, too. */
const decimal = ({ value }: { value: unknown }): unknown =>
  typeof value === 'string' && /^[0-9]{1,9}$/.test(value) ? Number(value) : value;

/** The query parameters of a list. */
export class PageQueryDto {
  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: MAX_PAGE_SIZE,
    default: DEFAULT_PAGE_SIZE,
    description: 'Maximum number of items in the page',
  })
  @Transform(decimal)
  @IsInt({ message: `limit: expected a number from 1 to ${MAX_PAGE_SIZE}` })
  @Min(1, { message: `limit: expected a number from 1 to ${MAX_PAGE_SIZE}` })
  @Max(MAX_PAGE_SIZE, { message: `limit: expected a number from 1 to ${MAX_PAGE_SIZE}` })
  limit: number = DEFAULT_PAGE_SIZE;

  @ApiPropertyOptional({
    type: String,
    maxLength: MAX_CURSOR_LENGTH,
    description: '`nextCursor` of the previous page; omit it for the first page',
  })
  @IsOptional()
  @IsString({ message: 'cursor: expected a single value' })
  @MaxLength(MAX_CURSOR_LENGTH, { message: `cursor: expected at most ${MAX_CURSOR_LENGTH} characters` })
  cursor?: string | undefined;
}
