import { ApiProperty } from '@nestjs/swagger';
import { EXAMPLE_MANIFEST_DIGEST } from '../../oci/examples.js';

const BYTES = { type: 'integer', format: 'int64', minimum: 0 } as const;

/** What tags and manifests have in common. */
export class ImageProperties {
  @ApiProperty({
    description: 'The digest of the manifest, in the algorithm of the push',
    example: EXAMPLE_MANIFEST_DIGEST,
  })
  digest: string;

  @ApiProperty({ example: 'application/vnd.oci.image.manifest.v1+json' })
  mediaType: string;

  @ApiProperty({
    type: String,
    nullable: true,
    example: 'application/vnd.oci.image.config.v1+json',
    description: "The manifest's `artifactType`, or else the media type of its config",
  })
  artifactType: string | null;

  @ApiProperty({
    type: [String],
    example: ['linux/amd64', 'linux/arm64/v8'],
    description:
      'The platforms of an image or an index: `os/architecture` or `os/architecture/variant`. Empty if the ' +
      'manifest names none, as artifacts do, or if the manifest or the config is larger than 64 KiB or ' +
      'cannot be read',
  })
  platforms: string[];

  @ApiProperty({
    ...BYTES,
    example: 29_534_055,
    description:
      'Size of the image: its config and layers. Of an index, those of all manifests below it that the ' +
      'repository has; each blob counts once. Content that was missing at the push counts after the ' +
      'manifest is pushed again',
  })
  sizeBytes: number;

  @ApiProperty({ ...BYTES, example: 610, description: 'Size of the manifest itself' })
  manifestSizeBytes: number;
}
