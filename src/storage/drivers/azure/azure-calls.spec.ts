import { describe, expect, it } from '@jest/globals';
import { StorageUnavailableError } from '../../storage.errors.js';
import { AzureCalls } from './azure-calls.js';
import { AZURE_LIMITS } from './azure-limits.js';
import type { AzurePlace } from './azure-place.js';

const PLACE: AzurePlace = {
  endpoint: 'https://berth.blob.core.windows.net',
  container: 'layers',
  access: 'default credential',
};

describe('AzureCalls', () => {
  const noIdentity = {
    doing: 'answer',
    attempt: (): Promise<never> =>
      Promise.reject(Object.assign(new Error('none'), { name: 'CredentialUnavailableError' })),
  };
  const opened = (): AzureCalls => new AzureCalls(PLACE, { ...AZURE_LIMITS, attempts: 2, firstPauseMs: 1 });

  it('says that there is no identity, where there was none before', async () => {
    const failing = opened().make(noIdentity, {});
    await expect(failing).rejects.not.toBeInstanceOf(StorageUnavailableError);
    await expect(failing).rejects.toThrow(/found no identity/);
  });

  it('waits for an identity that Azure has let in before', async () => {
    const calls = opened();
    expect(await calls.make({ doing: 'answer', attempt: () => Promise.resolve(1) }, {})).toBe(1);
    await expect(calls.make(noIdentity, {})).rejects.toBeInstanceOf(StorageUnavailableError);
  });
});
