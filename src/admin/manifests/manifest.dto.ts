import { ApiProperty } from '@nestjs/swagger';
import { NextCursorProperty } from '../paging/next-cursor.property.js';

const SIZE = { type: 'integer', minimum: 0, description: 'In bytes' } as const;

export class ManifestDto {
  @ApiProperty({ description: 'In the algorithm of the push' })
  digest: string;

  @ApiProperty({ example: 'application/vnd.oci.image.manifest.v1+json' })
  mediaType: string;

  @ApiProperty({ type: String, nullable: true })
  artifactType: string | null;

  @ApiProperty({ type: String, nullable: true, description: 'Digest of its subject manifest' })
  subject: string | null;

  @ApiProperty(SIZE)
  sizeBytes: number;

  @ApiProperty()
  createdAt: Date;

  @ApiProperty({ type: String, nullable: true, description: 'Who pushed it; null if unknown' })
  createdBy: string | null;

  @ApiProperty({
    type: [String],
    description: 'Tags that point at it, sorted by name; `tagCount` may be higher',
  })
  tags: string[];

  @ApiProperty({ type: 'integer', minimum: 0, description: 'How many tags point at it' })
  tagCount: number;
}

export class ManifestPageDto {
  @ApiProperty({ type: [ManifestDto] })
  items: ManifestDto[];

  @NextCursorProperty()
  nextCursor: string | null;
}

export class BlobReferenceDto {
  @ApiProperty({ description: 'The sha256 digest' })
  digest: string;

  @ApiProperty({ type: [String], description: 'All verified digests, sha256 first' })
  digests: string[];

  @ApiProperty(SIZE)
  sizeBytes: number;

  @ApiProperty({ description: 'Whether the repository links the blob. True while the manifest exists' })
  linked: boolean;
}

export class ChildManifestDto {
  @ApiProperty()
  digest: string;

  @ApiProperty()
  mediaType: string;

  @ApiProperty(SIZE)
  sizeBytes: number;
}

export class ReferencesDto {
  @ApiProperty({ type: [BlobReferenceDto], description: 'Config and layers' })
  blobs: BlobReferenceDto[];

  @ApiProperty({ type: [ChildManifestDto], description: 'Manifests that an index lists' })
  manifests: ChildManifestDto[];

  @ApiProperty({
    type: [String],
    description: "Digests that the manifest refers to and the repository doesn't have",
  })
  missing: string[];
}

export class ManifestDetailsDto extends ManifestDto {
  @ApiProperty({ type: 'object', additionalProperties: { type: 'string' }, nullable: true })
  annotations: Record<string, string> | null;

  @ApiProperty()
  references: ReferencesDto;
}
