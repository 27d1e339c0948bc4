import { applyDecorators } from '@nestjs/common';
import { ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn } from 'class-validator';

/** Validates and documents `sort`. The first of `sorts` is the default. */
export const SortProperty = (sorts: readonly string[], description: string) =>
  applyDecorators(
    ApiPropertyOptional({
      enum: [...sorts],
      default: sorts[0],
      description:
        `${description} A leading \`-\` means descending. Items with the same value are sorted by ` +
        `\`${sorts[0]}\`, in the same direction.`,
    }),
    IsIn([...sorts], { message: `sort: expected one of ${sorts.join(', ')}` }),
  );
