import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import { AzureSettings } from '../../../config/azure.settings.js';
import { StorageError, StorageUnavailableError } from '../../storage.errors.js';
import { type AzureAccount, openAccount } from './azure-account.js';
import { AZURE_LIMITS } from './azure-limits.js';

const SECRET = 'c2VzYW1lc2VzYW1l';
const KEYED =
  'DefaultEndpointsProtocol=https;AccountName=berth;' +
  `AccountKey=${SECRET};EndpointSuffix=core.windows.net`;
const SIGNED =
  'BlobEndpoint=https://berth.blob.core.windows.net/;' + `SharedAccessSignature=sv=2025-01-05&sig=${SECRET}`;

function opened(
  settings: Partial<AzureSettings>,
  loaded: string[] = [],
  getToken: () => Promise<null> = () => Promise.reject(named('ECONNRESET')),
): Promise<AzureAccount> {
  const all = Object.assign(new AzureSettings(), { storageAzureContainer: 'layers', ...settings });
  return openAccount(all, { ...AZURE_LIMITS, attempts: 1 }, () => {
    loaded.push('credential');
    return Promise.resolve({ getToken });
  });
}

function named(code: string, properties: object = {}): Error {
  return Object.assign(new Error('a message of the SDK'), { name: 'RestError', code, ...properties });
}

describe('openAccount', () => {
  it.each<[string, Partial<AzureSettings>, string, string, boolean]>([
    [
      'a connection string',
      { storageAzureConnectionString: KEYED },
      'connection string',
      'https://berth.blob.core.windows.net',
      true,
    ],
    [
      'a connection string, and an endpoint that overrides it',
      { storageAzureConnectionString: KEYED, storageAzureEndpoint: 'http://127.0.0.1:10000/berth/' },
      'connection string',
      'http://127.0.0.1:10000/berth',
      true,
    ],
    [
      'a shared access signature, which can not sign',
      { storageAzureConnectionString: SIGNED },
      'shared access signature',
      'https://berth.blob.core.windows.net',
      false,
    ],
    [
      'an account key',
      { storageAzureAccountName: 'berth', storageAzureAccountKey: SECRET },
      'account key',
      'https://berth.blob.core.windows.net',
      true,
    ],
    [
      'the default credential, without a delegation key',
      { storageAzureAccountName: 'berth', storageAzureEndpoint: 'https://berth.blob.core.usgovcloudapi.net' },
      'default credential',
      'https://berth.blob.core.usgovcloudapi.net',
      false,
    ],
  ])('authenticates with %s', async (_, settings, access, endpoint, signs) => {
    const loaded: string[] = [];
    const denied = named('AuthorizationPermissionMismatch', { statusCode: 403 });
    const { place, container, sign } = await opened(settings, loaded, () => Promise.reject(denied));
    expect(place).toEqual({ access, endpoint, container: 'layers' });
    expect(container.url.split('?')[0]).toBe(`${endpoint}/layers`);
    expect(container.url.includes('sig=')).toBe(access === 'shared access signature');
    expect(sign !== undefined).toBe(signs);
    // Loaded only without another credential.
    expect(loaded).toHaveLength(access === 'default credential' ? 1 : 0);
  });

  it('rejects if Azure is unavailable, instead of deciding that it can not sign', async () => {
    const account = opened({ storageAzureAccountName: 'berth' });
    await expect(account).rejects.toBeInstanceOf(StorageUnavailableError);
    await expect(account).rejects.toThrow(/get a user delegation key/);
  });

  it('sends no token without TLS', async () => {
    const account = opened({
      storageAzureAccountName: 'berth',
      storageAzureEndpoint: 'http://127.0.0.1/berth',
    });
    await expect(account).rejects.toThrow(/STORAGE_AZURE_ACCOUNT_KEY.*https:.*STORAGE_AZURE_ENDPOINT/);
  });

  it.each([`AccountName=berth;AccountKey=${SECRET}`, `SharedAccessSignature=sig=${SECRET}`, 'nonsense=1'])(
    'rejects an invalid connection string, and does not quote it: %#',
    async (text) => {
      const failure: unknown = await opened({ storageAzureConnectionString: text }).catch(
        (error: unknown) => error,
      );
      if (!(failure instanceof StorageError)) throw new Error('opened');
      expect(failure.message).toMatch(/STORAGE_AZURE_CONNECTION_STRING is not a connection string/);
      expect(`${failure.stack} ${String(failure.cause)}`).not.toContain(SECRET);
    },
  );
});
