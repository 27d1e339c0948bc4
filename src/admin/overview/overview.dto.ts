import { ApiProperty } from '@nestjs/swagger';

export class StorageOverviewDto {
  @ApiProperty({ description: 'The value of `STORAGE_DRIVER`', example: 'filesystem' })
  driver: string;

  @ApiProperty({ description: 'Location of the bytes, without credentials' })
  location: string;
}

export class DatabaseOverviewDto {
  @ApiProperty({
    description: 'Location of the database, without credentials',
    example: 'PostgreSQL at db:5432/berth',
  })
  description: string;

  @ApiProperty({ example: '18.4' })
  serverVersion: string;
}

export class AccessOverviewDto {
  @ApiProperty({ enum: ['open'], description: 'The value of `ACCESS_MODE`' })
  mode: 'open';

  @ApiProperty({ description: 'Whether the server listens on a loopback address only' })
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

  @ApiProperty({ ...COUNT, description: 'Each blob counts once, even if several repositories link it' })
  blobBytes: number;

  @ApiProperty({ ...COUNT, description: 'Upload sessions that are open or being committed' })
  uploadsInProgress: number;
}

/** Versions, storage, database and counts. */
export class OverviewDto {
  @ApiProperty({ description: "Berth's version" })
  version: string;

  @ApiProperty({ example: 'v20.19.0' })
  nodeVersion: string;

  @ApiProperty({ type: 'integer', description: 'Uptime of this process' })
  uptimeSeconds: number;

  @ApiProperty()
  storage: StorageOverviewDto;

  @ApiProperty()
  database: DatabaseOverviewDto;

  @ApiProperty({
    enum: ['openssl', 'wasm'],
    description: 'The implementation that computes digests of layers',
  })
  hashImplementation: string;

  @ApiProperty()
  access: AccessOverviewDto;

  @ApiProperty()
  counts: CountsDto;
}
