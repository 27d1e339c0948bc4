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
import { HeldSession } from './held-session.js';
import { heartbeatMs, type Lease, type UploadProgress, type UploadSession } from './upload-session.js';
import type { UploadSessionStore } from './upload-session.store.js';
import { UploadWriter, type UploadWriterOptions } from './upload-writer.js';

describe('UploadWriter', () => {
  let recorded: UploadProgress[];
  let fenced: boolean;
  let options: UploadWriterOptions;
  let sessions: UploadSessionStore;
  let session: UploadSession;
  let lease: Lease;

  beforeEach(async () => {
    recorded = [];
    fenced = false;
    const checkpoint: UploadSessionStore['checkpoint'] = (_lease, progress) => {
      if (!fenced) recorded.push(progress);
      return Promise.resolve(!fenced);
    };
    sessions = { checkpoint, tryCheckpoint: checkpoint } as UploadSessionStore;
    const driver = new MemoryStorageDriver();
    const hashers = await createHasherFactory(() => undefined);
    options = { driver, hashers, checkpointBytes: 100 };
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
      bodyStart: null,
    };
  });
  beforeEach(() => {
    const origin = { replica: 'here', actor: null, clientAddress: null, userAgent: null };
    lease = { ...origin, uploadId: session.id, version: 1, leaseSeconds: 30, acquiredAt: 0 };
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });

  const holding = (row: UploadSession) =>
    new HeldSession(row, lease, undefined, new AbortController().signal, sessions, () => undefined);
  const open = (row = session) => UploadWriter.open(holding(row), options);

  it('checkpoints when enough bytes were written', async () => {
    const writer = await open();
    await writer.write(Buffer.alloc(99));
    expect(recorded).toEqual([]);
    await writer.write(Buffer.alloc(1));
    expect(recorded.map(({ offsetBytes }) => offsetBytes)).toEqual([100]);
    await writer.close();
  });

  it('checkpoints inside a large chunk, so that a crash costs no more than the limit', async () => {
    const writer = await open();
    await writer.write(Buffer.alloc(60));
    await writer.write(Buffer.alloc(250));
    expect(recorded.map(({ offsetBytes }) => offsetBytes)).toEqual([100, 200, 300]);
    await writer.close();
  });

  it('checkpoints slow bytes by time, so that the lease is renewed', async () => {
    const writer = await open();
    const start = performance.now();
    await writer.write(Buffer.alloc(1));
    jest.spyOn(performance, 'now').mockReturnValue(start + heartbeatMs(lease) + 1);
    await writer.write(Buffer.alloc(1));
    expect(recorded.map(({ offsetBytes }) => offsetBytes)).toEqual([2]);
    await writer.close();
  });

  describe('of a client that asked for its progress', () => {
    let told: [offset: number, recorded: number][];
    beforeEach(() => {
      told = [];
      const onDurable = (offset: number) => told.push([offset, recorded.at(-1)?.offsetBytes ?? 0]);
      options = { ...options, onDurable };
    });

    it('says what is durable after each checkpoint, except the last one', async () => {
      const writer = await open();
      await writer.write(Buffer.alloc(250));
      await writer.checkpoint();
      await writer.write(Buffer.alloc(1));
      await writer.checkpoint({ release: true });
      expect(told).toEqual([100, 200, 250].map((offset) => [offset, offset]));
      await writer.close();
    });

    it('checkpoints a second after the first byte that is not durable', async () => {
      const writer = await open();
      expect(writer.dueAt).toBe(Infinity);
      const now = jest.spyOn(performance, 'now').mockReturnValue(10_000);
      await writer.write(Buffer.alloc(1));
      now.mockReturnValue(10_999);
      await writer.write(Buffer.alloc(1));
      expect([writer.dueAt, told]).toEqual([11_000, []]);
      now.mockReturnValue(11_000);
      await writer.write(Buffer.alloc(1));
      expect([writer.dueAt, told]).toEqual([Infinity, [[3, 3]]]);
      await writer.close();
    });
  });

  it('is not in a hurry otherwise', async () => {
    const writer = await open();
    await writer.write(Buffer.alloc(1));
    expect(writer.dueAt).toBe(Infinity);
    await writer.close();
  });

  it('continues from the last checkpoint, and computes the digest of all bytes', async () => {
    const [first, second] = [Buffer.from('the first bytes, '), Buffer.from('and the next ones')];
    const before = await open();
    await before.write(first);
    await before.checkpoint();
    await before.write(Buffer.from('never recorded'));
    await before.close();

    const after = await open({ ...session, ...recorded.at(-1) });
    await after.write(second);
    const sum = createHash('sha256').update(first).update(second).digest('hex');
    expect(after.digests()).toEqual([`sha256:${sum}`]);
    await after.close();
  });

  it('records what the next writer must avoid when it closes, or leaves the lease to expire', async () => {
    const driverState = { avoid: 'this' };
    const release = jest.fn(() => Promise.resolve());
    const closeAndRelease = async (tryCheckpoint: UploadSessionStore['checkpoint']) => {
      sessions = { tryCheckpoint, release } as unknown as UploadSessionStore;
      const held = holding(session);
      const writer = await UploadWriter.open(held, options);
      const sink = (writer as unknown as { sink: UploadSink }).sink;
      jest.spyOn(sink, 'close').mockResolvedValue(driverState);
      await writer.close();
      await held.release();
    };
    await closeAndRelease(sessions.checkpoint);
    expect(recorded).toMatchObject([{ offsetBytes: 0, midstates: session.midstates, driverState }]);
    expect(release).toHaveBeenCalledTimes(1);
    await closeAndRelease(() => Promise.reject(new Error('the database is unavailable')));
    expect(release).toHaveBeenCalledTimes(1);
  });

  it('releases the lease with its last checkpoint, and only once', async () => {
    const release = jest.fn(() => Promise.resolve());
    sessions = { checkpoint: sessions.checkpoint, release } as unknown as UploadSessionStore;
    const held = holding(session);
    const writer = await UploadWriter.open(held, options);
    await writer.checkpoint({ release: true });
    await writer.close();
    await held.release();
    expect(release).not.toHaveBeenCalled();
  });

  it('checkpoints at the offset that the sink prefers, inside a chunk', async () => {
    const writer = await open();
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

  it('fails when it is fenced, and salvages nothing', async () => {
    const writer = await open();
    fenced = true;
    await expect(writer.write(Buffer.alloc(100))).rejects.toThrow(UploadTakenOverError);
    fenced = false;
    await writer.salvage();
    expect(recorded).toEqual([]);
    await writer.close();
  });

  it('salvages nothing after a failed write: bytes and hash may differ', async () => {
    const writer = await open();
    await writer.write(Buffer.alloc(10));
    const sink = (writer as unknown as { sink: { write: () => Promise<void> } }).sink;
    jest.spyOn(sink, 'write').mockRejectedValue(new StorageError('the disk is broken'));
    await expect(writer.write(Buffer.alloc(10))).rejects.toThrow('the disk is broken');
    await writer.salvage();
    expect(recorded).toEqual([]);
    await writer.close();
  });

  it('salvages what arrived before the connection broke', async () => {
    const writer = await open();
    await writer.write(Buffer.alloc(10));
    await writer.salvage();
    expect(recorded.map(({ offsetBytes }) => offsetBytes)).toEqual([10]);
    await writer.close();
  });
});
