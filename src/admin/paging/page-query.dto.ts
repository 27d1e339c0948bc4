import { ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsInt, IsOptional, IsString, Max, MaxLength, Min } from 'class-validator';
import { MAX_CURSOR_LENGTH } from './keyset-cursor.js';

export const DEFAULT_PAGE_SIZE = 100;
export const MAX_PAGE_SIZE = 1_000;

/** Decimal digits alone become a number: `Number` would take `1e2`, `0x64` and ` 100 ` for one too. */
const decimal = ({ value }: { value: unknown }): unknown =>
  typeof value === 'string' && /^[0-9]{1,9}$/.test(value) ? Number(value) : value;

/** Which page of a list is wanted. */
export class PageQueryDto {
  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: MAX_PAGE_SIZE,
    default: DEFAULT_PAGE_SIZE,
    description: 'Most items that the page may have',
  })
  @Transform(decimal)
  @IsInt({ message: `limit: expected a number from 1 to ${MAX_PAGE_SIZE}` })
  @Min(1, { message: `limit: expected a number from 1 to ${MAX_PAGE_SIZE}` })
  @Max(MAX_PAGE_SIZE, { message: `limit: expected a number from 1 to ${MAX_PAGE_SIZE}` })
  limit: number = DEFAULT_PAGE_SIZE;

  @ApiPropertyOptional({
    type: String,
    maxLength: MAX_CURSOR_LENGTH,
    description: '`nextCursor` of the page before; the first page without it',
  })
  @IsOptional()
  @IsString({ message: 'cursor: expected one text' })
  @MaxLength(MAX_CURSOR_LENGTH, { message: `cursor: expected ${MAX_CURSOR_LENGTH} characters at the most` })
  cursor?: string | undefined;
}
