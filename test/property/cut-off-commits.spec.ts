import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { digestOf } from '../../src/oci/digest.js';
import type { UploadBody } from '../../src/transfer/read-body.js';
import type { ObjectKey } from '../../src/storage/object-key.js';
import { UNKNOWN_ORIGIN } from '../support/upload-claims.js';
import { FaultPoint } from './fault-point.js';
import { REPOSITORY, TestRegistry } from './test-registry.js';
import type { TestReplica } from './replica.js';
import { MEDIA } from './shared-medium.js';
import { WantedDigests } from '../../src/uploads/wanted-digests.js';

/** Cases that the property tests found: objects that no row knew. */
describe.each(['filesystem', 'memory', 'objects'] as const)('a commit that was cut off (%s)', (kind) => {
  let registry: TestRegistry;
  beforeAll(async () => void (registry = await TestRegistry.create(MEDIA[kind])));
  afterEach(() => registry.clear());
  afterAll(() => registry.dispose());

  const whole = (bytes: Buffer): UploadBody => ({
    source: Readable.from([bytes], { objectMode: false }),
    lengthBytes: bytes.length,
    range: undefined,
  });

  it.each(['its client', 'the reaper'])(
    'leaves no object if %s resumes it after another push of the same content',
    async (who) => {
      const faults = new FaultPoint();
      const a = await registry.startReplica(faults.around);
      const b = await registry.startReplica();
      const bytes = Buffer.from('content');
      const digest = digestOf('sha256', bytes);
      const one = await a.uploads.start(REPOSITORY, undefined, UNKNOWN_ORIGIN);
      await a.uploads.append(one, whole(bytes), UNKNOWN_ORIGIN);
      void faults.arm('finishUpload', 'after', 'throws');
      await expect(
        a.uploads.commit(one, WantedDigests.of(digest), undefined, UNKNOWN_ORIGIN),
      ).rejects.toThrow('was made to fail');
      await b.uploads.pushWhole(REPOSITORY, WantedDigests.of(digest), whole(bytes), UNKNOWN_ORIGIN);
      if (who === 'its client')
        await a.uploads.commit(one, WantedDigests.of(digest), undefined, UNKNOWN_ORIGIN);
      else await registry.reap(b);
      await registry.expectNothingLeftOver(b);
    },
  );

  /**
   * A request that hangs before its object is made, until `proceed` is called.
   *
   * @param isWhole whether it brings the bytes, or the session has them.
   */
  const stuckCommit = async (bytes: Buffer, isWhole = false) => {
    let proceed = () => {};
    let arrived = () => {};
    const gate = new Promise<void>((resolve) => (proceed = resolve));
    const reached = new Promise<void>((resolve) => (arrived = resolve));
    const a = await registry.startReplica(async (call, work) => {
      if (call !== 'finishUpload' && call !== 'storeUpload') return work();
      arrived();
      await gate;
      return work();
    });
    const b = await registry.startReplica();
    const one = await a.uploads.start(REPOSITORY, undefined, UNKNOWN_ORIGIN);
    if (bytes.length > 0 && !isWhole) await a.uploads.append(one, whole(bytes), UNKNOWN_ORIGIN);
    const body = isWhole ? whole(bytes) : undefined;
    const committing = a.uploads.commit(
      one,
      WantedDigests.of(digestOf('sha256', bytes)),
      body,
      UNKNOWN_ORIGIN,
    );
    const outcome = committing.then(
      () => 'committed',
      (error: unknown) => (error as Error).name,
    );
    await reached;
    await registry.lapse(one);
    return { one, b, proceed, outcome };
  };

  it.each([
    ['bytes', Buffer.from('content'), false],
    ['bytes that it brought', Buffer.from('content'), true],
    ['no bytes', Buffer.of(), false],
  ])('leaves no object of %s if it was cancelled before it continued', async (_, bytes, isWhole) => {
    const { one, b, proceed, outcome } = await stuckCommit(bytes, isWhole);
    await b.uploads.cancel(one, UNKNOWN_ORIGIN);
    proceed();
    expect(await outcome).not.toBe('committed');
    await registry.expectNothingLeftOver(b);
  });

  it.each([
    ['bytes', Buffer.from('content'), false],
    ['bytes that it brought', Buffer.from('content'), true],
    ['no bytes', Buffer.of(), false],
  ])('leaves no second object of %s if another request resumed it', async (_, bytes, isWhole) => {
    const digest = digestOf('sha256', bytes);
    const { one, b, proceed, outcome } = await stuckCommit(bytes, isWhole);
    await b.uploads.pushWhole(REPOSITORY, WantedDigests.of(digest), whole(bytes), UNKNOWN_ORIGIN);
    await b.uploads.commit(one, WantedDigests.of(digest), isWhole ? whole(bytes) : undefined, UNKNOWN_ORIGIN);
    proceed();
    expect(await outcome).not.toBe('committed');
    await registry.expectNothingLeftOver(b);
    expect(await registry.pull(digest)).toEqual(bytes);
  });

  it('keeps the bytes of an upload whose cancel was interrupted before its row changed', async () => {
    const faults = new FaultPoint();
    const a = await registry.startReplica(faults.around);
    const b = await registry.startReplica();
    const bytes = Buffer.from('content');
    const digest = digestOf('sha256', bytes);
    const one = await a.uploads.start(REPOSITORY, undefined, UNKNOWN_ORIGIN);
    await a.uploads.append(one, whole(bytes), UNKNOWN_ORIGIN);
    void faults.arm('markCancelled', 'before', 'throws');
    await expect(a.uploads.cancel(one, UNKNOWN_ORIGIN)).rejects.toThrow('was made to fail');
    await b.uploads.commit(one, WantedDigests.of(digest), undefined, UNKNOWN_ORIGIN);
    expect(await registry.pull(digest)).toEqual(bytes);
    await registry.expectNothingLeftOver(b);
  });

  describe('of content whose object is lost', () => {
    const bytes = Buffer.from('content');
    const digest = digestOf('sha256', bytes);

    /** The bytes of a blob are gone. Returns the key that they had. */
    const loseBytes = async (): Promise<ObjectKey> => {
      const [row] = await registry.query<{ object_key: ObjectKey }>('SELECT object_key FROM blobs');
      if (row === undefined) throw new Error('there is no blob');
      await registry.driver.delete(row.object_key);
      return row.object_key;
    };
    const displaced = () => registry.query('SELECT object_key, reason, removing FROM displaced_objects');
    const commit = async (replica: TestReplica) => {
      const one = await replica.uploads.start(REPOSITORY, undefined, UNKNOWN_ORIGIN);
      await replica.uploads.append(one, whole(bytes), UNKNOWN_ORIGIN);
      return {
        one,
        end: (who = replica) => who.uploads.commit(one, WantedDigests.of(digest), undefined, UNKNOWN_ORIGIN),
      };
    };

    it.each([
      ['before its object is made', 'finishUpload', 'before'],
      ['after its object was made', 'finishUpload', 'after'],
      ['before its rows are written', 'commit', 'before'],
      ['after its rows were written', 'commit', 'after'],
    ] as const)('is healed by the reaper where it was cut off %s', async (_, call, when) => {
      const faults = new FaultPoint();
      const a = await registry.startReplica(faults.around);
      const b = await registry.startReplica();
      await b.uploads.pushWhole(REPOSITORY, WantedDigests.of(digest), whole(bytes), UNKNOWN_ORIGIN);
      const lost = await loseBytes();
      const { end } = await commit(a);
      void faults.arm(call, when, 'throws');
      await expect(end()).rejects.toThrow('was made to fail');
      await registry.reap(b);
      expect(await displaced()).toEqual([{ object_key: lost, reason: 'missing', removing: false }]);
      await registry.expectNothingLeftOver(b);
      expect(await registry.pull(digest)).toEqual(bytes);
    });

    it('is repaired once by several pushes', async () => {
      const replicas = await Promise.all([1, 2, 3].map(() => registry.startReplica()));
      await replicas[0]?.uploads.pushWhole(
        REPOSITORY,
        WantedDigests.of(digest),
        whole(bytes),
        UNKNOWN_ORIGIN,
      );
      const lost = await loseBytes();
      const commits = await Promise.all(replicas.map(commit));
      await Promise.all(commits.map(({ end }) => end()));
      expect(await displaced()).toEqual([{ object_key: lost, reason: 'missing', removing: false }]);
      await registry.expectNothingLeftOver(replicas[0] as TestReplica);
    });

    it.each(['markRemoving', 'delete', 'forget'])(
      'leaves no second object where its removal is cut off at %s',
      async (call) => {
        const faults = new FaultPoint();
        const a = await registry.startReplica(faults.around);
        const b = await registry.startReplica();
        for (const when of ['before', 'after'] as const) {
          await a.uploads.pushWhole(REPOSITORY, WantedDigests.of(digest), whole(bytes), UNKNOWN_ORIGIN);
          // It has the wrong size: a push displaces it, and it must be removed.
          await registry.query(`UPDATE blobs SET size_bytes = size_bytes + 1`);
          await a.uploads.pushWhole(REPOSITORY, WantedDigests.of(digest), whole(bytes), UNKNOWN_ORIGIN);
          await registry.query(`UPDATE blobs SET size_bytes = size_bytes - 1`);
          expect(await displaced()).toHaveLength(1);
          void faults.arm(call, when, 'throws');
          await registry.reap(a);
          await registry.query('UPDATE displaced_objects SET look_at = now()');
          await registry.reap(b);
          expect(await displaced()).toEqual([]);
          await registry.expectNothingLeftOver(b);
        }
      },
    );
  });
});
