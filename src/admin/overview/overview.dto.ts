import { ApiProperty } from '@nestjs/swagger';

export class StorageOverviewDto {
  @ApiProperty({ description: 'As in `STORAGE_DRIVER`', example: 'filesystem' })
  driver: string;

  @ApiProperty({ description: 'Where the bytes are, without credentials' })
  location: string;
}

export class DatabaseOverviewDto {
  @ApiProperty({ description: 'Where it is, without credentials', example: 'PostgreSQL at db:5432/berth' })
  description: string;

  @ApiProperty({ example: '18.4' })
  serverVersion: string;
}

export class AccessOverviewDto {
  @ApiProperty({ enum: ['open'], description: 'As in `ACCESS_MODE`' })
  mode: 'open';

  @ApiProperty({ description: 'Whether the address can be reached from this machine alone' })
  loopbackOnly: boolean;
}

const COUNT = { type: 'integer', minimum: 0 } as const;

export class CountsDto {
  @ApiProperty(COUNT)
  repositories: number;

  @ApiProperty(COUNT)
  manifests: number;

  @ApiProperty(COUNT)
  tags: number;

  @ApiProperty(COUNT)
  blobs: number;

  @ApiProperty({ ...COUNT, description: 'Each content counts once, however many repositories link it' })
  blobBytes: number;

  @ApiProperty({ ...COUNT, description: 'Sessions that are open or being committed' })
  uploadsInProgress: number;
}

/** The registry at a glance. */
export class OverviewDto {
  @ApiProperty({ description: "Berth's version" })
  version: string;

  @ApiProperty({ example: 'v20.19.0' })
  nodeVersion: string;

  @ApiProperty({ type: 'integer', description: 'How long this process has been running' })
  uptimeSeconds: number;

  @ApiProperty()
  storage: StorageOverviewDto;

  @ApiProperty()
  database: DatabaseOverviewDto;

  @ApiProperty({ enum: ['openssl', 'wasm'], description: 'What computes the digests of layers' })
  hashImplementation: string;

  @ApiProperty()
  access: AccessOverviewDto;

  @ApiProperty()
  counts: CountsDto;
}
