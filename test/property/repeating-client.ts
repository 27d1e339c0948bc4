import { expect } from '@jest/globals';
import fc from 'fast-check';
import { type Digest, digestOf } from '../../src/oci/digest.js';
import type { UploadBody } from '../../src/transfer/read-body.js';
import type { UploadReference } from '../../src/uploads/session/upload-session.js';
import { UNKNOWN_ORIGIN } from '../support/upload-claims.js';
import { FaultPoint, INJECTED } from './fault-point.js';
import { FedBody } from './fed-body.js';
import { REPOSITORY, type TestRegistry } from './test-registry.js';
import type { TestReplica } from './replica.js';
import { WantedDigests } from '../../src/uploads/wanted-digests.js';

const CHUNK_BYTES = 50;

/** One request of the client. Numbers choose among what there is then. */
interface ClientStep {
  readonly do: 'patch' | 'put' | 'put without a body' | 'status';
  /** The Location to send to: how many were given since. */
  readonly since: number;
  readonly replica: number;
  /** Of a PATCH: its body ends so far beyond what the session has; undefined: it has `length` bytes. */
  readonly beyond: number | undefined;
  readonly length: number;
  readonly isSized: boolean;
  /** Whether a byte that the session has is sent differently. */
  readonly isWrong: boolean;
  readonly ending: 'whole' | 'breaks off' | 'stalls';
  /** Where it breaks off or stalls. */
  readonly cut: number;
  /** Whether the commit fails when the storage is done. */
  readonly failsInCommit: boolean;
}

export interface ClientPlan {
  readonly content: Buffer;
  readonly steps: readonly ClientStep[];
}

const nat = fc.nat(10_000);

export const clientPlan: fc.Arbitrary<ClientPlan> = fc.record({
  // Runs of one letter look like a repetition at any offset.
  content: fc
    .array(fc.tuple(fc.constantFrom('a', 'b'), fc.integer({ min: 1, max: 150 })), { maxLength: 8 })
    .map((parts) => Buffer.concat(parts.map(([letter, length]) => Buffer.alloc(length, letter)))),
  steps: fc.array(
    fc.record<ClientStep>({
      do: fc.constantFrom(...Array<'patch'>(6).fill('patch'), 'put', 'put without a body', 'status'),
      since: fc.constantFrom(0, 0, 0, 1, 1, 1, 2, 3, 4),
      replica: nat,
      beyond: fc.option(fc.integer({ min: 0, max: 60 }), { nil: undefined, freq: 4 }),
      length: nat,
      isSized: fc.boolean(),
      isWrong: fc.constantFrom(false, false, true),
      ending: fc.constantFrom('whole', 'whole', 'whole', 'breaks off', 'breaks off', 'stalls'),
      cut: nat,
      failsInCommit: fc.constantFrom(false, false, true),
    }),
    { maxLength: 15, size: 'max' },
  ),
});

/** A body as it is sent. */
interface SentBody {
  readonly start: number;
  readonly bytes: Buffer;
  /** How much of it arrives; undefined: all, and its end. */
  readonly cut: number | undefined;
  readonly isWrong: boolean;
  readonly isSized: boolean;
}

/** What the session then has, and how the request ends. */
interface Effect {
  readonly offset: number;
  readonly failure: string | undefined;
}

/**
 * A client with one content in mind, of which it sends any part to any Location that it ever got, at most one
 * request at a time; and what must become of each request.
 */
export class RepeatingClient {
  private readonly digest: Digest;
  /** The offsets of all Locations that were given. */
  private readonly locations = [0];
  private state: 'open' | 'committing' | 'committed' = 'open';
  /** Durable bytes. */
  private offset = 0;
  /** Where the last body began that was appended. */
  private lastStart = 0;
  private stalled:
    { readonly outcome: Promise<string>; readonly body: FedBody; readonly effect: Effect } | undefined;

  private constructor(
    private readonly registry: TestRegistry,
    private readonly plan: ClientPlan,
    private readonly replicas: readonly (TestReplica & { readonly faults: FaultPoint })[],
    private readonly session: UploadReference,
  ) {
    this.digest = digestOf('sha256', plan.content);
  }

  static async start(registry: TestRegistry, plan: ClientPlan): Promise<RepeatingClient> {
    const serve = async () => {
      const faults = new FaultPoint();
      return Object.assign(await registry.startReplica(faults.around), { faults });
    };
    const [first, second] = [await serve(), await serve()];
    const { repository, id } = await first.uploads.start(REPOSITORY, undefined, UNKNOWN_ORIGIN);
    return new RepeatingClient(registry, plan, [first, second], { repository, id });
  }

  async play(): Promise<void> {
    for (const step of this.plan.steps) {
      await this.step(step);
      await this.expectAsModelled();
    }
    await this.finish();
    expect((await this.registry.pull(this.digest))?.equals(this.plan.content)).toBe(true);
    await this.registry.expectNothingLeftOver(this.replica(0));
  }

  /** Ends a request that stalls: it would block the next run. */
  async abandon(): Promise<void> {
    this.stalled?.body.feed('end');
    await this.stalled?.outcome;
  }

  private async step(step: ClientStep): Promise<void> {
    const { uploads } = this.replica(step.replica);
    if (step.do === 'status') {
      this.locations.push((await uploads.status(this.session)).offsetBytes);
      return;
    }
    const letsGo = this.letGo();
    if (step.do === 'put without a body') await this.put(step, undefined);
    else if (step.do === 'put') await this.put(step, this.bodyOf(step));
    else await this.patch(step, this.bodyOf(step));
    if (letsGo !== undefined) expect(await letsGo).toBe('UploadTakenOverError');
  }

  private async patch(step: ClientStep, body: SentBody): Promise<void> {
    const { uploads } = this.replica(step.replica);
    const fed = this.feed(body, step);
    const outcome = outcomeOf(uploads.append(this.session, fed.upload, UNKNOWN_ORIGIN));
    await this.expectEnd(step, body, fed.body, outcome);
  }

  private async put(step: ClientStep, body: SentBody | undefined): Promise<void> {
    const replica = this.replica(step.replica);
    const commits = this.state !== 'committed' && step.failsInCommit && this.plan.content.length > 0;
    if (commits) void replica.faults.arm('finishUpload', 'after', 'throws');
    const fed = body && this.feed(body, step);
    const outcome = outcomeOf(
      replica.uploads.commit(this.session, WantedDigests.of(this.digest), fed?.upload, UNKNOWN_ORIGIN),
    );
    if (body !== undefined && fed !== undefined) await this.expectEnd(step, body, fed.body, outcome, commits);
    else this.expectCommit(await outcome, commits);
    replica.faults.disarm();
  }

  /** Checks how a request with a body ends, or keeps it while it stalls. */
  private async expectEnd(
    step: ClientStep,
    body: SentBody,
    fed: FedBody,
    outcome: Promise<string>,
    failsInCommit = false,
  ): Promise<void> {
    const isPut = step.do === 'put';
    const effect = this.state === 'open' ? this.effectOf(body) : undefined;
    if (step.ending === 'stalls') {
      if (effect?.failure === 'BodyBrokenError') {
        await Promise.race([fed.consumed(), outcome]);
        this.stalled = { outcome, body: fed, effect };
        return;
      }
      // Nothing waits for the rest of such a body.
      fed.feed(new Error('the client is gone'));
    }
    if (effect === undefined) {
      if (isPut) return this.expectCommit(await outcome, failsInCommit);
      const refusal = this.state === 'committing' ? 'BlobUploadInvalidError' : 'BlobUploadUnknownError';
      return expect(await outcome).toBe(refusal);
    }
    this.offset = effect.offset;
    if (effect.failure !== undefined) return expect(await outcome).toBe(effect.failure);
    if (isPut) return this.expectCommit(await outcome, failsInCommit);
    expect(await outcome).toBe('ok');
    this.locations.push(this.offset);
  }

  private expectCommit(outcome: string, failsInCommit: boolean): void {
    if (this.offset < this.plan.content.length) return expect(outcome).toBe('DigestInvalidError');
    expect(outcome).toBe(failsInCommit ? INJECTED : 'ok');
    this.state = failsInCommit ? 'committing' : 'committed';
  }

  /** The next request makes a stalled one release the session. Returns how that one ends. */
  private letGo(): Promise<string> | undefined {
    if (this.stalled === undefined) return undefined;
    const { outcome, effect } = this.stalled;
    this.offset = effect.offset;
    this.stalled = undefined;
    return outcome;
  }

  private bodyOf(step: ClientStep): SentBody {
    const { since, beyond, length, isSized, isWrong, ending, cut } = step;
    const start = this.locations.at(-1 - since) ?? 0;
    const rest = this.plan.content.subarray(start);
    const sent = beyond === undefined ? length % (rest.length + 1) : this.offset - start + beyond;
    const bytes = Buffer.from(step.do === 'put' ? rest : rest.subarray(0, Math.max(sent, 0)));
    const known = Math.min(this.offset - start, bytes.length);
    if (isWrong && known > 0) bytes[cut % known]! ^= 1;
    return {
      start,
      bytes,
      cut: ending === 'whole' ? undefined : cut % (bytes.length + 1),
      isWrong: isWrong && known > 0,
      isSized,
    };
  }

  /** Of a body to an open session. */
  private effectOf({ start, bytes, cut, isWrong, isSized }: SentBody): Effect {
    const { offset } = this;
    const repeated = offset - start;
    const refused = { offset, failure: 'UploadOffsetError' };
    if (![0, this.lastStart, offset].includes(start)) return refused;
    if (isSized && bytes.length > 0 && bytes.length < repeated) return refused;
    if (repeated === 0) this.lastStart = start;
    const arrived = cut ?? bytes.length;
    if (isWrong && arrived >= repeated) return refused;
    if (cut === undefined && arrived > 0 && arrived < repeated) return refused;
    const failure = cut === undefined ? undefined : 'BodyBrokenError';
    return { offset: Math.max(offset, start + arrived), failure };
  }

  private feed(body: SentBody, { ending }: ClientStep): { body: FedBody; upload: UploadBody } {
    const fed = new FedBody();
    const arriving = body.bytes.subarray(0, body.cut ?? body.bytes.length);
    for (let at = 0; at < arriving.length; at += CHUNK_BYTES)
      fed.feed(arriving.subarray(at, at + CHUNK_BYTES));
    if (ending === 'whole') fed.feed('end');
    if (ending === 'breaks off') fed.feed(new Error('the client is gone'));
    const upload = fed.as(undefined, body.isSized ? body.bytes.length : undefined);
    return { body: fed, upload: { ...upload, locationOffset: body.start } };
  }

  private async expectAsModelled(): Promise<void> {
    if (this.stalled !== undefined) return;
    const row = (await this.registry.sessions()).get(this.session.id);
    expect(row).toMatchObject({ state: this.state, offsetBytes: this.offset });
    if (row?.state !== 'open') return;
    const bytes = await this.registry.bytesOf(row);
    expect(bytes.toString()).toBe(this.plan.content.subarray(0, this.offset).toString());
  }

  /** As a client that asks for the status sends the rest. */
  private async finish(): Promise<void> {
    const letsGo = this.letGo();
    const { uploads } = this.replica(1);
    // The status does not make a stalled request release the session, an empty body does.
    if (letsGo !== undefined) await outcomeOf(uploads.append(this.session, endedBody(), UNKNOWN_ORIGIN));
    await letsGo;
    this.locations.push((await uploads.status(this.session)).offsetBytes);
    await this.put(LAST, this.bodyOf(LAST));
    expect(this.state).toBe('committed');
    await this.put(LAST, this.bodyOf(LAST));
  }

  private replica(place: number) {
    const replica = this.replicas[place % this.replicas.length];
    if (replica === undefined) throw new Error('there are no replicas');
    return replica;
  }
}

const LAST: ClientStep = {
  do: 'put',
  since: 0,
  replica: 1,
  beyond: undefined,
  length: 0,
  isSized: true,
  isWrong: false,
  ending: 'whole',
  cut: 0,
  failsInCommit: false,
};

function endedBody(): UploadBody {
  const fed = new FedBody();
  fed.feed('end');
  return fed.as(undefined);
}

/** How a request ended. Never rejects. */
function outcomeOf(request: Promise<unknown>): Promise<string> {
  return request.then(
    () => 'ok',
    (error: unknown) => (error instanceof Error ? error.name : String(error)),
  );
}
