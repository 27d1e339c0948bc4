import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import { AzureSettings } from '../../../config/azure.settings.js';
import { StorageError, StorageUnavailableError } from '../../storage.errors.js';
import { type AzureAccount, openAccount } from './azure-account.js';
import { AZURE_LIMITS } from './azure-limits.js';

const SECRET = 'c2VzYW1lc2VzYW1l';
const KEYED = `DefaultEndpointsProtocol=https;AccountName=berth;AccountKey=${SECRET};EndpointSuffix=core.windows.net`;
const SIGNED = `BlobEndpoint=https://berth.blob.core.windows.net/;SharedAccessSignature=sv=2025-01-05&sig=${SECRET}`;

function opened(
  settings: Partial<AzureSettings>,
  asked: string[] = [],
  getToken: () => Promise<null> = () => Promise.reject(named('ECONNRESET')),
): Promise<AzureAccount> {
  const all = Object.assign(new AzureSettings(), { storageAzureContainer: 'layers', ...settings });
  return openAccount(all, { ...AZURE_LIMITS, attempts: 1 }, () => {
    asked.push('credential');
    return Promise.resolve({ getToken });
  });
}

function named(code: string, properties: object = {}): Error {
  return Object.assign(new Error('in the words of the SDK'), { name: 'RestError', code, ...properties });
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
      'a connection string, and an endpoint that goes before the one in it',
      { storageAzureConnectionString: KEYED, storageAzureEndpoint: 'http://127.0.0.1:10000/berth/' },
      'connection string',
      'http://127.0.0.1:10000/berth',
      true,
    ],
    [
      'a shared access signature, which signs nothing',
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
      'the default credential, which is lent no key',
      { storageAzureAccountName: 'berth', storageAzureEndpoint: 'https://berth.blob.core.usgovcloudapi.net' },
      'default credential',
      'https://berth.blob.core.usgovcloudapi.net',
      false,
    ],
  ])('goes in with %s', async (_, settings, access, endpoint, signs) => {
    const asked: string[] = [];
    const denied = named('AuthorizationPermissionMismatch', { statusCode: 403 });
    const { place, container, sign } = await opened(settings, asked, () => Promise.reject(denied));
    expect(place).toEqual({ access, endpoint, container: 'layers' });
    expect(container.url.split('?')[0]).toBe(`${endpoint}/layers`);
    expect(container.url.includes('sig=')).toBe(access === 'shared access signature');
    expect(sign !== undefined).toBe(signs);
    // It is loaded only where nothing else is there.
    expect(asked).toHaveLength(access === 'default credential' ? 1 : 0);
  });

  it('does not take for an answer whether it can sign that Azure is away', async () => {
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
    'says that a connection string is none, and not what it is: %#',
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
