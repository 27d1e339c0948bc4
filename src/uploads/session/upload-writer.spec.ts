import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { parseRepositoryName } from '../../oci/repository-name.js';
import { newUploadId } from '../../oci/upload-id.js';
import { MemoryStorageDriver } from '../../storage/drivers/memory/memory-storage.driver.js';
import type { UploadSink } from '../../storage/storage-driver.js';
import { StorageError } from '../../storage/storage.errors.js';
import { createHasherFactory } from '../hash/hasher.factory.js';
import { initialMidstate } from '../hash/midstate.js';
import { UploadTakenOverError } from '../upload.errors.js';
import { heartbeatMs, type Lease, type UploadProgress, type UploadSession } from './upload-session.js';
import type { UploadSessionStore } from './upload-session.store.js';
import { UploadWriter, type UploadWriterServices } from './upload-writer.js';

describe('UploadWriter', () => {
  let recorded: UploadProgress[];
  let fenced: boolean;
  let services: UploadWriterServices;
  let session: UploadSession;
  let lease: Lease;

  beforeEach(async () => {
    recorded = [];
    fenced = false;
    const checkpoint: UploadSessionStore['checkpoint'] = (_lease, progress) => {
      if (!fenced) recorded.push(progress);
      return Promise.resolve(!fenced);
    };
    const driver = new MemoryStorageDriver();
    const hashers = await createHasherFactory(() => undefined);
    services = {
      driver,
      hashers,
      sessions: { checkpoint } as UploadSessionStore,
      checkpointBytes: 100,
      databasePatienceMs: 0,
    };
    const id = newUploadId();
    session = {
      id,
      repository: parseRepositoryName('a/b'),
      state: 'open',
      offsetBytes: 0,
      midstates: [initialMidstate('sha256')],
      driverState: await driver.createUpload(id),
      version: 1,
      leaseHolder: 'here',
      digest: null,
      blobId: null,
    };
  });
  beforeEach(() => {
    const by = { createdBy: null, clientAddress: null, userAgent: null };
    lease = { uploadId: session.id, version: 1, by, replica: 'here', leaseSeconds: 30, takenAt: 0 };
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it('records nothing before enough has been written', async () => {
    const writer = await UploadWriter.open(session, lease, services);
    await writer.write(Buffer.alloc(99));
    expect(recorded).toEqual([]);
    await writer.write(Buffer.alloc(1));
    expect(recorded.map(({ offsetBytes }) => offsetBytes)).toEqual([100]);
    await writer.close();
  });

  it('records before it takes more than a crash may cost', async () => {
    const writer = await UploadWriter.open(session, lease, services);
    await writer.write(Buffer.alloc(60));
    await writer.write(Buffer.alloc(250));
    expect(recorded.map(({ offsetBytes }) => offsetBytes)).toEqual([100, 200, 300]);
    await writer.close();
  });

  it('records slow bytes by the clock, so that the lease is prolonged', async () => {
    const writer = await UploadWriter.open(session, lease, services);
    const start = performance.now();
    await writer.write(Buffer.alloc(1));
    jest.spyOn(performance, 'now').mockReturnValue(start + heartbeatMs(lease) + 1);
    await writer.write(Buffer.alloc(1));
    expect(recorded.map(({ offsetBytes }) => offsetBytes)).toEqual([2]);
    await writer.close();
  });

  it('goes on from what was recorded, and ends with the digest of the whole', async () => {
    const [first, second] = [Buffer.from('what came first, '), Buffer.from('and what came then')];
    const before = await UploadWriter.open(session, lease, services);
    await before.write(first);
    await before.checkpoint();
    await before.write(Buffer.from('never recorded'));
    await before.close();

    const after = await UploadWriter.open({ ...session, ...recorded.at(-1) }, lease, services);
    await after.write(second);
    const sum = createHash('sha256').update(first).update(second).digest('hex');
    expect(after.digests()).toEqual([`sha256:${sum}`]);
    await after.close();
  });

  it('records at its end what the next writer has to keep away from, or says that it could not', async () => {
    const driverState = { kept: 'away' };
    const opened = async () => {
      const writer = await UploadWriter.open(session, lease, services);
      const sink = (writer as unknown as { sink: UploadSink }).sink;
      jest.spyOn(sink, 'close').mockResolvedValue(driverState);
      return writer;
    };
    expect(await (await opened()).close()).toBe(true);
    expect(recorded).toMatchObject([{ offsetBytes: 0, midstates: session.midstates, driverState }]);
    const away = () => Promise.reject(new Error('the database is away'));
    services = { ...services, sessions: { checkpoint: away } as unknown as UploadSessionStore };
    expect(await (await opened()).close()).toBe(false);
  });

  it('ends with what its sink likes to end with, in the middle of a chunk', async () => {
    const writer = await UploadWriter.open(session, lease, services);
    const sink = (writer as unknown as { sink: UploadSink }).sink;
    const told: number[] = [];
    sink.flushOffset = (limit) => limit - 10;
    sink.recorded = () => told.push(recorded.length);
    await writer.write(Buffer.alloc(100));
    await writer.write(Buffer.alloc(150));
    expect(recorded.map(({ offsetBytes }) => offsetBytes)).toEqual([100, 190]);
    expect(told).toEqual([1, 2]);
    await writer.close();
  });

  it('stops when it is fenced, and salvages nothing', async () => {
    const writer = await UploadWriter.open(session, lease, services);
    fenced = true;
    await expect(writer.write(Buffer.alloc(100))).rejects.toThrow(UploadTakenOverError);
    fenced = false;
    await writer.salvage();
    expect(recorded).toEqual([]);
    await writer.close();
  });

  it('salvages nothing after a write that failed: bytes and hash no longer go together', async () => {
    const writer = await UploadWriter.open(session, lease, services);
    await writer.write(Buffer.alloc(10));
    const sink = (writer as unknown as { sink: { write: () => Promise<void> } }).sink;
    jest.spyOn(sink, 'write').mockRejectedValue(new StorageError('the disk is broken'));
    await expect(writer.write(Buffer.alloc(10))).rejects.toThrow('the disk is broken');
    await writer.salvage();
    expect(recorded).toEqual([]);
    await writer.close();
  });

  it('salvages what arrived before the body broke off', async () => {
    const writer = await UploadWriter.open(session, lease, services);
    await writer.write(Buffer.alloc(10));
    await writer.salvage();
    expect(recorded.map(({ offsetBytes }) => offsetBytes)).toEqual([10]);
    await writer.close();
  });
});
