import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { digestOf } from '../../src/oci/digest.js';
import type { UploadBody } from '../../src/transfer/read-body.js';
import type { ObjectKey } from '../../src/storage/object-key.js';
import { NOBODY } from '../support/upload-claims.js';
import { FaultPoint } from './fault-point.js';
import { REPOSITORY, RegistryGround } from './registry-ground.js';
import type { TestReplica } from './replica.js';
import { MEDIA } from './shared-medium.js';

/** Cases that the property tests found: objects that no row knew. */
describe.each(['filesystem', 'memory', 'objects'] as const)('a commit that was cut off (%s)', (kind) => {
  let ground: RegistryGround;
  beforeAll(async () => void (ground = await RegistryGround.create(MEDIA[kind])));
  afterEach(() => ground.clear());
  afterAll(() => ground.dispose());

  const whole = (bytes: Buffer): UploadBody => ({
    source: Readable.from([bytes], { objectMode: false }),
    lengthBytes: bytes.length,
    range: undefined,
  });

  it.each(['its client', 'the reaper'])(
    'leaves no object if %s resumes it after another push of the same content',
    async (who) => {
      const faults = new FaultPoint();
      const a = await ground.startReplica(faults.around);
      const b = await ground.startReplica();
      const bytes = Buffer.from('content');
      const digest = digestOf('sha256', bytes);
      const one = await a.uploads.start(REPOSITORY, undefined, NOBODY);
      await a.uploads.append(one, whole(bytes), NOBODY);
      void faults.arm('finishUpload', 'after', 'throws');
      await expect(a.uploads.commit(one, digest, undefined, NOBODY)).rejects.toThrow('was made to fail');
      await b.uploads.pushWhole(REPOSITORY, digest, whole(bytes), NOBODY);
      if (who === 'its client') await a.uploads.commit(one, digest, undefined, NOBODY);
      else await ground.reap(b);
      await ground.expectNothingLeftOver(b);
    },
  );

  /** A request that hangs before its object is made, until `goOn` is called. */
  const stuckCommit = async (bytes: Buffer) => {
    let goOn = () => {};
    let arrived = () => {};
    const gate = new Promise<void>((resolve) => (goOn = resolve));
    const reached = new Promise<void>((resolve) => (arrived = resolve));
    const a = await ground.startReplica(async (call, work) => {
      if (call !== 'finishUpload') return work();
      arrived();
      await gate;
      return work();
    });
    const b = await ground.startReplica();
    const one = await a.uploads.start(REPOSITORY, undefined, NOBODY);
    if (bytes.length > 0) await a.uploads.append(one, whole(bytes), NOBODY);
    const committing = a.uploads.commit(one, digestOf('sha256', bytes), undefined, NOBODY);
    const outcome = committing.then(
      () => 'committed',
      (error: unknown) => (error as Error).name,
    );
    await reached;
    await ground.lapse(one);
    return { one, b, goOn, outcome };
  };

  it.each([
    ['bytes', Buffer.from('content')],
    ['no bytes', Buffer.of()],
  ])('leaves no object of %s if it was cancelled before it continued', async (_, bytes) => {
    const { one, b, goOn, outcome } = await stuckCommit(bytes);
    await b.uploads.cancel(one, NOBODY);
    goOn();
    expect(await outcome).not.toBe('committed');
    await ground.expectNothingLeftOver(b);
  });

  it.each([
    ['bytes', Buffer.from('content')],
    ['no bytes', Buffer.of()],
  ])('leaves no second object of %s if another request resumed it', async (_, bytes) => {
    const digest = digestOf('sha256', bytes);
    const { one, b, goOn, outcome } = await stuckCommit(bytes);
    await b.uploads.pushWhole(REPOSITORY, digest, whole(bytes), NOBODY);
    await b.uploads.commit(one, digest, undefined, NOBODY);
    goOn();
    expect(await outcome).not.toBe('committed');
    await ground.expectNothingLeftOver(b);
    expect(await ground.pull(digest)).toEqual(bytes);
  });

  it('keeps the bytes of an upload whose cancel is cut off before its row has changed', async () => {
    const faults = new FaultPoint();
    const a = await ground.startReplica(faults.around);
    const b = await ground.startReplica();
    const bytes = Buffer.from('content');
    const digest = digestOf('sha256', bytes);
    const one = await a.uploads.start(REPOSITORY, undefined, NOBODY);
    await a.uploads.append(one, whole(bytes), NOBODY);
    void faults.arm('markCancelled', 'before', 'throws');
    await expect(a.uploads.cancel(one, NOBODY)).rejects.toThrow('was made to fail');
    await b.uploads.commit(one, digest, undefined, NOBODY);
    expect(await ground.pull(digest)).toEqual(bytes);
    await ground.expectNothingLeftOver(b);
  });

  describe('of content whose object is lost', () => {
    const bytes = Buffer.from('content');
    const digest = digestOf('sha256', bytes);

    /** The bytes of a blob are gone. Returns the key that they had. */
    const loseBytes = async (): Promise<ObjectKey> => {
      const [row] = await ground.query<{ object_key: ObjectKey }>('SELECT object_key FROM blobs');
      if (row === undefined) throw new Error('there is no blob');
      await ground.driver.delete(row.object_key);
      return row.object_key;
    };
    const displaced = () => ground.query('SELECT object_key, reason, removing FROM displaced_objects');
    const commit = async (replica: TestReplica) => {
      const one = await replica.uploads.start(REPOSITORY, undefined, NOBODY);
      await replica.uploads.append(one, whole(bytes), NOBODY);
      return { one, end: (who = replica) => who.uploads.commit(one, digest, undefined, NOBODY) };
    };

    it.each([
      ['before its object is made', 'finishUpload', 'before'],
      ['after its object was made', 'finishUpload', 'after'],
      ['before its rows are written', 'commit', 'before'],
      ['after its rows were written', 'commit', 'after'],
    ] as const)('is healed by the reaper where it was cut off %s', async (_, call, when) => {
      const faults = new FaultPoint();
      const a = await ground.startReplica(faults.around);
      const b = await ground.startReplica();
      await b.uploads.pushWhole(REPOSITORY, digest, whole(bytes), NOBODY);
      const lost = await loseBytes();
      const { end } = await commit(a);
      void faults.arm(call, when, 'throws');
      await expect(end()).rejects.toThrow('was made to fail');
      await ground.reap(b);
      expect(await displaced()).toEqual([{ object_key: lost, reason: 'missing', removing: false }]);
      await ground.expectNothingLeftOver(b);
      expect(await ground.pull(digest)).toEqual(bytes);
    });

    it('is healed once by several pushes', async () => {
      const replicas = await Promise.all([1, 2, 3].map(() => ground.startReplica()));
      await replicas[0]?.uploads.pushWhole(REPOSITORY, digest, whole(bytes), NOBODY);
      const lost = await loseBytes();
      const commits = await Promise.all(replicas.map(commit));
      await Promise.all(commits.map(({ end }) => end()));
      expect(await displaced()).toEqual([{ object_key: lost, reason: 'missing', removing: false }]);
      await ground.expectNothingLeftOver(replicas[0] as TestReplica);
    });

    it.each(['markRemoving', 'delete', 'forget'])(
      'leaves no second object where its removal is cut off at %s',
      async (call) => {
        const faults = new FaultPoint();
        const a = await ground.startReplica(faults.around);
        const b = await ground.startReplica();
        for (const when of ['before', 'after'] as const) {
          await a.uploads.pushWhole(REPOSITORY, digest, whole(bytes), NOBODY);
          // It has the wrong size: a push displaces it, and it must be removed.
          await ground.query(`UPDATE blobs SET size_bytes = size_bytes + 1`);
          await a.uploads.pushWhole(REPOSITORY, digest, whole(bytes), NOBODY);
          await ground.query(`UPDATE blobs SET size_bytes = size_bytes - 1`);
          expect(await displaced()).toHaveLength(1);
          void faults.arm(call, when, 'throws');
          await ground.reap(a);
          await ground.query('UPDATE displaced_objects SET look_at = now()');
          await ground.reap(b);
          expect(await displaced()).toEqual([]);
          await ground.expectNothingLeftOver(b);
        }
      },
    );
  });
});
