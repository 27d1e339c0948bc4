import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type AzureObjectStore,
  openAzureObjectStore,
} from '../../src/storage/drivers/azure/azure-object.store.js';
import { StorageError, StorageUnavailableError, UploadStateError } from '../../src/storage/storage.errors.js';
import { type AzuriteContainer, azuriteSettings, createAzuriteContainer } from '../support/azurite.js';
import { listed, NOW, putParts, readAll, stored } from '../contract/object-store.harness.js';
import { expectBytes } from '../contract/storage-driver.harness.js';

const OBJECT = { name: 'blobs/ab/object', id: '' };

/** Behaviour of Azure that the contract does not cover. */
describe('block blobs', () => {
  let azurite: AzuriteContainer;
  let store: AzureObjectStore;

  beforeEach(async () => {
    azurite = await createAzuriteContainer();
    store = await openAzureObjectStore(azuriteSettings(azurite));
  });
  afterEach(() => azurite.drop());

  it('are not shortened by a late completion with fewer blocks', async () => {
    const contents = [randomBytes(1000), randomBytes(1000)];
    const parts = await putParts(store, OBJECT, new Map(contents.map((bytes, at) => [at + 1, bytes])));
    await store.completeMultipart(OBJECT, parts, NOW);
    for (const late of [parts.slice(0, 1), parts, []]) {
      const completion = store.completeMultipart(OBJECT, late, NOW);
      await expect(completion).rejects.toBeInstanceOf(UploadStateError);
    }
    expectBytes(await readAll(store, OBJECT.name), Buffer.concat(contents));
  });

  it('are not created again by a completion after their deletion', async () => {
    const parts = await putParts(store, OBJECT, new Map([[1, randomBytes(1000)]]));
    await store.completeMultipart(OBJECT, parts, NOW);
    await store.delete([OBJECT.name], NOW);
    const completion = store.completeMultipart(OBJECT, parts, NOW);
    await expect(completion).rejects.toBeInstanceOf(UploadStateError);
    expect(await listed(store, '')).toEqual([]);
  });

  it('are complete or absent after a concurrent completion and abort', async () => {
    const outcomes = new Set<string>();
    for (let round = 0; round < 20; round += 1) {
      const multipart = { name: `blobs/${round}`, id: '' };
      const content = randomBytes(1000);
      const parts = await putParts(store, multipart, new Map([[1, content]]));
      const [completion] = await Promise.allSettled([
        store.completeMultipart(multipart, parts, NOW),
        ...Array.from({ length: round % 3 }, () => store.abortMultipart(multipart, parts, NOW)),
      ]);
      outcomes.add(completion.status);
      if (completion.status === 'fulfilled') {
        expectBytes(await readAll(store, multipart.name), content);
      } else {
        expect(completion.reason).toBeInstanceOf(UploadStateError);
        expect(await store.head(multipart.name, NOW)).toBeUndefined();
        expect(await listed(store, multipart.name)).toEqual([]);
      }
    }
    expect(outcomes).toContain('fulfilled');
  });

  it('have ids of equal length, different for each writer', async () => {
    const parts = await Promise.all(
      Array.from({ length: 50 }, () => putParts(store, OBJECT, new Map([[1, randomBytes(10)]]))),
    );
    const tags = parts.flat().map(({ tag }) => tag);
    expect(new Set(tags).size).toBe(50);
    for (const tag of tags) expect(tag).toMatch(/^[A-Za-z0-9]{32}$/);
  });

  it('keep the MD5 of the request', async () => {
    const content = randomBytes(1000);
    await stored(store, 'object', content);
    const { contentMD5, contentType } = await azurite.client.getBlobClient('object').getProperties();
    expect(contentMD5).toBeDefined();
    expect(contentType).toBe('application/octet-stream');
  });
});

describe('the start on Azure', () => {
  let azurite: AzuriteContainer;

  beforeEach(async () => {
    azurite = await createAzuriteContainer();
  });
  afterEach(() => azurite.drop());

  async function refused(settings: Parameters<typeof azuriteSettings>[1]): Promise<StorageError> {
    const store = await openAzureObjectStore(azuriteSettings(azurite, settings));
    const failure: unknown = await store.prepare().catch((error: unknown) => error);
    if (!(failure instanceof StorageError)) throw new Error('it succeeded');
    return failure;
  }

  it('reports a missing container', async () => {
    const failure = await refused({ storageAzureContainer: 'missing' });
    expect(failure.message).toMatch(/has no container missing.*STORAGE_AZURE_CONTAINER/);
    expect(failure).not.toBeInstanceOf(StorageUnavailableError);
  });

  it('reports a wrong key without its value', async () => {
    const wrong = Buffer.alloc(64, 'wrong').toString('base64');
    const failure = await refused({
      storageAzureConnectionString: undefined,
      storageAzureAccountName: azurite.account,
      storageAzureAccountKey: wrong,
      storageAzureEndpoint: azurite.endpoint,
    });
    expect(failure.message).toMatch(/key was refused.*STORAGE_AZURE_ACCOUNT_KEY/);
    expect(`${failure.stack} ${String(failure.cause)}`).not.toContain(wrong);
    expect(failure).not.toBeInstanceOf(StorageUnavailableError);
  });

  it('succeeds with an account and its key', async () => {
    const store = await openAzureObjectStore(
      azuriteSettings(azurite, {
        storageAzureConnectionString: undefined,
        storageAzureAccountName: azurite.account,
        storageAzureAccountKey: azurite.key,
        storageAzureEndpoint: azurite.endpoint,
      }),
    );
    await store.prepare();
    expect(await listed(store, '')).toEqual([]);
    expect(store.location).toBe(`${azurite.endpoint}/${azurite.container}/`);
  });
});
