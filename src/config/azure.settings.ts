import { IsOptional, IsUrl, Matches } from 'class-validator';
import { Env } from './env.js';
import { ENDPOINT_URL, IsPartSize, OBJECT_PREFIX, PART_SIZE } from './object-store-rules.js';

/** The container of `STORAGE_DRIVER=azure`. */
export class AzureSettings {
  @Env('STORAGE_AZURE_CONTAINER')
  @Matches(/^(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*$/, { message: 'expected the name of a container' })
  storageAzureContainer!: string;

  /** Account, key and endpoint in one. Unset: the account's name, with its key or the default credential. */
  @Env('STORAGE_AZURE_CONNECTION_STRING')
  @IsOptional()
  @Matches(/=/, { message: 'expected a connection string, or none and STORAGE_AZURE_ACCOUNT_NAME' })
  storageAzureConnectionString: string | undefined = undefined;

  @Env('STORAGE_AZURE_ACCOUNT_NAME')
  @IsOptional()
  @Matches(/^[a-z0-9]{3,24}$/, { message: 'expected the name of a storage account' })
  storageAzureAccountName: string | undefined = undefined;

  /** Unset, with an account's name: the SDK's default credential (environment, workload or managed identity …). */
  @Env('STORAGE_AZURE_ACCOUNT_KEY')
  @IsOptional()
  @Matches(/^[A-Za-z0-9+/]+=*$/, { message: 'expected a key of the storage account, in base64' })
  storageAzureAccountKey: string | undefined = undefined;

  /** Of the blob service; unset: `https://<account>.blob.core.windows.net`. */
  @Env('STORAGE_AZURE_ENDPOINT')
  @IsOptional()
  @IsUrl(ENDPOINT_URL.options, { message: ENDPOINT_URL.expected })
  storageAzureEndpoint: string | undefined = undefined;

  /** What clients that are redirected call the endpoint; unset: the same. */
  @Env('STORAGE_AZURE_PUBLIC_ENDPOINT')
  @IsOptional()
  @IsUrl(ENDPOINT_URL.options, { message: ENDPOINT_URL.expected })
  storageAzurePublicEndpoint: string | undefined = undefined;

  @Env('STORAGE_AZURE_PREFIX')
  @Matches(OBJECT_PREFIX.pattern, { message: OBJECT_PREFIX.expected })
  storageAzurePrefix = '';

  /** Size of the blocks that a layer is uploaded in. */
  @Env('STORAGE_AZURE_PART_SIZE_BYTES')
  @IsPartSize()
  storageAzurePartSizeBytes = PART_SIZE.default;
}
