import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { StorageFullError } from '../../src/storage/storage.errors.js';
import { freshName } from '../support/fresh-name.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';

describe('a full storage', () => {
  let berth: TestBerth;
  let client: RegistryClient;

  beforeAll(async () => {
    berth = await startTestBerth();
    client = new RegistryClient(berth.url);
    jest.spyOn(Logger.prototype, 'error').mockReturnValue(undefined);
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });
  afterAll(() => berth.dispose());

  it('31. refuses a PATCH with 507; the upload continues when there is space again', async () => {
    const location = await client.startUpload(freshName());
    jest.spyOn(berth.driver, 'openUpload').mockRejectedValueOnce(new StorageFullError('full'));
    expect((await client.patch(location, 'bytes')).status).toBe(507);
    expect((await client.commit(location, digestOf('bytes'), 'bytes')).status).toBe(201);
  });

  it('leaves the registry ready, and readiness reports the full storage', async () => {
    jest.spyOn(berth.driver, 'check').mockRejectedValue(new StorageFullError('full'));
    const response = await client.fetch('/health/ready');
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      status: 'degraded',
      checks: { database: 'ok', storage: 'full' },
    });
  });
});
