import { randomBytes } from 'node:crypto';
import { truncate, appendFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { queryRows } from '../../src/database/query-rows.js';
import { StorageError } from '../../src/storage/storage.errors.js';
import { digestOf, RegistryClient } from '../support/registry-client.js';
import { describeOn } from '../support/storages.js';
import { freshName } from '../support/fresh-name.js';
import { startTestBerth, type TestBerth } from '../support/test-berth.js';
import { SlowRequest } from '../support/slow-request.js';
import { patternBytes, UploadProbe } from '../support/upload-probe.js';
import { until } from '../support/until.js';
import { unfinishedUploads } from './support/storage-contents.js';
import { StorageObserver } from './support/storage-observer.js';

// Of several replicas on every storage: see replicas.spec.ts.
describeOn('filesystem', 'an upload between two requests', ({ environment }) => {
  let berth: TestBerth;
  let storage: StorageObserver;

  beforeAll(async () => {
    berth = await startTestBerth(environment);
    storage = new StorageObserver(berth.driver);
  });
  afterAll(() => berth.dispose());

  /** Makes the flushes of the next writer wait until the returned function is called. */
  const holdFlushesOfNextWriter = (): (() => void) => {
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const { driver } = berth;
    const { openUpload } = driver;
    driver.openUpload = async (...call) => {
      driver.openUpload = openUpload;
      const sink = await openUpload.apply(driver, call);
      return { ...sink, flush: (options) => released.then(() => sink.flush(options)) };
    };
    return release;
  };

  const idOf = (probe: UploadProbe) => probe.location.split('/').at(-1);

  it('moves from the older request, which keeps its bytes, to the newer one', async () => {
    const blob = patternBytes(300_000);
    const probe = await UploadProbe.begin(berth.url, storage.endOf);
    const older = probe.patch(berth.url);
    await older.send(blob.subarray(0, 100_000));
    await probe.bytesWritten(100_000);
    const newer = probe.patch(berth.url);
    expect(await older.status).toBe(429);
    await newer.send(blob.subarray(100_000));
    newer.end();
    expect(await newer.status).toBe(202);
    expect(await probe.finish(berth.url, blob)).toBe(digestOf(blob));
  });

  it('stays with a request that writes if the other one states an offset before its bytes', async () => {
    const blob = patternBytes(300_000);
    const probe = await UploadProbe.begin(berth.url, storage.endOf);
    await probe.append(berth.url, 0, blob.subarray(0, 100_000));
    const writing = probe.patch(berth.url);
    await writing.send(blob.subarray(100_000));
    await probe.bytesWritten(300_000);
    const late = await fetch(new URL(probe.location, berth.url), {
      method: 'PATCH',
      headers: { 'Upload-Offset': '0', Prefer: 'upload-takeover' },
      body: 'sent again',
    });
    expect([late.status, late.headers.get('upload-offset')]).toEqual([416, '100000']);
    writing.end();
    expect(await writing.status).toBe(202);
    expect(await probe.finish(berth.url, blob)).toBe(digestOf(blob));
  });

  it('is taken over from a request of the same process that does not release it', async () => {
    const blob = patternBytes(200_000);
    const probe = await UploadProbe.begin(berth.url, storage.endOf);
    const release = holdFlushesOfNextWriter();
    const stuck = probe.patch(berth.url);
    await stuck.send(blob.subarray(0, 100_000));
    await probe.bytesWritten(100_000);
    const taken = await fetch(new URL(probe.location, berth.url), {
      method: 'PATCH',
      headers: { 'Upload-Offset': '0', Prefer: 'upload-takeover' },
      body: blob.subarray(0, 150_000),
    });
    expect(taken.status).toBe(202);
    release();
    expect(await stuck.status).toBe(429);
    expect(await probe.offset(berth.url)).toBe(150_000);
    expect(await probe.finish(berth.url, blob)).toBe(digestOf(blob));
  });

  it('is released by a writer whose lease expired, and ignores its later bytes', async () => {
    const blob = patternBytes(200_000);
    const probe = await UploadProbe.begin(berth.url, storage.endOf);
    const stale = probe.patch(berth.url);
    await stale.send(Buffer.alloc(50_000, 'stale'));
    await probe.bytesWritten(50_000);
    const lapse = `UPDATE uploads SET lease_expires_at = now() - interval '1 s' WHERE id = $1`;
    await queryRows(berth.database.dataSource.manager, lapse, [idOf(probe)]);

    expect(await probe.append(berth.url, 0, blob.subarray(0, 120_000))).toBe(202);
    await stale.send(Buffer.alloc(150_000, 'stale')).catch(() => undefined);
    expect(await stale.status).toBe(429);
    expect(await probe.offset(berth.url)).toBe(120_000);
    expect(await probe.finish(berth.url, blob)).toBe(digestOf(blob));
  });
});

describe('objects that differ from their rows', () => {
  let berth: TestBerth;
  let client: RegistryClient;

  beforeAll(async () => {
    berth = await startTestBerth();
    client = new RegistryClient(berth.url);
  });
  afterAll(() => berth.dispose());

  const objectOf = async (digest: string) => {
    const folder = join(berth.dataDir, 'storage/blobs/sha256', digest.slice(7, 9), digest.slice(7));
    const [object, ...others] = await readdir(folder);
    expect(others).toEqual([]);
    return join(folder, String(object));
  };

  it.each([
    ['too short', (path: string) => truncate(path, 1000)],
    ['too long', (path: string) => appendFile(path, 'and more')],
  ])('does not serve an object that is %s', async (_, damage) => {
    const name = freshName();
    const digest = await client.pushBlob(name, randomBytes(100_000));
    await damage(await objectOf(digest));
    const response = await client.fetch(`/v2/${name}/blobs/${digest}`);
    expect(response.status).toBe(404);
    expect(await response.text()).toContain('BLOB_UNKNOWN');
  });

  it.each(['lost', 'cut short'])('uses the object of a new push if the old one was %s', async (how) => {
    const name = freshName();
    const blob = patternBytes(50_000, how.length);
    const digest = await client.pushBlob(name, blob);
    const object = await objectOf(digest);
    await (how === 'lost' ? rm(object) : truncate(object, 10));
    await client.pushBlob(freshName(), blob);
    const served = await client.fetch(`/v2/${name}/blobs/${digest}`);
    expect(served.status).toBe(200);
    expect(digestOf(new Uint8Array(await served.arrayBuffer()))).toBe(digest);
  });
});

describeOn('filesystem', 'a commit that the storage refuses', ({ environment }) => {
  let berth: TestBerth;
  let client: RegistryClient;

  beforeAll(async () => {
    berth = await startTestBerth(environment);
    client = new RegistryClient(berth.url);
  });
  afterAll(() => berth.dispose());

  /** Fails the driver's commits while `work` runs, like a broken disk. */
  const withBrokenCommit = async (work: () => Promise<void>) => {
    const driver = berth.driver as { finishUpload?: unknown };
    driver.finishUpload = () => Promise.reject(new StorageError('the disk is broken'));
    await work().finally(() => delete driver.finishUpload);
  };
  const states = async () =>
    queryRows<{ state: string }>(
      berth.database.dataSource.manager,
      'SELECT state FROM uploads ORDER BY created_at',
    );

  it('succeeds when it is repeated', async () => {
    const location = await client.startUpload(freshName());
    await client.fetch(location, { method: 'PATCH', body: 'content' });
    const put = () => client.fetch(`${location}?digest=${digestOf('content')}`, { method: 'PUT' });
    await withBrokenCommit(async () => expect((await put()).status).toBe(500));
    expect((await client.fetch(location)).headers.get('range')).toBe('0-6');
    expect((await client.fetch(location, { method: 'PATCH', body: 'more' })).status).toBe(400);
    const other = await client.fetch(`${location}?digest=${digestOf('other')}`, { method: 'PUT' });
    expect(other.status).toBe(400);
    expect((await put()).status).toBe(201);
  });

  it('can be cancelled', async () => {
    const location = await client.startUpload(freshName());
    await client.fetch(location, { method: 'PATCH', body: 'never mind' });
    await withBrokenCommit(async () => {
      await client.fetch(`${location}?digest=${digestOf('never mind')}`, { method: 'PUT' });
    });
    expect((await client.fetch(location, { method: 'DELETE' })).status).toBe(204);
    expect((await client.fetch(location)).status).toBe(404);
  });

  it('leaves no session behind after a push in one request', async () => {
    await withBrokenCommit(async () => {
      await expect(client.pushBlob(freshName(), patternBytes(100_000))).rejects.toThrow('500');
    });
    expect((await states()).at(-1)).toEqual({ state: 'cancelled' });
    expect(await unfinishedUploads(berth.driver)).toEqual([]);
  });
});

describeOn('filesystem', 'a stop in the middle of a push in one request', ({ environment }) => {
  it('leaves no unknown session and no bytes', async () => {
    const berth = await startTestBerth(environment);
    try {
      const storage = new StorageObserver(berth.driver);
      const blob = patternBytes(200_000);
      const url = new URL(`/v2/${freshName()}/blobs/uploads/?digest=${digestOf(blob)}`, berth.url);
      const push = new SlowRequest('POST', url);
      await push.send(blob.subarray(0, 100_000));
      await until('its bytes', () => storage.ids.some((id) => storage.endOf(id) === 100_000));
      await berth.restart();
      expect(await push.status).toBe(503);
      const left = `SELECT 1 FROM uploads WHERE state <> 'cancelled'`;
      expect(await queryRows(berth.database.dataSource.manager, left)).toEqual([]);
      expect(await unfinishedUploads(berth.driver)).toEqual([]);
    } finally {
      await berth.dispose();
    }
  });
});
