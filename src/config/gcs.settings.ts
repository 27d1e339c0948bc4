import { IsOptional, IsString, IsUrl, Matches } from 'class-validator';
import { Env } from './env.js';
import { DEFAULT_PART_SIZE_BYTES, ENDPOINT_URL, OBJECT_PREFIX, PartSize } from './object-store-rules.js';

/** The bucket of `STORAGE_DRIVER=gcs`. */
export class GcsSettings {
  @Env('STORAGE_GCS_BUCKET')
  @Matches(/^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/, { message: 'expected the name of a bucket' })
  storageGcsBucket!: string;

  /** File with the key of a service account. Unset: application default credentials. */
  @Env('STORAGE_GCS_KEY_FILE')
  @IsOptional()
  @IsString({ message: 'expected a file' })
  storageGcsKeyFile: string | undefined = undefined;

  /** An emulator or a private endpoint. Unset: `https://storage.googleapis.com`. */
  @Env('STORAGE_GCS_ENDPOINT')
  @IsOptional()
  @IsUrl(ENDPOINT_URL.options, { message: ENDPOINT_URL.expected })
  storageGcsEndpoint: string | undefined = undefined;

  /** Endpoint in URLs that clients are redirected to. Unset: the same as the endpoint. */
  @Env('STORAGE_GCS_PUBLIC_ENDPOINT')
  @IsOptional()
  @IsUrl(ENDPOINT_URL.options, { message: ENDPOINT_URL.expected })
  storageGcsPublicEndpoint: string | undefined = undefined;

  @Env('STORAGE_GCS_PREFIX')
  @Matches(OBJECT_PREFIX.pattern, { message: OBJECT_PREFIX.expected })
  storageGcsPrefix = '';

  /** Size of the parts in which a layer is uploaded. */
  @Env('STORAGE_GCS_PART_SIZE_BYTES')
  @PartSize()
  storageGcsPartSizeBytes = DEFAULT_PART_SIZE_BYTES;
}
