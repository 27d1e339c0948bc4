import { IsBoolean, IsIn, IsOptional, IsString, IsUUID, Matches } from 'class-validator';
import { isLoopback } from '../common/loopback.js';
import { AreAddressRanges } from './address-range.js';
import type { AzureSettings } from './azure.settings.js';
import { AsBoolean, AsList, Env, hidden, withoutPassword } from './env.js';
import type { GcsSettings } from './gcs.settings.js';
import { IsHost } from './host.js';
import { IsHostPort } from './host-port.js';
import { Integer } from './integer.js';
import { AreOrigins, AreReplicas, IsOrigin } from './origins.js';
import { IsPassword } from './password.js';
import type { S3Settings } from './s3.settings.js';
import { AreCertificateNames } from './certificate-name.js';
import { automaticWorkers, IsNumberOfWorkers } from './workers.js';

export const ROLES = ['replica', 'front'] as const;
export const STORAGE_DRIVERS = ['filesystem', 'memory', 's3', 'azure', 'gcs'] as const;
export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export const LOG_FORMATS = ['json', 'pretty'] as const;
export const ACCESS_MODES = ['open', 'token'] as const;
export const MISSING_REFERENCES = ['reject', 'accept'] as const;
export const TLS_MODES = ['files', 'auto', 'off'] as const;

const MIB = 1024 * 1024;
const TIB = 1024 * 1024 * MIB;
const DAY_SECONDS = 24 * 60 * 60;
const YEAR_SECONDS = 365 * DAY_SECONDS;

/** Berth's settings. `loadConfiguration` makes them from environment variables; they are immutable. */
export class Configuration {
  /** `front`: keeps the connections of clients, and passes their requests on to replicas. */
  @Env('ROLE')
  @IsIn(ROLES, { message: `expected one of ${ROLES.join(', ')}` })
  role: (typeof ROLES)[number] = 'replica';

  /** Address to listen on. On any except loopback, access control is on unless `ACCESS_MODE=open`. */
  @Env('HOST')
  @IsHost()
  host = '127.0.0.1';

  @Env('PORT')
  @Integer({ what: 'a port number', min: 0, max: 65535, zero: 'any free port' })
  port = 5000;

  /** Number of processes that serve on this host; `auto`: one per core. See {@link processes}. */
  @Env('WORKERS')
  @IsNumberOfWorkers()
  workers: number | 'auto' = 1;

  /**
   * How long requests that move may take to finish, when the process stops or hands over to another. Then
   * uploads are checkpointed and aborted. Ctrl-C waits for 5 s at most.
   */
  @Env('SHUTDOWN_GRACE_SECONDS')
  @Integer({ what: 'a number of seconds', min: 0, max: 3600 })
  shutdownGraceSeconds = 300;

  /** Directory of the embedded PostgreSQL and, by default, the storage. Made absolute. */
  @Env('DATA_DIR')
  @IsString({ message: 'expected a directory' })
  dataDir = './data';

  /** Unset: Berth runs an embedded PostgreSQL. */
  @Env('DATABASE_URL', withoutPassword)
  @IsOptional()
  @Matches(/^postgres(ql)?:\/\//, { message: 'expected postgres://user:password@host:port/database' })
  databaseUrl: string | undefined = undefined;

  /** How long a start waits for the server of `DATABASE_URL`. */
  @Env('DATABASE_WAIT_SECONDS')
  @Integer({ what: 'a number of seconds', min: 0, max: 3600, zero: 'no wait' })
  databaseWaitSeconds = 60;

  /** The newest migration of a newer version whose schema this version may use. */
  @Env('DATABASE_ACCEPT_NEWER')
  @IsOptional()
  @Matches(/^[A-Z]\w*\d{13}$/, { message: 'expected the migration that the refused start printed' })
  databaseAcceptNewer: string | undefined = undefined;

  /** Maximum number of connections of one process to Postgres. */
  @Env('DATABASE_POOL_SIZE')
  @Integer({ what: 'a number of connections', min: 6, max: 200 })
  databasePoolSize = 14;

  /** Free space that pushes must leave for the embedded PostgreSQL. Unset: see `reserveBytesOf`. */
  @Env('DATABASE_RESERVE_BYTES')
  @IsOptional()
  @Integer({ what: 'a number of bytes', min: 0, max: TIB, zero: 'no reserve' })
  databaseReserveBytes: number | undefined = undefined;

  @Env('STORAGE_DRIVER')
  @IsIn(STORAGE_DRIVERS, { message: `expected one of ${STORAGE_DRIVERS.join(', ')}` })
  storageDriver: (typeof STORAGE_DRIVERS)[number] = 'filesystem';

  /** Root of the `filesystem` driver, made absolute. Unset: `DATA_DIR/storage`. */
  @Env('STORAGE_FILESYSTEM_ROOT')
  @IsOptional()
  @IsString({ message: 'expected a directory' })
  storageFilesystemRoot: string | undefined = undefined;

  /** Identity of the database that adopts a storage of another identity, once: see `StorageIdentity`. */
  @Env('STORAGE_ADOPT')
  @IsOptional()
  @IsUUID(undefined, { message: 'expected the identity that the refused start printed' })
  storageAdopt: string | undefined = undefined;

  /** Whether clients are redirected to the object store for blobs, if the driver supports it. */
  @Env('STORAGE_REDIRECT')
  @AsBoolean()
  @IsBoolean({ message: 'expected true or false' })
  storageRedirect = true;

  /** Whether large layers are read from their connections directly, if that works with the running Node. */
  @Env('DIRECT_READS')
  @AsBoolean()
  @IsBoolean({ message: 'expected true or false' })
  directReads = true;

  /** Maximum bytes of an upload to resend after a crash. */
  @Env('UPLOAD_CHECKPOINT_BYTES')
  @Integer({ what: 'a number of bytes', min: MIB, max: 1024 * MIB })
  uploadCheckpointBytes = 32 * MIB;

  /** Uploads that were idle for this long expire, and their bytes are removed. */
  @Env('UPLOAD_TTL_SECONDS')
  @Integer({ what: 'a number of seconds', min: 1, max: YEAR_SECONDS })
  uploadTtlSeconds = 7 * DAY_SECONDS;

  /** Lease of an upload's writer. Not renewed in this time, it lapses: another request may take over. */
  @Env('UPLOAD_LEASE_SECONDS')
  @Integer({ what: 'a number of seconds', min: 2, max: 300 })
  uploadLeaseSeconds = 15;

  /** Uploads whose bodies one process receives at once. */
  @Env('UPLOAD_MAX_BODIES')
  @Integer({ what: 'a number of requests', min: 0, max: 100_000, zero: 'no limit' })
  uploadMaxBodies = 1_000;

  /** Open upload sessions of all replicas together. */
  @Env('UPLOAD_MAX_SESSIONS')
  @Integer({ what: 'a number of upload sessions', min: 0, max: 10_000_000, zero: 'no limit' })
  uploadMaxSessions = 100_000;

  /** Open upload sessions of one repository. */
  @Env('UPLOAD_MAX_SESSIONS_PER_REPOSITORY')
  @Integer({ what: 'a number of upload sessions', min: 0, max: 10_000_000, zero: 'no limit' })
  uploadMaxSessionsPerRepository = 10_000;

  /** How long events of uploads are kept. */
  @Env('UPLOAD_EVENT_RETENTION_SECONDS')
  @Integer({ what: 'a number of seconds', min: 1, max: YEAR_SECONDS })
  uploadEventRetentionSeconds = 30 * DAY_SECONDS;

  /** How long events of the audit log are kept. */
  @Env('AUDIT_RETENTION_SECONDS')
  @Integer({ what: 'a number of seconds', min: DAY_SECONDS, max: 10 * YEAR_SECONDS })
  auditRetentionSeconds = YEAR_SECONDS;

  /** Pause between two runs of the collector. */
  @Env('GC_INTERVAL_SECONDS')
  @Integer({ what: 'a number of seconds', min: 0, max: 7 * DAY_SECONDS, zero: 'only by hand' })
  gcIntervalSeconds = 60;

  /** How long a blob that nothing needs any more stays, so that a push can finish that has seen it. */
  @Env('GC_GRACE_SECONDS')
  @Integer({ what: 'a number of seconds', min: 0, max: YEAR_SECONDS })
  gcGraceSeconds = DAY_SECONDS;

  /** How long a deletion can be undone. */
  @Env('GC_UNDELETE_SECONDS')
  @Integer({ what: 'a number of seconds', min: 0, max: YEAR_SECONDS })
  gcUndeleteSeconds = 7 * DAY_SECONDS;

  /** Manifests that were without a tag for this long are deleted. */
  @Env('GC_UNTAGGED_SECONDS')
  @Integer({ what: 'a number of seconds', min: 0, max: 10 * YEAR_SECONDS, zero: 'never' })
  gcUntaggedSeconds = 0;

  /** How long the bytes of a collected blob stay, so that pulls and backups in progress can finish. */
  @Env('GC_READ_WINDOW_SECONDS')
  @Integer({ what: 'a number of seconds', min: 0, max: YEAR_SECONDS })
  gcReadWindowSeconds = 3600;

  /** Rows that the collector changes in one statement. */
  @Env('GC_BATCH_ROWS')
  @Integer({ what: 'a number of rows', min: 1, max: 10_000 })
  gcBatchRows = 500;

  /** Objects that the collector deletes per second, at most. */
  @Env('GC_OBJECT_DELETIONS_PER_SECOND')
  @Integer({ what: 'a number of objects', min: 1, max: 100_000 })
  gcObjectDeletionsPerSecond = 200;

  /** How long runs of jobs and ended deletions are listed. */
  @Env('JOB_HISTORY_SECONDS')
  @Integer({ what: 'a number of seconds', min: 1, max: 10 * YEAR_SECONDS })
  jobHistorySeconds = 30 * DAY_SECONDS;

  /** Connections of one process at once. */
  @Env('MAX_CONNECTIONS')
  @Integer({ what: 'a number of connections', min: 8, max: 1_000_000 })
  maxConnections = 10_000;

  /** Transfers stalled for this long are aborted; received bytes are kept. */
  @Env('REQUEST_IDLE_TIMEOUT_SECONDS')
  @Integer({ what: 'a number of seconds', min: 1, max: 3600 })
  requestIdleTimeoutSeconds = 60;

  /** Minimum speed of a client, in bytes per second, averaged over `requestIdleTimeoutSeconds`. */
  @Env('REQUEST_MIN_BYTES_PER_SECOND')
  @Integer({ what: 'a number of bytes', min: 0, max: MIB, zero: 'no minimum' })
  requestMinBytesPerSecond = 1024;

  /** Maximum size of a manifest. The spec requires at least 4 MiB; much larger ones delay other requests. */
  @Env('MANIFEST_MAX_BYTES')
  @Integer({ what: 'a number of bytes', min: 4 * MIB, max: 16 * MIB })
  manifestMaxBytes = 4 * MIB;

  /** Whether to accept manifests that refer to content missing in their repository ("sparse" manifests). */
  @Env('MANIFEST_MISSING_REFERENCES')
  @IsIn(MISSING_REFERENCES, { message: `expected one of ${MISSING_REFERENCES.join(', ')}` })
  manifestMissingReferences: (typeof MISSING_REFERENCES)[number] = 'reject';

  /**
   * `token`: each request needs rights. `open`: every client may do everything. Unset: open on loopback, for
   * this machine only; `token` on any other `HOST`. See {@link access}.
   */
  @Env('ACCESS_MODE')
  @IsOptional()
  @IsIn(ACCESS_MODES, { message: `expected one of ${ACCESS_MODES.join(', ')}` })
  accessMode: (typeof ACCESS_MODES)[number] | undefined = undefined;

  /** The first administrator. Has no effect where access is open. */
  @Env('ADMIN_USERNAME')
  @Matches(/^[a-z0-9][a-z0-9._-]{1,63}$/, {
    message: "expected 2 to 64 lower-case letters, digits, '.', '_' and '-', with a letter or digit first",
  })
  adminUsername = 'admin';

  /** While it is set, each start gives it to the administrator. Unset: made once, see `FirstRun`. */
  @Env('ADMIN_PASSWORD', hidden)
  @IsOptional()
  @IsPassword()
  adminPassword: string | undefined = undefined;

  /** A file whose first line is the password. Made absolute. */
  @Env('ADMIN_PASSWORD_FILE')
  @IsOptional()
  @IsString({ message: 'expected a file' })
  adminPasswordFile: string | undefined = undefined;

  /** Where clients reach the registry. Unset: as each request says. */
  @Env('PUBLIC_URL')
  @IsOptional()
  @IsOrigin()
  publicUrl: string | undefined = undefined;

  /** The audience of tokens, and the service that challenges name. The same on all replicas. */
  @Env('AUTH_SERVICE')
  @Matches(/^[\w.:/-]{1,128}$/, { message: "expected 1 to 128 letters, digits, '.', '_', ':', '/' and '-'" })
  authService = 'berth';

  /** How long a token is valid. */
  @Env('AUTH_TOKEN_TTL_SECONDS')
  @Integer({ what: 'a number of seconds', min: 60, max: DAY_SECONDS })
  authTokenTtlSeconds = 3600;

  /** Where the certificate of https is from; `off`: plain HTTP. Unset: see {@link tlsMode}. */
  @Env('TLS')
  @IsOptional()
  @IsIn(TLS_MODES, { message: `expected one of ${TLS_MODES.join(', ')}` })
  tls: (typeof TLS_MODES)[number] | undefined = undefined;

  /** Certificate for `TLS=files`, followed by its intermediate ones, in PEM. Made absolute. */
  @Env('TLS_CERT_FILE')
  @IsOptional()
  @IsString({ message: 'expected a file' })
  tlsCertFile: string | undefined = undefined;

  /** Private key of that certificate, in PEM, not encrypted. Made absolute. */
  @Env('TLS_KEY_FILE')
  @IsOptional()
  @IsString({ message: 'expected a file' })
  tlsKeyFile: string | undefined = undefined;

  /** Names and addresses for `TLS=auto`, besides those of this machine. */
  @Env('TLS_NAMES')
  @AsList()
  @AreCertificateNames()
  tlsNames: readonly string[] = [];

  /** Origins of web pages that may use `/v2`; `*` is all of them. */
  @Env('CORS_ORIGINS')
  @AsList()
  @AreOrigins()
  corsOrigins: readonly string[] = [];

  /** Proxies whose `X-Forwarded-*` headers count: addresses and CIDRs. */
  @Env('TRUSTED_PROXIES')
  @AsList()
  @AreAddressRanges()
  trustedProxies: readonly string[] = [];

  /** Where a front finds its replicas. A name with several addresses is several replicas. */
  @Env('FRONT_REPLICAS')
  @AsList()
  @AreReplicas()
  frontReplicas: readonly string[] = [];

  /** How long a request may go on without progress before a front gives up. */
  @Env('FRONT_RETRY_SECONDS')
  @Integer({ what: 'a number of seconds', min: 1, max: 3600 })
  frontRetrySeconds = 120;

  /** Memory of a front, per process, for bytes of uploads that are not durable yet. */
  @Env('FRONT_BUFFER_BYTES')
  @Integer({ what: 'a number of bytes', min: 32 * MIB, max: 1024 * 1024 * MIB })
  frontBufferBytes = 256 * MIB;

  /** How long requests in progress may continue when a front is stopped or restarted. */
  @Env('FRONT_DRAIN_SECONDS')
  @Integer({ what: 'a number of seconds', min: 0, max: DAY_SECONDS })
  frontDrainSeconds = 3600;

  /** A listener for `/metrics` alone, without a login. Unset: `/metrics` is on the port of the registry. */
  @Env('METRICS_ADDRESS')
  @IsOptional()
  @IsHostPort()
  metricsAddress: string | undefined = undefined;

  @Env('LOG_LEVEL')
  @IsIn(LOG_LEVELS, { message: `expected one of ${LOG_LEVELS.join(', ')}` })
  logLevel: (typeof LOG_LEVELS)[number] = 'info';

  /** Unset: `pretty` on a terminal, otherwise `json`. */
  @Env('LOG_FORMAT')
  @IsOptional()
  @IsIn(LOG_FORMATS, { message: `expected one of ${LOG_FORMATS.join(', ')}` })
  logFormat: (typeof LOG_FORMATS)[number] | undefined = undefined;

  /** Set if `STORAGE_DRIVER` is `s3`. */
  s3?: Readonly<S3Settings>;
  /** Set if `STORAGE_DRIVER` is `azure`. */
  azure?: Readonly<AzureSettings>;
  /** Set if `STORAGE_DRIVER` is `gcs`. */
  gcs?: Readonly<GcsSettings>;

  /**
   * Who has access: `token`: callers with rights; `open`: every client; `loopback`: programs of this machine,
   * but not the web pages of other origins.
   */
  get access(): 'open' | 'loopback' | 'token' {
    return this.accessMode ?? (isLoopback(this.host) ? 'loopback' : 'token');
  }

  /** `workers` as a number. With 1, the main process serves requests itself. */
  get processes(): number {
    return this.workers === 'auto' ? automaticWorkers() : this.workers;
  }

  /** How long requests may continue at a stop. */
  get graceSeconds(): number {
    return this.role === 'front' ? this.frontDrainSeconds : this.shutdownGraceSeconds;
  }

  /** `tls` with its default: where access control is for other machines, passwords need TLS. */
  get tlsMode(): (typeof TLS_MODES)[number] {
    if (this.tls !== undefined) return this.tls;
    if (this.tlsCertFile !== undefined) return 'files';
    return this.access === 'token' && !isLoopback(this.host) ? 'auto' : 'off';
  }

  /** `storageFilesystemRoot` with its default. */
  get filesystemRoot(): string {
    return this.storageFilesystemRoot ?? `${this.dataDir}/storage`;
  }
}
