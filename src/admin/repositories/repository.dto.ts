import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsOptional, IsString, Matches, MaxLength } from 'class-validator';
import { MAX_REPOSITORY_NAME_LENGTH } from '../../oci/repository-name.js';
import { NextCursorProperty } from '../paging/next-cursor.property.js';
import { PageQueryDto } from '../paging/page-query.dto.js';

const COUNT = { type: 'integer', minimum: 0 } as const;

export class RepositoryDto {
  @ApiProperty({ example: 'library/busybox' })
  name: string;

  @ApiProperty()
  createdAt: Date;

  @ApiProperty(COUNT)
  tags: number;

  @ApiProperty(COUNT)
  manifests: number;

  @ApiProperty({ ...COUNT, description: 'Layers and configs that it links' })
  blobs: number;

  @ApiProperty({ ...COUNT, description: 'Of the blobs that it links; other repositories may link them too' })
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
    description: 'What the names begin with',
  })
  @IsOptional()
  @IsString({ message: 'q: expected one text' })
  @MaxLength(MAX_REPOSITORY_NAME_LENGTH, {
    message: `q: expected ${MAX_REPOSITORY_NAME_LENGTH} characters at the most`,
  })
  @Matches(/^[a-z0-9._/-]*$/, {
    message: 'q: expected the beginning of a name: a-z, 0-9, ".", "_", "-", "/"',
  })
  q?: string | undefined;
}
