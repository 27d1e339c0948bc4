import { IsBoolean, IsIn, IsOptional, IsUrl, Matches } from 'class-validator';
import { AsBoolean, Env, hidden } from './env.js';
import { DEFAULT_PART_SIZE_BYTES, ENDPOINT_URL, OBJECT_PREFIX, PartSize } from './object-store-rules.js';

const ENCRYPTIONS = ['AES256', 'aws:kms', 'aws:kms:dsse'] as const;

/** The bucket of `STORAGE_DRIVER=s3`: AWS or a compatible store. */
export class S3Settings {
  @Env('STORAGE_S3_BUCKET')
  @Matches(/^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/, { message: 'expected the name of a bucket' })
  storageS3Bucket!: string;

  @Env('STORAGE_S3_REGION')
  @Matches(/^[A-Za-z0-9-]+$/, { message: 'expected a region, for example eu-central-1' })
  storageS3Region = 'us-east-1';

  /** Unset: AWS. */
  @Env('STORAGE_S3_ENDPOINT')
  @IsOptional()
  @IsUrl(ENDPOINT_URL.options, { message: ENDPOINT_URL.expected })
  storageS3Endpoint: string | undefined = undefined;

  /** Endpoint in URLs that clients are redirected to. Unset: the same as the endpoint. */
  @Env('STORAGE_S3_PUBLIC_ENDPOINT')
  @IsOptional()
  @IsUrl(ENDPOINT_URL.options, { message: ENDPOINT_URL.expected })
  storageS3PublicEndpoint: string | undefined = undefined;

  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`. Unset: true if an endpoint is set. */
  @Env('STORAGE_S3_FORCE_PATH_STYLE')
  @IsOptional()
  @AsBoolean()
  @IsBoolean({ message: 'expected true or false' })
  storageS3ForcePathStyle: boolean | undefined = undefined;

  /** Unset, with the secret: the SDK's default chain (environment, shared files, container, instance). */
  @Env('STORAGE_S3_ACCESS_KEY_ID', hidden)
  @IsOptional()
  @Matches(/^\S+$/, { message: 'expected an access key without spaces' })
  storageS3AccessKeyId: string | undefined = undefined;

  @Env('STORAGE_S3_SECRET_ACCESS_KEY', hidden)
  @IsOptional()
  @Matches(/^\S+$/, { message: 'expected a secret key without spaces' })
  storageS3SecretAccessKey: string | undefined = undefined;

  @Env('STORAGE_S3_PREFIX')
  @Matches(OBJECT_PREFIX.pattern, { message: OBJECT_PREFIX.expected })
  storageS3Prefix = '';

  /** Size of the parts in which a layer is uploaded. */
  @Env('STORAGE_S3_PART_SIZE_BYTES')
  @PartSize()
  storageS3PartSizeBytes = DEFAULT_PART_SIZE_BYTES;

  /** Unset: the bucket's default. */
  @Env('STORAGE_S3_SERVER_SIDE_ENCRYPTION')
  @IsOptional()
  @IsIn(ENCRYPTIONS, { message: `expected one of ${ENCRYPTIONS.join(', ')}` })
  storageS3ServerSideEncryption: (typeof ENCRYPTIONS)[number] | undefined = undefined;

  /** For `aws:kms`. Unset: the account's default key. */
  @Env('STORAGE_S3_SSE_KMS_KEY_ID')
  @IsOptional()
  @Matches(/^\S+$/, { message: 'expected the id or ARN of a KMS key' })
  storageS3SseKmsKeyId: string | undefined = undefined;

  /** Unset: the bucket's default. */
  @Env('STORAGE_S3_STORAGE_CLASS')
  @IsOptional()
  @Matches(/^[A-Z0-9_]+$/, { message: 'expected a storage class, for example STANDARD_IA' })
  storageS3StorageClass: string | undefined = undefined;
}
