import { availableParallelism } from 'node:os';
import { Transform, Type } from 'class-transformer';
import {
  IsBoolean,
  IsIn,
  IsInt,
  IsOptional,
  IsString,
  IsUUID,
  Matches,
  Max,
  Min,
  MinLength,
  ValidateBy,
  type ValidationArguments,
} from 'class-validator';
import type { AzureSettings } from './azure.settings.js';
import { AsBoolean, Env } from './env.js';
import type { GcsSettings } from './gcs.settings.js';
import type { S3Settings } from './s3.settings.js';

export const STORAGE_DRIVERS = ['filesystem', 'memory', 's3', 'azure', 'gcs'] as const;
export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export const LOG_FORMATS = ['json', 'pretty'] as const;
export const MISSING_REFERENCES = ['reject', 'accept'] as const;

const MIB = 1024 * 1024;
const MOST_WORKERS = 64;
const MAX_RESERVE_BYTES = 1024 * 1024 * MIB;
const DAY_SECONDS = 24 * 60 * 60;
const YEAR_SECONDS = 365 * DAY_SECONDS;

/** Berth's settings, made from environment variables by `loadConfiguration` and immutable from then on. */
export class Configuration {
  /** Address to listen on. Anything but loopback needs `ACCESS_MODE=open` in words. */
  @Env('HOST')
  @IsString({ message: 'expected an address' })
  @MinLength(1, { message: 'expected an address' })
  host = '127.0.0.1';

  @Env('PORT')
  @Type(() => Number)
  @IsInt({ message: 'expected a port number from 0 to 65535 (0: any free port)' })
  @Min(0, { message: 'expected a port number from 0 to 65535 (0: any free port)' })
  @Max(65535, { message: 'expected a port number from 0 to 65535 (0: any free port)' })
  port = 5000;

  /** Processes that serve on this host; `auto`: one per core. See {@link processes}. */
  @Env('WORKERS')
  @Transform(({ value }: { value: unknown }) => (value === 'auto' ? value : Number(value)))
  @IsIn(['auto', ...Array.from({ length: MOST_WORKERS }, (_, index) => index + 1)], {
    message: `expected a number of processes from 1 to ${MOST_WORKERS}, or auto`,
  })
  @ValidateBy({
    name: 'aloneWithMemory',
    validator: {
      validate: (value: unknown, { object }: ValidationArguments) =>
        value === 1 || (object as Configuration).storageDriver !== 'memory',
      defaultMessage: () => "expected 1 with STORAGE_DRIVER=memory, since processes can't share their memory",
    },
  })
  workers: number | 'auto' = 1;

  /** How long requests may go on after a stop was asked for; uploads then checkpoint and let go. */
  @Env('SHUTDOWN_GRACE_SECONDS')
  @Type(() => Number)
  @IsInt({ message: 'expected a number of seconds from 0 to 3600' })
  @Min(0, { message: 'expected a number of seconds from 0 to 3600' })
  @Max(3600, { message: 'expected a number of seconds from 0 to 3600' })
  shutdownGraceSeconds = 5;

  /** Home of everything embedded, made absolute. */
  @Env('DATA_DIR')
  @IsString({ message: 'expected a directory' })
  dataDir = './data';

  /** Unset: Berth runs a PostgreSQL of its own. */
  @Env('DATABASE_URL')
  @IsOptional()
  @Matches(/^postgres(ql)?:\/\//, { message: 'expected postgres://user:password@host:port/database' })
  databaseUrl: string | undefined = undefined;

  /** Connections that one process keeps to Postgres at the most. */
  @Env('DATABASE_POOL_SIZE')
  @Type(() => Number)
  @IsInt({ message: 'expected a number of connections from 6 to 200' })
  @Min(6, { message: 'expected a number of connections from 6 to 200' })
  @Max(200, { message: 'expected a number of connections from 6 to 200' })
  databasePoolSize = 14;

  /**
   * Free space that writes must leave on the disk of the embedded PostgreSQL. Unset: by the size of the disk;
   * 0: none.
   */
  @Env('DATABASE_RESERVE_BYTES')
  @IsOptional()
  @Type(() => Number)
  @IsInt({ message: `expected a number of bytes from 0 to ${MAX_RESERVE_BYTES}` })
  @Min(0, { message: `expected a number of bytes from 0 to ${MAX_RESERVE_BYTES}` })
  @Max(MAX_RESERVE_BYTES, { message: `expected a number of bytes from 0 to ${MAX_RESERVE_BYTES}` })
  databaseReserveBytes: number | undefined = undefined;

  @Env('STORAGE_DRIVER')
  @IsIn(STORAGE_DRIVERS, { message: `expected one of ${STORAGE_DRIVERS.join(', ')}` })
  storageDriver: (typeof STORAGE_DRIVERS)[number] = 'filesystem';

  /** Root of the `filesystem` driver, made absolute; `DATA_DIR/storage` unless set. */
  @Env('STORAGE_FILESYSTEM_ROOT')
  @IsOptional()
  @IsString({ message: 'expected a directory' })
  storageFilesystemRoot: string | undefined = undefined;

  /** Identity of the database that is to adopt a storage of another identity, once: see `StorageIdentity`. */
  @Env('STORAGE_ADOPT')
  @IsOptional()
  @IsUUID(undefined, { message: 'expected the identity that the refused start has printed' })
  storageAdopt: string | undefined = undefined;

  /** Whether clients fetch blobs from the store by themselves, where the driver can let them. */
  @Env('STORAGE_REDIRECT')
  @AsBoolean()
  @IsBoolean({ message: 'expected true or false' })
  storageRedirect = true;

  /** Most bytes of an upload that a crash can cost. */
  @Env('UPLOAD_CHECKPOINT_BYTES')
  @Type(() => Number)
  @IsInt({ message: `expected a number of bytes from ${MIB} to ${1024 * MIB}` })
  @Min(MIB, { message: `expected a number of bytes from ${MIB} to ${1024 * MIB}` })
  @Max(1024 * MIB, { message: `expected a number of bytes from ${MIB} to ${1024 * MIB}` })
  uploadCheckpointBytes = 32 * MIB;

  /** An upload on which nothing happened for this long is given up, and its bytes are removed. */
  @Env('UPLOAD_TTL_SECONDS')
  @Type(() => Number)
  @IsInt({ message: `expected a number of seconds from 1 to ${YEAR_SECONDS}` })
  @Min(1, { message: `expected a number of seconds from 1 to ${YEAR_SECONDS}` })
  @Max(YEAR_SECONDS, { message: `expected a number of seconds from 1 to ${YEAR_SECONDS}` })
  uploadTtlSeconds = 7 * DAY_SECONDS;

  /**
   * How long a writer may be silent (frozen, or cut off from the database) before another one may take its
   * upload.
   */
  @Env('UPLOAD_LEASE_SECONDS')
  @Type(() => Number)
  @IsInt({ message: 'expected a number of seconds from 2 to 300' })
  @Min(2, { message: 'expected a number of seconds from 2 to 300' })
  @Max(300, { message: 'expected a number of seconds from 2 to 300' })
  uploadLeaseSeconds = 15;

  /** How long the events of uploads are kept. */
  @Env('UPLOAD_EVENT_RETENTION_SECONDS')
  @Type(() => Number)
  @IsInt({ message: `expected a number of seconds from 1 to ${YEAR_SECONDS}` })
  @Min(1, { message: `expected a number of seconds from 1 to ${YEAR_SECONDS}` })
  @Max(YEAR_SECONDS, { message: `expected a number of seconds from 1 to ${YEAR_SECONDS}` })
  uploadEventRetentionSeconds = 30 * DAY_SECONDS;

  /** A request body that moves no byte for this long is given up; what arrived is kept. */
  @Env('REQUEST_IDLE_TIMEOUT_SECONDS')
  @Type(() => Number)
  @IsInt({ message: 'expected a number of seconds from 1 to 3600' })
  @Min(1, { message: 'expected a number of seconds from 1 to 3600' })
  @Max(3600, { message: 'expected a number of seconds from 1 to 3600' })
  requestIdleTimeoutSeconds = 60;

  /**
   * Slowest client that is served: bytes per second on average over `requestIdleTimeoutSeconds`; 0 for no
   * minimum.
   */
  @Env('REQUEST_MIN_BYTES_PER_SECOND')
  @Type(() => Number)
  @IsInt({ message: `expected a number of bytes from 0 (no minimum) to ${MIB}` })
  @Min(0, { message: `expected a number of bytes from 0 (no minimum) to ${MIB}` })
  @Max(MIB, { message: `expected a number of bytes from 0 (no minimum) to ${MIB}` })
  requestMinBytesPerSecond = 1024;

  /**
   * Largest manifest accepted. The spec wants 4 MiB at least; sending much more to Postgres would delay
   * others.
   */
  @Env('MANIFEST_MAX_BYTES')
  @Type(() => Number)
  @IsInt({ message: `expected a number of bytes from ${4 * MIB} to ${16 * MIB}` })
  @Min(4 * MIB, { message: `expected a number of bytes from ${4 * MIB} to ${16 * MIB}` })
  @Max(16 * MIB, { message: `expected a number of bytes from ${4 * MIB} to ${16 * MIB}` })
  manifestMaxBytes = 4 * MIB;

  /** Most descriptors that a manifest may list: config, layers, child manifests. */
  @Env('MANIFEST_MAX_REFERENCES')
  @Type(() => Number)
  @IsInt({ message: 'expected a number from 128 to 10000' })
  @Min(128, { message: 'expected a number from 128 to 10000' })
  @Max(10_000, { message: 'expected a number from 128 to 10000' })
  manifestMaxReferences = 4096;

  /**
   * What happens to a manifest that names blobs or manifests its repository doesn't have ("sparse"
   * manifests).
   */
  @Env('MANIFEST_MISSING_REFERENCES')
  @IsIn(MISSING_REFERENCES, { message: `expected one of ${MISSING_REFERENCES.join(', ')}` })
  manifestMissingReferences: (typeof MISSING_REFERENCES)[number] = 'reject';

  /** `open`: everybody may do everything. Unset means open, on loopback alone. */
  @Env('ACCESS_MODE')
  @IsOptional()
  @IsIn(['open'], { message: 'expected open' })
  accessMode: 'open' | undefined = undefined;

  @Env('LOG_LEVEL')
  @IsIn(LOG_LEVELS, { message: `expected one of ${LOG_LEVELS.join(', ')}` })
  logLevel: (typeof LOG_LEVELS)[number] = 'info';

  /** Unset: `pretty` on a terminal, `json` otherwise. */
  @Env('LOG_FORMAT')
  @IsOptional()
  @IsIn(LOG_FORMATS, { message: `expected one of ${LOG_FORMATS.join(', ')}` })
  logFormat: (typeof LOG_FORMATS)[number] | undefined = undefined;

  /** Set where `STORAGE_DRIVER` is `s3`. */
  s3?: Readonly<S3Settings>;
  /** Set where `STORAGE_DRIVER` is `azure`. */
  azure?: Readonly<AzureSettings>;
  /** Set where `STORAGE_DRIVER` is `gcs`. */
  gcs?: Readonly<GcsSettings>;

  /** `workers` as a number. With one, this process serves itself. */
  get processes(): number {
    return this.workers === 'auto' ? Math.min(availableParallelism(), MOST_WORKERS) : this.workers;
  }

  /** `storageFilesystemRoot` with its default. */
  get filesystemRoot(): string {
    return this.storageFilesystemRoot ?? `${this.dataDir}/storage`;
  }
}
