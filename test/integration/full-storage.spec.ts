import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { StorageFullError } from '../../src/storage/storage.errors.js';
import { freshName } from '../support/fresh-name.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { withSmallDisk } from '../support/small-disk.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';

const MIB = 1024 * 1024;

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
      checks: { database: 'ok', migrations: 'ok', storage: 'full', identity: 'ok' },
    });
  });
});

describe('the disk is full', () => {
  it('keeps what was acknowledged, returns 507, and continues when there is room again', async () => {
    await withSmallDisk(8 * MIB, async (root) => {
      const berth = await startTestBerth({
        STORAGE_FILESYSTEM_ROOT: join(root, 'storage'),
        UPLOAD_CHECKPOINT_BYTES: String(MIB),
      });
      try {
        const client = new RegistryClient(berth.url);
        const blob = randomBytes(5 * MIB);
        const location = await client.startUpload(freshName());
        await client.fetch(location, { method: 'PATCH', body: blob.subarray(0, 2 * MIB) });
        const ballast = join(root, 'ballast');
        await writeFile(ballast, Buffer.alloc(4 * MIB));

        const failed = await client.fetch(location, { method: 'PATCH', body: blob.subarray(2 * MIB) });
        expect(failed.status).toBe(507);
        await failed.arrayBuffer();
        const range = String((await client.fetch(location)).headers.get('range'));
        const offset = Number(range.split('-')[1]) + 1;
        // The first 2 MiB, and the complete checkpoints after them.
        expect(offset).toBeGreaterThanOrEqual(2 * MIB);
        expect(offset).toBeLessThan(5 * MIB);

        await rm(ballast);
        const rest = { method: 'PATCH', body: blob.subarray(offset) };
        expect((await client.fetch(location, rest)).status).toBe(202);
        const committed = await client.fetch(`${location}?digest=${digestOf(blob)}`, { method: 'PUT' });
        expect(committed.status).toBe(201);
      } finally {
        await berth.dispose();
      }
    });
  });
});
