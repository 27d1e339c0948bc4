import { IsBoolean, IsIn, IsOptional, IsUrl, Matches } from 'class-validator';
import { AsBoolean, Env } from './env.js';
import { ENDPOINT_URL, IsPartSize, OBJECT_PREFIX, PART_SIZE } from './object-store-rules.js';

const ENCRYPTIONS = ['AES256', 'aws:kms', 'aws:kms:dsse'] as const;
const KEY_PAIR = 'expected together with STORAGE_S3_SECRET_ACCESS_KEY, or neither of them';

/** The bucket of `STORAGE_DRIVER=s3`: AWS, and whatever speaks its protocol. */
export class S3Settings {
  @Env('STORAGE_S3_BUCKET')
  @Matches(/^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/, { message: 'expected the name of a bucket' })
  storageS3Bucket!: string;

  @Env('STORAGE_S3_REGION')
  @Matches(/^[A-Za-z0-9-]+$/, { message: 'expected a region, as in eu-central-1' })
  storageS3Region = 'us-east-1';

  /** Unset: AWS. */
  @Env('STORAGE_S3_ENDPOINT')
  @IsOptional()
  @IsUrl(ENDPOINT_URL.options, { message: ENDPOINT_URL.expected })
  storageS3Endpoint: string | undefined = undefined;

  /** What clients that are redirected call the endpoint; unset: the same. */
  @Env('STORAGE_S3_PUBLIC_ENDPOINT')
  @IsOptional()
  @IsUrl(ENDPOINT_URL.options, { message: ENDPOINT_URL.expected })
  storageS3PublicEndpoint: string | undefined = undefined;

  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`. Unset: where there is an endpoint of one's own. */
  @Env('STORAGE_S3_FORCE_PATH_STYLE')
  @IsOptional()
  @AsBoolean()
  @IsBoolean({ message: 'expected true or false' })
  storageS3ForcePathStyle: boolean | undefined = undefined;

  /** Unset, with the secret: the SDK's default chain (environment, shared files, container, instance). */
  @Env('STORAGE_S3_ACCESS_KEY_ID')
  @IsOptional()
  @Matches(/^\S+$/, { message: KEY_PAIR })
  storageS3AccessKeyId: string | undefined = undefined;

  @Env('STORAGE_S3_SECRET_ACCESS_KEY')
  @IsOptional()
  @Matches(/^\S+$/, { message: 'expected together with STORAGE_S3_ACCESS_KEY_ID, or neither of them' })
  storageS3SecretAccessKey: string | undefined = undefined;

  @Env('STORAGE_S3_PREFIX')
  @Matches(OBJECT_PREFIX.pattern, { message: OBJECT_PREFIX.expected })
  storageS3Prefix = '';

  /** Size of the parts that a layer is uploaded in. */
  @Env('STORAGE_S3_PART_SIZE_BYTES')
  @IsPartSize()
  storageS3PartSizeBytes = PART_SIZE.default;

  /** Unset: what the bucket does by default. */
  @Env('STORAGE_S3_SERVER_SIDE_ENCRYPTION')
  @IsOptional()
  @IsIn(ENCRYPTIONS, { message: `expected one of ${ENCRYPTIONS.join(', ')}` })
  storageS3ServerSideEncryption: (typeof ENCRYPTIONS)[number] | undefined = undefined;

  /** With `aws:kms`; unset: the account's own key. */
  @Env('STORAGE_S3_SSE_KMS_KEY_ID')
  @IsOptional()
  @Matches(/^\S+$/, { message: 'expected the id or ARN of a KMS key' })
  storageS3SseKmsKeyId: string | undefined = undefined;

  /** Unset: the bucket's. */
  @Env('STORAGE_S3_STORAGE_CLASS')
  @IsOptional()
  @Matches(/^[A-Z0-9_]+$/, { message: 'expected a storage class, as in STANDARD_IA' })
  storageS3StorageClass: string | undefined = undefined;
}
