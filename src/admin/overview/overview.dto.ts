import { ApiProperty } from '@nestjs/swagger';
import { ACCESS_MODES, type AccessMode } from '../access/access-mode.js';

const FREE_BYTES = {
  type: 'integer',
  format: 'int64',
  minimum: 0,
  nullable: true,
  example: 52_613_349_376,
} as const;

export class StorageOverviewDto {
  @ApiProperty({ description: 'The value of `STORAGE_DRIVER`', example: 'filesystem' })
  driver: string;

  @ApiProperty({ description: 'Location of the bytes, without credentials', example: '/srv/berth/storage' })
  location: string;

  @ApiProperty({
    ...FREE_BYTES,
    description:
      'Bytes that can still be stored: free space of the file system. Null for object stores, which have ' +
      'no known limit, and if it cannot be measured within 2 s',
  })
  freeBytes: number | null;
}

export class DatabaseOverviewDto {
  @ApiProperty({
    description: 'Location of the database, without credentials',
    example: 'PostgreSQL at db:5432/berth',
  })
  description: string;

  @ApiProperty({ example: '18.4' })
  serverVersion: string;

  @ApiProperty({
    ...FREE_BYTES,
    description: "Free space of the embedded database's file system. Null for an external database",
  })
  freeBytes: number | null;
}

export class AccessOverviewDto {
  @ApiProperty({
    enum: ACCESS_MODES,
    enumName: 'AccessMode',
    description:
      '`token`: each request needs rights. `open` and `loopback`: it needs none; `loopback` refuses requests ' +
      'of other web pages and for other host names',
    example: 'token',
  })
  mode: AccessMode;

  @ApiProperty({ description: 'Whether the server listens on a loopback address only', example: true })
  loopbackOnly: boolean;
}

const count = (example: number) => ({ type: 'integer', minimum: 0, example }) as const;

export class CountsDto {
  @ApiProperty(count(12))
  repositories: number;

  @ApiProperty(count(96))
  manifests: number;

  @ApiProperty(count(40))
  tags: number;

  @ApiProperty(count(350))
  blobs: number;

  @ApiProperty({
    ...count(9_663_676_416),
    description: 'Each blob counts once, even if several repositories link it',
  })
  blobBytes: number;

  @ApiProperty({ ...count(1), description: 'Upload sessions that are open or being committed' })
  uploadsInProgress: number;
}

/** Versions, storage, database and counts. */
export class OverviewDto {
  @ApiProperty({ description: "Berth's version", example: '0.1.0' })
  version: string;

  @ApiProperty({ example: 'v20.19.0' })
  nodeVersion: string;

  @ApiProperty({ type: 'integer', description: 'Uptime of this process', example: 86_400 })
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
