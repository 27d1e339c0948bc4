import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { StartupError } from '../../src/common/startup.error.js';
import { queryRows } from '../../src/database/query-rows.js';
import { StorageIdentityError } from '../../src/storage/storage.errors.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { reap as runReaper } from '../support/run-job.js';
import { describeOn } from '../support/storages.js';
import { freshName } from '../support/fresh-name.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { storedObjects, unfinishedUploads, withAgedUploads } from './support/storage-contents.js';

/** More than a driver keeps in the row of an upload, or a process in memory. */
const LAYER = randomBytes(2_000_000);

/** The sentence of a start that is refused. */
async function refusal(environment: Record<string, string>): Promise<string> {
  const error: unknown = await startTestBerth(environment).then(
    (berth) => berth.dispose(),
    (each: unknown) => each,
  );
  expect(error).toBeInstanceOf(StartupError);
  return (error as StartupError).message;
}

async function readiness(client: RegistryClient): Promise<unknown> {
  const response = await client.fetch('/health/ready');
  return [response.status, ((await response.json()) as { checks: unknown }).checks];
}

const CHECKS = { database: 'ok', migrations: 'ok', storage: 'ok', identity: 'ok' };
const READY = [200, CHECKS];
const NOT_READY = [503, { ...CHECKS, storage: 'unknown', identity: 'failed' }];

describeOn('filesystem', 'storage and database', ({ environment }) => {
  let berth: TestBerth;
  let client: RegistryClient;

  beforeAll(async () => {
    berth = await startTestBerth(environment);
    client = new RegistryClient(berth.url);
  });
  afterAll(() => berth.dispose());

  /** A directory within the storage. */
  const elsewhere = () => ({
    STORAGE_FILESYSTEM_ROOT: join(String(environment['STORAGE_FILESYSTEM_ROOT']), 'elsewhere'),
  });

  it('a Berth with another storage does not start, and writes nothing there', async () => {
    const sentence = await refusal({ ...environment, ...elsewhere(), DATABASE_URL: berth.databaseUrl });
    expect(sentence).toMatch(
      /^The storage \(.+\) doesn't belong to the database \(PostgreSQL at .+\): .+ is empty/,
    );
    for await (const { key } of berth.driver.list('elsewhere')) expect(key).toBeUndefined();
    expect(await readdir(String(environment['STORAGE_FILESYSTEM_ROOT']))).not.toContain('elsewhere');
  });

  it('a Berth of another database on the same storage does not start, and removes nothing', async () => {
    await client.pushBlob(freshName(), randomBytes(100));
    const before = await storedObjects(berth.driver);
    const sentence = await refusal(environment);
    expect(sentence).toMatch(/the storage has the identity .+ and holds blobs .+ has never had a storage/);
    expect(await storedObjects(berth.driver)).toEqual(before);
    expect(await readiness(client)).toEqual(READY);
  });

  it('a running Berth reaps nothing in a storage of another database, and is not ready', async () => {
    const [id] = (await unfinishedUploadWithoutRow()) as [string];
    const identity = String(await berth.driver.readIdentity());
    const reap = () => withAgedUploads(berth.driver, 10_000, () => runReaper(berth));

    const logged = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    await berth.driver.writeIdentity(randomUUID());
    await expect(reap()).rejects.toBeInstanceOf(StorageIdentityError);
    expect(await unfinishedUploads(berth.driver)).toContain(id);
    expect(await readiness(client)).toEqual(NOT_READY);
    const because = {
      err: expect.objectContaining({ message: expect.stringContaining(`instead of ${identity}`) }),
    };
    expect(logged.mock.calls).toEqual([[because, 'not ready: the identity check failed']]);
    logged.mockRestore();

    await berth.driver.writeIdentity(identity);
    expect(await readiness(client)).toEqual(READY);
    await reap();
    expect(await unfinishedUploads(berth.driver)).not.toContain(id);
  });

  /** Bytes without a session, for the reaper. */
  async function unfinishedUploadWithoutRow(): Promise<string[]> {
    const location = await client.startUpload(freshName());
    expect((await client.patch(location, LAYER)).status).toBe(202);
    await queryRows(berth.database.dataSource.manager, 'DELETE FROM uploads');
    return [String(location.split('/').at(-1))];
  }
});

describe('a disk that is not mounted', () => {
  let berth: TestBerth;
  let client: RegistryClient;
  let mountPoint: string;
  let disk: string;

  beforeEach(async () => {
    berth = await startTestBerth();
    client = new RegistryClient(berth.url);
    mountPoint = join(berth.dataDir, 'storage');
    disk = join(berth.dataDir, 'disk');
  });
  afterEach(() => berth.dispose());

  const unmount = async () => {
    await rename(mountPoint, disk);
    await mkdir(mountPoint);
  };
  const mount = async () => {
    await rmdir(mountPoint);
    await rename(disk, mountPoint);
  };

  it('prevents the start, and nothing is created at its mount point', async () => {
    const name = freshName();
    await client.pushBlob(name, LAYER);
    await unmount();
    await expect(berth.restart()).rejects.toThrow(
      /storage has no identity and is empty; .+ has blobs \(0 of 1 checked ones are in this storage.+ Mount the storage/,
    );
    expect(await readdir(mountPoint)).toEqual([]);
    await mount();
    await berth.restart();
    expect(digestOf(await new RegistryClient(berth.url).blob(name, digestOf(LAYER)))).toBe(digestOf(LAYER));
  });

  it('makes a running registry refuse requests until it is back', async () => {
    const name = freshName();
    const digest = await client.pushBlob(name, LAYER);
    const location = await client.startUpload(name);
    expect((await client.patch(location, LAYER.subarray(0, 1_000_000))).status).toBe(202);
    const other = randomBytes(200_000);
    const whole = await client.startUpload(name);
    expect((await client.patch(whole, other)).status).toBe(202);
    await unmount();

    expect(await readiness(client)).toEqual(NOT_READY);
    expect((await client.fetch(`/v2/${name}/blobs/${digest}`)).status).toBe(503);
    expect((await client.patch(location, LAYER.subarray(1_000_000))).status).toBe(503);
    expect((await client.commit(whole, digestOf(other))).status).toBe(503);
    const fresh = await client.startUpload(name);
    expect((await client.commit(fresh, digestOf('fresh'), 'fresh')).status).toBe(503);
    await expect(runReaper(berth)).rejects.toBeInstanceOf(StorageIdentityError);
    expect(await readdir(mountPoint)).toEqual([]);

    await mount();
    expect(await readiness(client)).toEqual(READY);
    expect(digestOf(await client.blob(name, digest))).toBe(digest);
    expect((await client.patch(location, LAYER.subarray(1_000_000))).status).toBe(202);
    expect((await client.commit(location, digest)).status).toBe(201);
    expect((await client.commit(whole, digestOf(other))).status).toBe(201);
  });
});
