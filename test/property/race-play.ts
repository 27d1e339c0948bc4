import { expect } from '@jest/globals';
import fc from 'fast-check';
import { digestOf } from '../../src/oci/digest.js';
import type { UploadBody } from '../../src/transfer/read-body.js';
import type { UploadReference } from '../../src/uploads/session/upload-session.js';
import { UNKNOWN_ORIGIN } from '../support/upload-claims.js';
import { FedBody } from './fed-body.js';
import { Race } from './race.js';
import { RaceHistory } from './race-history.js';
import { type TestRegistry, REPOSITORY } from './test-registry.js';
import type { TestReplica } from './replica.js';
import { WantedDigests } from '../../src/uploads/wanted-digests.js';

/** A request or a fault that starts together with the others. */
export type Runner =
  | {
      readonly does: 'append';
      readonly replica: number;
      /**
       * The offset that the client sends, in bytes after the start of the race; undefined if it sends none.
       */
      readonly at: number | undefined;
      readonly chunks: readonly number[];
      readonly ends: boolean;
    }
  | { readonly does: 'commit'; readonly replica: number; readonly sizeBytes: number | undefined }
  | { readonly does: 'cancel' | 'reap' | 'status' | 'push the same'; readonly replica: number }
  /** `after`: how many steps of others come first. */
  | { readonly does: 'lapse' | 'cut off' | 'expire'; readonly replica: number; readonly after: number };

export interface RacePlan {
  /** Bytes of the session at the start. */
  readonly sizeBytes: number;
  readonly runners: readonly Runner[];
}

const replica = fc.nat({ max: 2 });

const append: fc.Arbitrary<Runner> = fc.record({
  does: fc.constant('append' as const),
  replica,
  at: fc.constantFrom(0, 0, 0, 40, 80, undefined),
  chunks: fc.array(fc.constantFrom(10, 30, 40, 80), { minLength: 1, maxLength: 3 }),
  ends: fc.boolean().map((breaksOff) => !breaksOff),
});
const commit: fc.Arbitrary<Runner> = fc.record({
  does: fc.constant('commit' as const),
  replica,
  sizeBytes: fc.constantFrom(undefined, undefined, 20, 80),
});
const rest: fc.Arbitrary<Runner> = fc.record({
  does: fc.constantFrom(
    'cancel' as const,
    'reap' as const,
    'reap' as const,
    'status' as const,
    'push the same' as const,
  ),
  replica,
});
const misfortune: fc.Arbitrary<Runner> = fc.record({
  does: fc.constantFrom(
    'lapse' as const,
    'lapse' as const,
    'lapse' as const,
    'cut off' as const,
    'cut off' as const,
    'expire' as const,
  ),
  replica,
  after: fc.nat({ max: 12 }),
});

export function raceOf(isFaulty: boolean): fc.Arbitrary<RacePlan> {
  const request = fc.oneof(
    { weight: 4, arbitrary: append },
    { weight: 3, arbitrary: commit },
    { weight: 2, arbitrary: rest },
  );
  const misfortunes = fc.array(misfortune, isFaulty ? { minLength: 1, maxLength: 3 } : { maxLength: 0 });
  return fc.record({
    sizeBytes: fc.constantFrom(0, 0, 30),
    runners: fc
      .tuple(fc.array(request, { minLength: 2, maxLength: 4, size: 'max' }), misfortunes)
      .map(([requests, more]) => [...requests, ...more]),
  });
}

/** Errors that a client may get if it loses a race for the session. */
const LOSING = [
  'UploadTakenOverError',
  'UploadBusyError',
  'UploadOffsetError',
  'BlobUploadUnknownError',
  'BlobUploadInvalidError',
  'DigestInvalidError',
  'BodyBrokenError',
];
/** A fenced writer may find that the storage lacks its upload. */
const LATE = ['UploadStateError'];

export async function playRace(
  registry: TestRegistry,
  { sizeBytes, runners }: RacePlan,
  scheduler: fc.Scheduler,
  isFaulty: boolean,
): Promise<void> {
  const race = new Race(scheduler);
  const [observer, ...replicas] = await Promise.all([
    registry.startReplica(),
    ...[1, 2, 3].map(() => registry.startReplica(race.around)),
  ]);
  const { repository, id } = await observer.uploads.start(REPOSITORY, undefined, UNKNOWN_ORIGIN);
  const reference = { repository, id };
  const before = Buffer.alloc(sizeBytes, '.');
  if (sizeBytes > 0) await observer.uploads.append(reference, whole(before), UNKNOWN_ORIGIN);
  const history = new RaceHistory(registry, reference);
  await history.look();
  const requests = [];
  for (const [lane, runner] of runners.entries()) {
    const player = new Player(registry, race, history, reference, before, lane, replicas);
    requests.push(await race.enter(`${lane} ${runner.does}`, () => player.play(runner)));
  }
  try {
    await race.run(() => history.look());
  } finally {
    // A request that is still parked would keep its locks.
    await race.run(() => Promise.resolve());
  }
  await Promise.all(requests.map(({ outcome }) => outcome));
  const mayFail = [...LOSING, ...(isFaulty ? LATE : [])];
  for (const failure of history.failures) if (!mayFail.includes(nameOf(failure))) throw failure;
  await history.look();
  await history.expectTold(observer);
  await registry.expectNothingLeftOver(observer);
}

function nameOf(failure: unknown): string {
  return failure instanceof Error ? failure.name : String(failure);
}

function whole(bytes: Buffer): UploadBody {
  const fed = new FedBody();
  fed.feed(bytes, 'end');
  return fed.as(undefined);
}

/** Performs one of the runners. */
class Player {
  constructor(
    private readonly registry: TestRegistry,
    private readonly race: Race,
    private readonly history: RaceHistory,
    private readonly reference: UploadReference,
    private readonly before: Buffer,
    private readonly lane: number,
    private readonly replicas: readonly TestReplica[],
  ) {}

  async play(runner: Runner): Promise<void> {
    try {
      await this.attempt(runner);
    } catch (error) {
      this.history.failures.push(error);
    }
  }

  private async attempt(runner: Runner): Promise<void> {
    const { registry, reference, history } = this;
    const turns = 'after' in runner ? runner.after : 0;
    for (let turn = 0; turn < turns; turn += 1) await this.race.stop('not yet');
    const replica = this.replicas[runner.replica];
    if (replica === undefined) throw new Error('no such replica');
    const { uploads } = replica;
    switch (runner.does) {
      case 'append': {
        const bytes = this.bytesOf(runner.chunks);
        const start = runner.at === undefined ? undefined : this.before.length + runner.at;
        const range = start === undefined ? undefined : { start, end: start + bytes.length - 1 };
        const body = this.body(bytes, runner.chunks, runner.ends, range);
        const { offsetBytes: endBytes } = await uploads.append(reference, body, UNKNOWN_ORIGIN);
        if (start !== undefined) expect(endBytes).toBe(start + bytes.length);
        history.successes.push({ kind: 'append', endBytes, bytes });
        return;
      }
      case 'commit': {
        const { sizeBytes } = runner;
        const now = await uploads.status(reference);
        const chunks = sizeBytes === undefined ? [] : [sizeBytes];
        const bytes = this.bytesOf(chunks);
        const digest = digestOf('sha256', Buffer.concat([await this.soFar(now), bytes]));
        const body = sizeBytes === undefined ? undefined : this.body(bytes, chunks, true, undefined);
        await uploads.commit(reference, WantedDigests.of(digest), body, UNKNOWN_ORIGIN);
        history.successes.push({ kind: 'commit', digest });
        return;
      }
      case 'cancel':
        await uploads.cancel(reference, UNKNOWN_ORIGIN);
        history.successes.push({ kind: 'cancel' });
        return;
      case 'status':
        await uploads.status(reference);
        return;
      case 'push the same': {
        const bytes = await this.soFar(await uploads.status(reference));
        await uploads.pushWhole(
          REPOSITORY,
          WantedDigests.of(digestOf('sha256', bytes)),
          whole(bytes),
          UNKNOWN_ORIGIN,
        );
        expect((await registry.pull(digestOf('sha256', bytes)))?.equals(bytes)).toBe(true);
        return;
      }
      case 'reap':
        return registry.reap(replica);
      case 'expire':
        return registry.expire(reference, replica);
      case 'lapse':
        return registry.lapse(reference);
      case 'cut off':
        return replica.cutOff();
    }
  }

  /** The bytes so far, as a client knows them. */
  private async soFar({ offsetBytes }: { offsetBytes: number }): Promise<Buffer> {
    const row = (await this.registry.sessions()).get(this.reference.id);
    if (row?.state !== 'open' || row.offsetBytes !== offsetBytes) return this.before;
    return this.registry.bytesOf(row);
  }

  /** Bytes that no other runner sends. */
  private bytesOf(chunks: readonly number[]): Buffer {
    return Buffer.concat(chunks.map((size) => Buffer.alloc(size, `${this.lane}`)));
  }

  private body(
    bytes: Buffer,
    chunks: readonly number[],
    ends: boolean,
    range: UploadBody['range'],
  ): UploadBody {
    const { race } = this;
    async function* source(): AsyncGenerator<Uint8Array> {
      let done = 0;
      for (const size of chunks) {
        await race.stop('a chunk comes');
        yield bytes.subarray(done, (done += size));
      }
      await race.stop('the body ends');
      if (!ends) throw new Error('the client disconnected');
    }
    return { source: source(), range, lengthBytes: undefined };
  }
}
