import { IsOptional, IsUrl, Matches } from 'class-validator';
import { Env, hidden } from './env.js';
import { DEFAULT_PART_SIZE_BYTES, ENDPOINT_URL, OBJECT_PREFIX, PartSize } from './object-store-rules.js';

/** The container of `STORAGE_DRIVER=azure`. */
export class AzureSettings {
  @Env('STORAGE_AZURE_CONTAINER')
  @Matches(/^(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*$/, {
    message: 'expected the name of a container: 3 to 63 lower-case letters, digits and single dashes',
  })
  storageAzureContainer!: string;

  /** Account, key and endpoint together. Unset: the account name with its key, or the default credential. */
  @Env('STORAGE_AZURE_CONNECTION_STRING', hidden)
  @IsOptional()
  @Matches(/=/, { message: 'expected a connection string, or STORAGE_AZURE_ACCOUNT_NAME instead' })
  storageAzureConnectionString: string | undefined = undefined;

  @Env('STORAGE_AZURE_ACCOUNT_NAME')
  @IsOptional()
  @Matches(/^[a-z0-9]{3,24}$/, { message: 'expected the name of a storage account' })
  storageAzureAccountName: string | undefined = undefined;

  /** Unset: with an account name, the SDK's default credential (environment, managed identity …). */
  @Env('STORAGE_AZURE_ACCOUNT_KEY', hidden)
  @IsOptional()
  @Matches(/^[A-Za-z0-9+/]+=*$/, { message: 'expected a key of the storage account, in base64' })
  storageAzureAccountKey: string | undefined = undefined;

  /** Endpoint of the blob service. Unset: `https://<account>.blob.core.windows.net`. */
  @Env('STORAGE_AZURE_ENDPOINT')
  @IsOptional()
  @IsUrl(ENDPOINT_URL.options, { message: ENDPOINT_URL.expected })
  storageAzureEndpoint: string | undefined = undefined;

  /** Endpoint in URLs that clients are redirected to. Unset: the same as the endpoint. */
  @Env('STORAGE_AZURE_PUBLIC_ENDPOINT')
  @IsOptional()
  @IsUrl(ENDPOINT_URL.options, { message: ENDPOINT_URL.expected })
  storageAzurePublicEndpoint: string | undefined = undefined;

  @Env('STORAGE_AZURE_PREFIX')
  @Matches(OBJECT_PREFIX.pattern, { message: OBJECT_PREFIX.expected })
  storageAzurePrefix = '';

  /** Size of the blocks in which a layer is uploaded. */
  @Env('STORAGE_AZURE_PART_SIZE_BYTES')
  @PartSize()
  storageAzurePartSizeBytes = DEFAULT_PART_SIZE_BYTES;
}
