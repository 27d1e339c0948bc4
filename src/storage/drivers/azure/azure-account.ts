import type { TokenCredential } from '@azure/identity';
import {
  type AnonymousCredential,
  BlobServiceClient,
  type ContainerClient,
  newPipeline,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import type { AzureSettings } from '../../../config/azure.settings.js';
import { StorageError, StorageUnavailableError } from '../../storage.errors.js';
import { agentFor } from './azure-agent.js';
import { AzureCalls } from './azure-calls.js';
import type { AzureLimits } from './azure-limits.js';
import type { AzureAccess, AzurePlace } from './azure-place.js';
import { type BlobSigner, delegationSigner, keySigner } from './azure-signers.js';

/** A container of a storage account, and what Berth may do there. */
export interface AzureAccount {
  readonly container: ContainerClient;
  readonly place: AzurePlace;
  readonly calls: AzureCalls;
  /** Missing where Berth has but a shared access signature, which can't make others, or an identity that Azure lends no key. */
  readonly sign?: BlobSigner;
}

interface Entrance {
  readonly access: AzureAccess;
  /** With the query of a shared access signature, where that is the way in. */
  readonly url: URL;
  readonly credential: StorageSharedKeyCredential | AnonymousCredential | TokenCredential;
}

/**
 * Asks Azure for nothing but a key to sign with, where it needs one. Rejects with a `StorageError` when the settings can't be
 * used, or Azure is away.
 */
export async function openAccount(
  settings: AzureSettings,
  limits: AzureLimits,
  defaultCredential: () => Promise<TokenCredential> = loadDefaultCredential,
): Promise<AzureAccount> {
  const entrance = await entranceOf(settings, defaultCredential);
  const { url, access, credential } = entrance;
  const place = {
    endpoint: `${url.origin}${url.pathname}`.replace(/\/+$/, ''),
    container: settings.storageAzureContainer,
    access,
  };
  // The SDK takes an agent, and its types don't say so. Its own retries are off: see Patience.
  const options = { agent: agentOf(url, limits), retryOptions: { maxTries: 1 } };
  const service = new BlobServiceClient(
    url.href.replace(/\/+(?=\?|$)/, ''),
    newPipeline(credential, options),
  );
  const calls = new AzureCalls(place, limits);
  const container = service.getContainerClient(settings.storageAzureContainer);
  const sign = signerOf(entrance, settings, service, calls);
  return { container, place, calls, ...(sign && (await canSign(sign, place)) && { sign }) };
}

/** An identity may read and write blobs without being lent a key: then they are streamed. */
async function canSign(sign: BlobSigner, { container }: AzurePlace): Promise<boolean> {
  try {
    await sign({ containerName: container, blobName: 'probe', expiresOn: new Date(), isHttps: true });
    return true;
  } catch (error) {
    // What may pass is no answer: who starts while Azure is away starts again.
    if (!(error instanceof StorageError) || error instanceof StorageUnavailableError) throw error;
    return false;
  }
}

async function entranceOf(
  settings: AzureSettings,
  defaultCredential: () => Promise<TokenCredential>,
): Promise<Entrance> {
  if (settings.storageAzureConnectionString !== undefined) {
    return connectionStringEntrance(settings.storageAzureConnectionString, settings.storageAzureEndpoint);
  }
  const name = settings.storageAzureAccountName;
  if (name === undefined) {
    throw new StorageError('STORAGE_AZURE_CONNECTION_STRING or STORAGE_AZURE_ACCOUNT_NAME is needed');
  }
  const url = new URL(settings.storageAzureEndpoint ?? `https://${name}.blob.core.windows.net`);
  if (settings.storageAzureAccountKey !== undefined) {
    const credential = new StorageSharedKeyCredential(name, settings.storageAzureAccountKey);
    return { access: 'account key', url, credential };
  }
  if (url.protocol !== 'https:') {
    throw new StorageError(
      'without STORAGE_AZURE_ACCOUNT_KEY Berth sends tokens, which only go over https://: check STORAGE_AZURE_ENDPOINT',
    );
  }
  return { access: 'default credential', url, credential: await defaultCredential() };
}

function connectionStringEntrance(text: string, endpoint: string | undefined): Entrance {
  const { url: named, credential } = parseConnectionString(text);
  const url = new URL(named);
  const isKey = credential instanceof StorageSharedKeyCredential;
  const access = isKey ? 'connection string' : 'shared access signature';
  if (endpoint === undefined) return { access, url, credential };
  const elsewhere = new URL(endpoint);
  elsewhere.search = url.search;
  return { access, url: elsewhere, credential };
}

function parseConnectionString(text: string): BlobServiceClient {
  try {
    return BlobServiceClient.fromConnectionString(text);
  } catch {
    // The cause isn't kept: nobody promises that it has no part of the string in it.
    throw new StorageError(
      'STORAGE_AZURE_CONNECTION_STRING is no connection string of a storage account: expected DefaultEndpointsProtocol=…;AccountName=…;AccountKey=…;EndpointSuffix=…, or BlobEndpoint=…;SharedAccessSignature=…',
    );
  }
}

/** Imported when it is needed: it is large, and most installations have a key. */
async function loadDefaultCredential(): Promise<TokenCredential> {
  const { DefaultAzureCredential } = await import('@azure/identity');
  return new DefaultAzureCredential();
}

/** None where a proxy is set for the process: then the SDK goes through it, and a given agent would prevent that. */
function agentOf(url: URL, limits: AzureLimits): ReturnType<typeof agentFor> | undefined {
  const variables = url.protocol === 'https:' ? ['HTTPS_PROXY', 'ALL_PROXY'] : ['HTTP_PROXY', 'ALL_PROXY'];
  const isProxied = variables.some((name) => process.env[name] ?? process.env[name.toLowerCase()]);
  return isProxied ? undefined : agentFor(url, limits.connectMs);
}

function signerOf(
  { access, credential }: Entrance,
  settings: AzureSettings,
  service: BlobServiceClient,
  calls: AzureCalls,
): BlobSigner | undefined {
  if (credential instanceof StorageSharedKeyCredential) return keySigner(credential);
  if (access === 'shared access signature') return undefined;
  const fetchKey = (startsOn: Date, expiresOn: Date): ReturnType<BlobServiceClient['getUserDelegationKey']> =>
    calls.make(
      {
        doing:
          'lend a key for signed URLs (a user delegation key, for the role Storage Blob Delegator; or set STORAGE_REDIRECT=false)',
        attempt: (abortSignal) => service.getUserDelegationKey(startsOn, expiresOn, { abortSignal }),
      },
      {},
    );
  return delegationSigner(fetchKey, settings.storageAzureAccountName ?? service.accountName);
}
