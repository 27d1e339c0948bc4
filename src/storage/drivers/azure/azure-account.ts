import type { TokenCredential } from '@azure/identity';
import {
  type AnonymousCredential,
  BlobServiceClient,
  type ContainerClient,
  newPipeline,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import type { AzureSettings } from '../../../config/azure.settings.js';
import { RetryPolicy } from '../../object-store/retry-policy.js';
import { StorageError, StorageUnavailableError } from '../../storage.errors.js';
import type { AzureLimits } from './azure-limits.js';
import type { AzureAccess, AzurePlace } from './azure-place.js';
import { type BlobSigner, delegationSigner, keySigner } from './azure-signers.js';
import { toStorageError } from './azure.errors.js';

/** A container of a storage account, and how to call it. */
export interface AzureAccount {
  readonly container: ContainerClient;
  readonly place: AzurePlace;
  readonly retries: RetryPolicy;
  /**
   * Missing if Berth can't sign: with a shared access signature, or with an identity that gets no delegation
   * key.
   */
  readonly sign?: BlobSigner;
}

interface Credentials {
  readonly access: AzureAccess;
  /** Has a shared access signature as its query, if that is the credential. */
  readonly url: URL;
  readonly credential: StorageSharedKeyCredential | AnonymousCredential | TokenCredential;
}

/**
 * Opens the account of the settings. Sends no request, except for a key to sign with where one is needed.
 *
 * @throws StorageError if the settings are invalid, or Azure is unavailable.
 */
export async function openAccount(
  settings: AzureSettings,
  limits: AzureLimits,
  defaultCredential: () => Promise<TokenCredential> = loadDefaultCredential,
): Promise<AzureAccount> {
  const credentials = await credentialsOf(settings, defaultCredential);
  const { url, access, credential } = credentials;
  const place = {
    endpoint: `${url.origin}${url.pathname}`.replace(/\/+$/, ''),
    container: settings.storageAzureContainer,
    access,
  };
  // The SDK must not retry: RetryPolicy does.
  const pipeline = newPipeline(credential, { retryOptions: { maxTries: 1 } });
  const service = new BlobServiceClient(url.href.replace(/\/+(?=\?|$)/, ''), pipeline);
  const retries = new RetryPolicy(limits, (error, action, hasSucceeded) =>
    toStorageError(error, action, place, hasSucceeded),
  );
  const container = service.getContainerClient(settings.storageAzureContainer);
  const sign = signerOf(credentials, settings, service, retries);
  return { container, place, retries, ...(sign && (await canSign(sign, place)) && { sign }) };
}

/** An identity may have access to blobs but get no delegation key. Then Berth streams blobs itself. */
async function canSign(sign: BlobSigner, { container }: AzurePlace): Promise<boolean> {
  try {
    await sign({ containerName: container, blobName: 'probe', expiresOn: new Date(), isHttps: true });
    return true;
  } catch (error) {
    // While Azure is unavailable this can't be decided, so the start fails.
    if (!(error instanceof StorageError) || error instanceof StorageUnavailableError) throw error;
    return false;
  }
}

async function credentialsOf(
  settings: AzureSettings,
  defaultCredential: () => Promise<TokenCredential>,
): Promise<Credentials> {
  if (settings.storageAzureConnectionString !== undefined) {
    return connectionStringCredentials(settings.storageAzureConnectionString, settings.storageAzureEndpoint);
  }
  const name = settings.storageAzureAccountName;
  if (name === undefined) {
    throw new StorageError('set STORAGE_AZURE_CONNECTION_STRING or STORAGE_AZURE_ACCOUNT_NAME');
  }
  const url = new URL(settings.storageAzureEndpoint ?? `https://${name}.blob.core.windows.net`);
  if (settings.storageAzureAccountKey !== undefined) {
    const credential = new StorageSharedKeyCredential(name, settings.storageAzureAccountKey);
    return { access: 'account key', url, credential };
  }
  if (url.protocol !== 'https:') {
    throw new StorageError(
      'without STORAGE_AZURE_ACCOUNT_KEY Berth sends tokens, which need https://: check ' +
        'STORAGE_AZURE_ENDPOINT',
    );
  }
  return { access: 'default credential', url, credential: await defaultCredential() };
}

function connectionStringCredentials(text: string, endpoint: string | undefined): Credentials {
  const { url: named, credential } = parseConnectionString(text);
  const url = new URL(named);
  const isKey = credential instanceof StorageSharedKeyCredential;
  const access = isKey ? 'connection string' : 'shared access signature';
  if (endpoint === undefined) return { access, url, credential };
  const override = new URL(endpoint);
  override.search = url.search;
  return { access, url: override, credential };
}

function parseConnectionString(text: string): BlobServiceClient {
  try {
    return BlobServiceClient.fromConnectionString(text);
  } catch {
    // No cause: it may quote the string.
    throw new StorageError(
      'STORAGE_AZURE_CONNECTION_STRING is not a connection string of a storage account: expected ' +
        'DefaultEndpointsProtocol=…;AccountName=…;AccountKey=…;EndpointSuffix=…, or ' +
        'BlobEndpoint=…;SharedAccessSignature=…',
    );
  }
}

/** Imported only when needed: it is large, and most installations have a key. */
async function loadDefaultCredential(): Promise<TokenCredential> {
  const { DefaultAzureCredential } = await import('@azure/identity');
  return new DefaultAzureCredential();
}

function signerOf(
  { access, credential }: Credentials,
  settings: AzureSettings,
  service: BlobServiceClient,
  retries: RetryPolicy,
): BlobSigner | undefined {
  if (credential instanceof StorageSharedKeyCredential) return keySigner(credential);
  if (access === 'shared access signature') return undefined;
  const fetchKey = (startsOn: Date, expiresOn: Date): ReturnType<BlobServiceClient['getUserDelegationKey']> =>
    retries.run(
      {
        action:
          'get a user delegation key for signed URLs (it needs the role Storage Blob Delegator; or ' +
          'set STORAGE_REDIRECT=false)',
        attempt: (abortSignal) => service.getUserDelegationKey(startsOn, expiresOn, { abortSignal }),
      },
      {},
    );
  return delegationSigner(fetchKey, settings.storageAzureAccountName ?? service.accountName);
}
