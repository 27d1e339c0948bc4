import { ApiProperty } from '@nestjs/swagger';
import {
  EXAMPLE_BLOB_DIGEST,
  EXAMPLE_MANIFEST_DIGEST,
  EXAMPLE_TAG,
  EXAMPLE_TIME,
} from '../../oci/examples.js';
import { NextCursorProperty } from '../paging/next-cursor.property.js';
import { PageQueryDto } from '../paging/page-query.dto.js';
import { SortProperty } from '../paging/sort.property.js';
import { ImageProperties } from './image-properties.dto.js';
import { MANIFEST_SORTS, type ManifestSort } from './manifests.query.js';

const SIZE = { type: 'integer', minimum: 0, description: 'In bytes', example: 1_024 } as const;

const COUNT = { type: 'integer', minimum: 0, example: 1 } as const;

export class ManifestDto extends ImageProperties {
  @ApiProperty({ type: String, nullable: true, description: 'Digest of its subject manifest', example: null })
  subject: string | null;

  @ApiProperty({ description: 'When it was pushed first', example: EXAMPLE_TIME })
  pushedAt: Date;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'Who pushed it first; null if unknown',
    example: null,
  })
  pushedBy: string | null;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'The address of the client that pushed it first; null if unknown',
    example: '127.0.0.1',
  })
  clientAddress: string | null;

  @ApiProperty({
    type: [String],
    description: 'Tags that point at it, sorted by name; `tagCount` may be higher',
    example: [EXAMPLE_TAG],
  })
  tags: string[];

  @ApiProperty({
    type: 'integer',
    minimum: 0,
    description: 'How many tags point at it; at most 1,000 are counted',
    example: 1,
  })
  tagCount: number;
}

export class ManifestsQueryDto extends PageQueryDto {
  @SortProperty(MANIFEST_SORTS, "By digest, by the time of the first push, or by the image's size.")
  sort: ManifestSort = 'digest';
}

export class ManifestPageDto {
  @ApiProperty({ type: [ManifestDto] })
  items: ManifestDto[];

  @NextCursorProperty()
  nextCursor: string | null;
}

export class BlobReferenceDto {
  @ApiProperty({ description: 'The sha256 digest', example: EXAMPLE_BLOB_DIGEST })
  digest: string;

  @ApiProperty({
    type: [String],
    description: 'All verified digests, sha256 first',
    example: [EXAMPLE_BLOB_DIGEST],
  })
  digests: string[];

  @ApiProperty(SIZE)
  sizeBytes: number;

  @ApiProperty({
    description: 'Whether the repository links the blob. True while the manifest exists',
    example: true,
  })
  linked: boolean;
}

export class ChildManifestDto {
  @ApiProperty({ example: EXAMPLE_MANIFEST_DIGEST })
  digest: string;

  @ApiProperty({ example: 'application/vnd.oci.image.manifest.v1+json' })
  mediaType: string;

  @ApiProperty({ ...SIZE, description: 'Size of the image, in bytes' })
  sizeBytes: number;

  @ApiProperty({ ...SIZE, description: 'Size of the manifest itself, in bytes' })
  manifestSizeBytes: number;
}

export class ReferencesDto {
  @ApiProperty({
    type: [BlobReferenceDto],
    description: 'Config and layers, or blobs that an index lists; up to 1,000, `blobCount` may be higher',
  })
  blobs: BlobReferenceDto[];

  @ApiProperty(COUNT)
  blobCount: number;

  @ApiProperty({
    type: [ChildManifestDto],
    description: 'Manifests that an index lists; up to 1,000, `manifestCount` may be higher',
  })
  manifests: ChildManifestDto[];

  @ApiProperty(COUNT)
  manifestCount: number;

  @ApiProperty({
    type: [String],
    description:
      'Digests that the repository did not have when the manifest was last pushed. What arrived later is ' +
      'listed until the manifest is pushed again. Up to 1,000, `missingCount` may be higher',
    example: [],
  })
  missing: string[];

  @ApiProperty(COUNT)
  missingCount: number;
}

export class ManifestDetailsDto extends ManifestDto {
  @ApiProperty({
    type: 'object',
    additionalProperties: { type: 'string' },
    nullable: true,
    example: { 'org.opencontainers.image.description': 'An example' },
  })
  annotations: Record<string, string> | null;

  @ApiProperty()
  references: ReferencesDto;
}
