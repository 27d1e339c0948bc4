import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { GcsSettings } from '../../src/config/gcs.settings.js';
import { GcsObjectStore } from '../../src/storage/drivers/gcs/gcs-object.store.js';
import { StorageError, StorageUnavailableError } from '../../src/storage/storage.errors.js';
import { nodeGlobal } from '../support/node-global.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { GcsHarness } from '../support/gcs-server/gcs-harness.js';
import { bodyOf, listed, NOW, stored } from '../contract/object-store.harness.js';
import { useFaultyGcs } from './support/faulty-gcs.js';

const gcs = useFaultyGcs();

describe('messages about the settings of GCS', () => {
  async function failure(changes: Partial<GcsSettings>): Promise<StorageError> {
    const [outcome] = await Promise.allSettled([gcs.open(changes, { attempts: 2 }).prepare()]);
    if (outcome.status === 'fulfilled') throw new Error('it was prepared');
    expect(outcome.reason).toBeInstanceOf(StorageError);
    return outcome.reason as StorageError;
  }

  async function keyFile(content: string): Promise<string> {
    const path = join(gcs.harness.directory, 'other.json');
    await writeFile(path, content);
    return path;
  }

  it('a missing bucket', async () => {
    const error = await failure({ storageGcsBucket: 'missing' });
    expect(error).not.toBeInstanceOf(StorageUnavailableError);
    expect(error.message).toMatch(/there is no bucket missing .* STORAGE_GCS_BUCKET/);
  });

  it('a missing bucket is not a missing object', async () => {
    const missing = gcs.open({ storageGcsBucket: 'missing' });
    await expect(missing.head('x', NOW)).rejects.toThrow('there is no bucket missing');
    await expect(missing.get('x', { start: 0, end: 0 }, NOW)).rejects.toThrow('there is no bucket missing');
  });

  it.each(['storage.objects.create', 'storage.objects.list', 'storage.objects.delete'])(
    'a missing permission: %s',
    async (right) => {
      gcs.harness.server.denied.add(right);
      const error = await failure({});
      expect(error.message).toMatch(/has no permission .*bucket berth-tests.*roles\/storage\.objectUser/);
      expect(error.message).toContain(gcs.harness.keyFile);
      if (right === 'storage.objects.create')
        await expect(gcs.store.check(NOW)).rejects.toThrow('has no permission');
    },
  );

  it('a missing credential', async () => {
    const error = await failure({ storageGcsKeyFile: undefined });
    expect(error.message).toMatch(/is refused.*STORAGE_GCS_KEY_FILE/);
  });

  it('a deleted key', async () => {
    const other = await GcsHarness.start();
    const content = JSON.parse(gcs.harness.server.keyFile()) as Record<string, string>;
    const path = await keyFile(JSON.stringify({ ...content, client_email: 'who@else.test' }));
    await other.dispose();
    const error = await failure({ storageGcsKeyFile: path });
    expect(error.message).toMatch(/is refused.*STORAGE_GCS_KEY_FILE/);
    expect(error).not.toBeInstanceOf(StorageUnavailableError);
  });

  it('a revoked token', async () => {
    await gcs.store.prepare();
    gcs.harness.server.account.revokeTokens();
    await expect(gcs.store.put('x', bodyOf(Buffer.of()), NOW)).rejects.toThrow('is refused');
  });

  it.each([
    ['nowhere.json', undefined, /nowhere\.json of STORAGE_GCS_KEY_FILE can't be read \(ENOENT\)/],
    ['no JSON', '-----BEGIN PRIVATE KEY-----\nsecret', /is not JSON/],
    ['no key', '{"type":"service_account","client_email":"a@b"}', /has no client_email or no private_key/],
    ['a broken key', '{"client_email":"a@b","private_key":"secret"}', /has an invalid private_key/],
  ])('a key file: %s', async (name, content, message) => {
    const path = content === undefined ? join(gcs.harness.directory, name) : await keyFile(content);
    const error = await failure({ storageGcsKeyFile: path });
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('secret');
  });

  it("the SDK's variable for an emulator, which would override the setting", async () => {
    nodeGlobal.process.env['STORAGE_EMULATOR_HOST'] = 'http://127.0.0.1:1';
    try {
      expect((await failure({})).message).toMatch(/STORAGE_EMULATOR_HOST overrides.*STORAGE_GCS_ENDPOINT/);
    } finally {
      delete nodeGlobal.process.env['STORAGE_EMULATOR_HOST'];
    }
  });

  it('an unknown host', async () => {
    const error = await failure({
      storageGcsEndpoint: 'http://berth.invalid',
      storageGcsKeyFile: undefined,
    });
    expect(error).toBeInstanceOf(StorageUnavailableError);
    expect(error.message).toMatch(/berth\.invalid can't be resolved.*STORAGE_GCS_ENDPOINT/);
  });

  it.each([
    'http://storage.example',
    'http://192.0.2.1:80',
    'http://[2001:db8::1]',
    'http://localhost.example',
  ])('a key file with an unencrypted remote endpoint: %s', async (storageGcsEndpoint) => {
    const error = await failure({ storageGcsEndpoint });
    expect(error.message).toMatch(/need https:.*STORAGE_GCS_ENDPOINT/);
    const opening = GcsObjectStore.open(gcs.harness.settings({ storageGcsEndpoint }));
    await expect(opening).rejects.toThrow('need https:');
    expect(gcs.harness.server.requests).toEqual([]);
  });

  it.each(['localhost', '[::1]'])('a key file is allowed with a local endpoint: %s', async (host) => {
    const error = await failure({ storageGcsEndpoint: `http://${host}:1` });
    expect(error.message).toMatch(/nothing listens|can't be reached/);
  });

  it('a port where nothing listens', async () => {
    const gone = await FaultProxy.start(gcs.harness.server.url);
    await gone.close();
    const error = await failure({ storageGcsEndpoint: gone.endpoint });
    expect(error).toBeInstanceOf(StorageUnavailableError);
    expect(error.message).toMatch(/nothing listens at .*STORAGE_GCS_ENDPOINT/);
  });

  it('errors carry no token', async () => {
    gcs.harness.server.denied.add('storage.objects.list').add('storage.objects.create');
    for (const call of [() => listed(gcs.store, ''), () => gcs.store.put('x', bodyOf(Buffer.of()), NOW)]) {
      const [outcome] = await Promise.allSettled([call()]);
      if (outcome.status === 'fulfilled') throw new Error('it was allowed');
      const { cause } = outcome.reason as StorageError;
      expect(JSON.stringify({ ...(cause as object), message: (cause as Error).message })).not.toMatch(
        /ya29|Bearer/,
      );
      expect(Object.keys(cause as object).sort()).toEqual(['code', 'name', 'reason', 'status']);
    }
  });
});

describe('signed URLs of GCS', () => {
  it('has signed URLs only with a credential that can sign', async () => {
    const anonymous = await GcsObjectStore.open(gcs.harness.settings({ storageGcsKeyFile: undefined }));
    expect(anonymous.signedUrl).toBeUndefined();
    const able = await GcsObjectStore.open(gcs.harness.settings());
    expect(able.signedUrl).toBeDefined();
  });

  it('signs for the endpoint that clients use', async () => {
    const known = gcs.open({ storageGcsPublicEndpoint: `http://localhost:${gcs.harness.server.port}/` });
    await stored(known, 'object', Buffer.from('content'));
    const url = await known.signedUrl?.('object', 60);
    expect(url?.origin).toBe(`http://localhost:${gcs.harness.server.port}`);
    expect(await (await fetch(url ?? '')).text()).toBe('content');
  });
});
