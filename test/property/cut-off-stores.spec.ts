import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { digestOf } from '../../src/oci/digest.js';
import type { UploadBody } from '../../src/transfer/read-body.js';
import type { UploadReference } from '../../src/uploads/session/upload-session.js';
import { UNKNOWN_ORIGIN } from '../support/upload-claims.js';
import { FaultPoint } from './fault-point.js';
import { FedBody } from './fed-body.js';
import type { TestReplica } from './replica.js';
import { outcomeOf } from './sessions-under-test.js';
import { MEDIA } from './shared-medium.js';
import { REPOSITORY, TestRegistry } from './test-registry.js';
import { WantedDigests } from '../../src/uploads/wanted-digests.js';

const CONTENT = Buffer.from('content');
const OTHER = Buffer.from('other content');

const whole = (bytes: Buffer): UploadBody => ({
  source: Readable.from([bytes], { objectMode: false }),
  lengthBytes: bytes.length,
  range: undefined,
});
const put = ({ uploads }: TestReplica, one: UploadReference, bytes: Buffer, body = whole(bytes)) =>
  outcomeOf(
    uploads.commit(one, WantedDigests.of(digestOf('sha256', bytes)), body, UNKNOWN_ORIGIN).then(() => 'ok'),
  );

/** What happens after the fault, and its outcome. */
const SEQUELS: Record<
  string,
  (replica: TestReplica, one: UploadReference, registry: TestRegistry) => Promise<string>
> = {
  'the PUT is repeated': (replica, one) => put(replica, one, CONTENT),
  'a PUT brings other content': (replica, one) => put(replica, one, OTHER),
  'a PATCH brings other content': async (replica, one) => {
    const { uploads } = replica;
    const append = uploads.append(one, whole(OTHER), UNKNOWN_ORIGIN).then(() => 'ok');
    const appended = await outcomeOf(append);
    if (appended !== 'ok') return appended;
    const digest = digestOf('sha256', OTHER);
    return outcomeOf(
      uploads.commit(one, WantedDigests.of(digest), undefined, UNKNOWN_ORIGIN).then(() => 'ok'),
    );
  },
  'it is cancelled': ({ uploads }, one) => outcomeOf(uploads.cancel(one, UNKNOWN_ORIGIN).then(() => 'ok')),
  'it expires': (replica, one, registry) => registry.expire(one, replica).then(() => 'ok'),
};

describe('a push in one body', () => {
  let registry: TestRegistry;
  beforeAll(async () => void (registry = await TestRegistry.create(MEDIA.filesystem)));
  afterEach(() => registry.clear());
  afterAll(() => registry.dispose());

  const begin = async () => {
    const faults = new FaultPoint();
    const [a, b] = [await registry.startReplica(faults.around), await registry.startReplica()];
    return { faults, a, b, one: await a.uploads.start(REPOSITORY, undefined, UNKNOWN_ORIGIN) };
  };
  const row = async (one: UploadReference) => (await registry.sessions()).get(one.id);

  describe.each([
    ['after the session is acquired', 'acquire', 'after'],
    ['before its object is stored', 'storeUpload', 'before'],
    ['after its object is stored', 'storeUpload', 'after'],
    ['before its rows are written', 'commit', 'before'],
    ['after its rows are written', 'commit', 'after'],
  ] as const)('that is cut off %s', (_, call, when) => {
    const isCommitted = call === 'commit' && when === 'after';

    it.each(Object.keys(SEQUELS))('leaves nothing if %s', async (sequel) => {
      const { faults, a, b, one } = await begin();
      void faults.arm(call, when, 'throws');
      expect(await put(a, one, CONTENT)).toBe('InjectedError');
      if (!isCommitted) {
        expect(await row(one)).toMatchObject({ state: 'open', offsetBytes: 0 });
        expect((await row(one))?.digest).toBe(digestOf('sha256', CONTENT));
      }
      await registry.lapse(one);
      const outcome = await SEQUELS[sequel]?.(b, one, registry);
      const isRefused = isCommitted && sequel !== 'the PUT is repeated' && sequel !== 'it expires';
      expect(outcome).toBe(isRefused ? 'BlobUploadUnknownError' : 'ok');
      if (outcome === 'ok' && sequel.includes('PUT')) {
        const content = sequel.includes('other') ? OTHER : CONTENT;
        expect(await registry.pull(digestOf('sha256', content))).toEqual(content);
        expect(await row(one)).toMatchObject({ state: 'committed', offsetBytes: content.length });
      }
      await registry.expectNothingLeftOver(b);
    });
  });

  it('leaves the object of a digest to the collector when another one replaces it', async () => {
    const { faults, a, b, one } = await begin();
    void faults.arm('commit', 'before', 'throws');
    await put(a, one, CONTENT);
    const digest = digestOf('sha256', CONTENT);
    void faults.arm('markCommitting', 'before', 'throws');
    expect(await put(a, one, OTHER)).toBe('InjectedError');
    expect((await row(one))?.digest).toBe(digest);
    expect(await registry.query('SELECT FROM object_deletions')).toEqual([]);
    await b.uploads.commit(one, WantedDigests.of(digestOf('sha256', OTHER)), undefined, UNKNOWN_ORIGIN);
    expect(await registry.query('SELECT digest FROM object_deletions')).toEqual([{ digest }]);
    await registry.expectNothingLeftOver(b);
  });

  it.each(['openUpload', 'markCommitting', 'finishUpload', 'commit'])(
    'loses no blob if a request with another digest is frozen before its call %s',
    async (call) => {
      const { faults, a, b, one } = await begin();
      void faults.arm('commit', 'before', 'throws');
      await put(a, one, CONTENT);
      let freeze: () => void = () => undefined;
      let thaw: () => void = () => undefined;
      const frozen = new Promise<void>((resolve) => (freeze = resolve));
      const thawed = new Promise<void>((resolve) => (thaw = resolve));
      const c = await registry.startReplica(async (name, work) => {
        if (name === call) {
          freeze();
          await thawed;
        }
        return work();
      });
      const other = put(c, one, OTHER);
      await frozen;
      await registry.lapse(one);
      const outcomes = [await put(b, one, CONTENT)];
      thaw();
      outcomes.push(await other);
      const isTooLate = call === 'finishUpload' || call === 'commit';
      expect(outcomes).toEqual([isTooLate ? 'BlobUploadInvalidError' : 'ok', 'UploadTakenOverError']);
      if (!isTooLate) expect(await registry.pull(digestOf('sha256', CONTENT))).toEqual(CONTENT);
      await registry.expectNothingLeftOver(b);
    },
  );

  it('links content that the registry has, without storing it', async () => {
    const { faults, a, b, one } = await begin();
    const first = await b.uploads.start(REPOSITORY, undefined, UNKNOWN_ORIGIN);
    expect(await put(b, first, CONTENT)).toBe('ok');
    void faults.arm('storeUpload', 'before', 'throws');
    expect(await put(a, one, CONTENT)).toBe('ok');
    expect((await row(one))?.blobId).toBe((await row(first))?.blobId);
    await registry.expectNothingLeftOver(b);
  });

  it.each([
    ['breaks off', 3, new Error('the client is gone'), 'BodyBrokenError'],
    ['has another digest', 3, 'end', 'DigestInvalidError'],
    ['is shorter than it says', 4, 'end', 'DigestInvalidError'],
    ['is longer than it says', 2, 'end', 'DigestInvalidError'],
  ] as const)('keeps what arrived if the body %s', async (_, lengthBytes, ending, outcome) => {
    const { a, b, one } = await begin();
    const body = new FedBody();
    body.feed(Buffer.from('ab'), Buffer.from('c'), ending);
    expect(await put(a, one, CONTENT, body.as(undefined, lengthBytes))).toBe(outcome);
    const kept = await row(one);
    expect(kept).toMatchObject({ state: 'open', offsetBytes: 3, leaseHolder: null });
    if (kept !== undefined) expect(await registry.bytesOf(kept)).toEqual(Buffer.from('abc'));
    const digest = digestOf('sha256', Buffer.from('abc'));
    await b.uploads.commit(one, WantedDigests.of(digest), undefined, UNKNOWN_ORIGIN);
    await registry.expectNothingLeftOver(b);
  });

  it('keeps what arrived if another request takes the session', async () => {
    const { a, b, one } = await begin();
    const body = new FedBody();
    body.feed(Buffer.from('ab'));
    const first = put(a, one, CONTENT, body.as(undefined, CONTENT.length));
    await body.consumed();
    await b.uploads.append(one, whole(Buffer.from('c')), UNKNOWN_ORIGIN);
    expect(await first).toBe('UploadTakenOverError');
    expect(await row(one)).toMatchObject({ offsetBytes: 3 });
    await registry.expectNothingLeftOver(b);
  });
});
