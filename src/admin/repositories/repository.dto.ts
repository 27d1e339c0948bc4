import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsOptional, IsString, Matches, MaxLength } from 'class-validator';
import { EXAMPLE_REPOSITORY, EXAMPLE_TIME } from '../../oci/examples.js';
import { MAX_REPOSITORY_NAME_LENGTH } from '../../oci/repository-name.js';
import { NextCursorProperty } from '../paging/next-cursor.property.js';
import { PageQueryDto } from '../paging/page-query.dto.js';

const count = (example: number) => ({ type: 'integer', minimum: 0, example }) as const;

export class RepositoryDto {
  @ApiProperty({ example: EXAMPLE_REPOSITORY })
  name: string;

  @ApiProperty({ example: EXAMPLE_TIME })
  createdAt: Date;

  @ApiProperty(count(2))
  tags: number;

  @ApiProperty(count(2))
  manifests: number;

  @ApiProperty({ ...count(5), description: 'Layers and configs that the repository links' })
  blobs: number;

  @ApiProperty({
    ...count(31_457_280),
    description: 'Size of these blobs; other repositories may link them, too',
  })
  blobBytes: number;
}

export class RepositoryPageDto {
  @ApiProperty({ type: [RepositoryDto] })
  items: RepositoryDto[];

  @NextCursorProperty()
  nextCursor: string | null;
}

export class RepositoriesQueryDto extends PageQueryDto {
  @ApiPropertyOptional({
    type: String,
    maxLength: MAX_REPOSITORY_NAME_LENGTH,
    description: 'Prefix of the names, for example `demo/`',
  })
  @IsOptional()
  @IsString({ message: 'q: expected a single value' })
  @MaxLength(MAX_REPOSITORY_NAME_LENGTH, {
    message: `q: expected at most ${MAX_REPOSITORY_NAME_LENGTH} characters`,
  })
  @Matches(/^[a-z0-9._/-]*$/, {
    message: 'q: expected the prefix of a name: a-z, 0-9, ".", "_", "-", "/"',
  })
  q?: string | undefined;
}
