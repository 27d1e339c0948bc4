import { expect } from '@jest/globals';
import fc from 'fast-check';
import { type Digest, digestOf } from '../../src/oci/digest.js';
import { UNKNOWN_ORIGIN } from '../support/upload-claims.js';
import { bodyPlan, type BodyPlan, effectOf, endingOf, requestOf } from './body-plan.js';
import { FedBody } from './fed-body.js';
import { REPOSITORY } from './test-registry.js';
import { INJECTED } from './fault-point.js';
import { outcomeOf, type SessionsUnderTest } from './sessions-under-test.js';
import {
  firstCheckpointOf,
  type Outcome,
  type RegistryModel,
  type SessionModel,
  type StalledRequest,
} from './session-model.js';
import { expire, kill, lapse, reap, stop } from './replica-commands.js';
import { type Command, type Play, type Scene, step } from './session-step.js';
import { WantedDigests } from '../../src/uploads/wanted-digests.js';

class Start implements Command {
  constructor(
    private readonly place: number,
    private readonly is512Announced: boolean,
  ) {}

  check(model: Readonly<RegistryModel>): boolean {
    return model.sessions.length < 3;
  }

  async run(model: RegistryModel, real: SessionsUnderTest): Promise<void> {
    const { is512Announced } = this;
    const { uploads } = real.replica(this.place);
    const started = await uploads.start(REPOSITORY, is512Announced ? 'sha512' : undefined, UNKNOWN_ORIGIN);
    const reference = { repository: started.repository, id: started.id };
    const empty = { state: 'open', bytes: Buffer.of(), digest: undefined, holder: undefined } as const;
    model.sessions.push({ reference, ...empty, is512Announced, isLapsed: false });
    await real.expectAsModelled(model);
  }

  toString(): string {
    return `Start(replica ${this.place}${this.is512Announced ? ', sha512' : ''})`;
  }
}

/**
 * A request that writes acquires the session first. The previous writer, if it can be reached, checkpoints
 * and releases it.
 */
async function afterAcquiring(
  { model, session }: Pick<Scene, 'model' | 'session'>,
  request: () => Promise<void>,
): Promise<void> {
  const isWritable = session.state === 'open' || session.state === 'committing';
  const released = isWritable ? model.take(session) : undefined;
  await request();
  if (released !== undefined) expect(await released.outcome).toBe('UploadTakenOverError');
}

/** What an append is told of a session that isn't open. */
const refusalOf = ({ state }: SessionModel): Outcome =>
  state === 'committing' ? 'BlobUploadInvalidError' : 'BlobUploadUnknownError';

const append: Play<BodyPlan> = (scene, plan) =>
  afterAcquiring(scene, async () => {
    const { model, session, replica } = scene;
    const request = requestOf(plan, session.bytes.length);
    request.fed.feed(endingOf(plan));
    const outcome = await outcomeOf(
      replica.uploads
        .append(session.reference, request.body, UNKNOWN_ORIGIN)
        .then(({ offsetBytes }) => `ok, at ${offsetBytes}`),
    );
    if (session.state !== 'open') return expect(outcome).toBe(refusalOf(session));
    const { kept, failure } = effectOf(plan, request.body, session.bytes.length);
    model.keep(session, kept);
    expect(outcome).toBe(failure ?? `ok, at ${session.bytes.length}`);
  });

interface CommitPlan {
  readonly as: 'sha256' | 'sha512' | 'something else' | 'what it is committed as';
  readonly body: BodyPlan | undefined;
}

const SOMETHING_ELSE = digestOf('sha256', Buffer.from('something else'));

function digestFor(as: CommitPlan['as'], content: Buffer, session: SessionModel): Digest {
  if (as === 'something else') return SOMETHING_ELSE;
  if (as === 'what it is committed as' && session.digest !== undefined) return session.digest;
  return digestOf(as === 'sha512' ? 'sha512' : 'sha256', content);
}

const commit: Play<CommitPlan> = (scene, { as, body }) =>
  afterAcquiring(scene, async () => {
    const { model, session, replica } = scene;
    const request = body && requestOf(body, session.bytes.length);
    if (body !== undefined) request?.fed.feed(endingOf(body));
    const isOpen = session.state === 'open';
    const effect = body && request && isOpen ? effectOf(body, request.body, session.bytes.length) : undefined;
    const content = Buffer.concat([session.bytes, effect?.kept ?? Buffer.of()]);
    const digest = digestFor(as, content, session);
    const outcome = await outcomeOf(
      replica.uploads
        .commit(session.reference, WantedDigests.of(digest), request?.body, UNKNOWN_ORIGIN)
        .then(() => 'ok'),
    );
    expect(outcome).toBe(expected());

    function expected(): Outcome {
      switch (session.state) {
        case 'open':
          session.bytes = content;
          if (effect?.failure !== undefined) return effect.failure;
          if (as === 'something else') return 'DigestInvalidError';
          model.commit(session, digest);
          return 'ok';
        case 'committing':
          if (digest !== session.digest) return 'BlobUploadInvalidError';
          model.commit(session, digest);
          return 'ok';
        case 'committed':
          return model.knowsAs(session.bytes, digest) ? 'ok' : 'BlobUploadUnknownError';
        default:
          return 'BlobUploadUnknownError';
      }
    }
  });

const cancel: Play<null> = (scene) =>
  afterAcquiring(scene, async () => {
    const { session, replica } = scene;
    const outcome = await outcomeOf(
      replica.uploads.cancel(session.reference, UNKNOWN_ORIGIN).then(() => 'ok'),
    );
    const isOver = session.state !== 'open' && session.state !== 'committing';
    expect(outcome).toBe(isOver ? 'BlobUploadUnknownError' : 'ok');
    if (!isOver) session.state = 'cancelled';
  });

/** Another client pushes a blob in one request; `isTheSame`: what the session has. */
const pushWhole: Play<{ body: BodyPlan; isRight: boolean; isTheSame: boolean }> = async (scene, plan) => {
  const { model, session, replica } = scene;
  const body = plan.isTheSame ? { ...plan.body, chunks: [session.bytes] } : plan.body;
  const request = requestOf(body, 0);
  request.fed.feed(endingOf(body));
  const { kept, failure } = effectOf(body, request.body, 0);
  const digest = plan.isRight ? digestOf('sha256', kept) : SOMETHING_ELSE;
  const outcome = await outcomeOf(
    replica.uploads
      .pushWhole(REPOSITORY, WantedDigests.of(digest), request.body, UNKNOWN_ORIGIN)
      .then(() => 'ok'),
  );
  expect(outcome).toBe(failure ?? (plan.isRight ? 'ok' : 'DigestInvalidError'));
  if (outcome === 'ok') model.addBlob(kept, []);
};

type FailingCall = 'write' | 'flush' | 'checkpoint';

/** A call of the storage or the database fails in an append, before or after its effect. */
const failInAppend: Play<{ chunks: readonly Buffer[]; call: FailingCall; when: 'before' | 'after' }> = async (
  scene,
  { chunks, call, when },
) => {
  const { model, session, replica } = scene;
  if (session.state !== 'open' || Buffer.concat(chunks).length === 0) return;
  // The holder on the same replica would meet the fault instead, while it releases the session.
  if (session.holder?.replica === replica) return;
  await afterAcquiring(scene, async () => {
    const body = new FedBody();
    body.feed(...chunks, 'end');
    void replica.faults.arm(call, when, 'throws');
    const outcome = await outcomeOf(
      replica.uploads.append(session.reference, body.as(undefined), UNKNOWN_ORIGIN).then(() => 'ok'),
    );
    expect(outcome).toBe(INJECTED);
    if (call === 'checkpoint' && when === 'after') model.keep(session, firstCheckpointOf(chunks));
  });
};

/** Starts an append whose client sends some chunks and then stalls. */
const stall: Play<{ chunks: readonly Buffer[] }> = (scene, { chunks }) =>
  afterAcquiring(scene, async () => {
    const { model, real, session, place, replica } = scene;
    const body = new FedBody();
    body.feed(...chunks);
    const outcome = outcomeOf(
      replica.uploads
        .append(session.reference, body.as(undefined), UNKNOWN_ORIGIN)
        .then(({ offsetBytes }) => `ok, at ${offsetBytes}`),
    );
    const stands = body.consumed().then(() => 'stalls');
    const soFar = await Promise.race([outcome, stands]);
    if (session.state !== 'open') return expect(await outcome).toBe(refusalOf(session));
    expect(soFar).toBe('stalls');
    const request: StalledRequest = stalledRequest(real, place, outcome, body);
    model.stall(session, request);
    for (const chunk of chunks) model.receive(session, request, chunk);
  });

const stalledRequest = (
  real: SessionsUnderTest,
  place: number,
  outcome: Promise<Outcome>,
  body: FedBody | undefined,
): StalledRequest => ({
  replica: real.replica(place),
  outcome,
  body,
  unrecorded: Buffer.of(),
  hasLostSession: false,
});

/** The client of a stalled request continues. */
const continueStalled: Play<{ which: number; chunk: Buffer; then: 'waits' | 'ends' | 'breaks off' }> = async (
  { model, real },
  { which, chunk, then },
) => {
  const stalled = model.stalledRequests[which % Math.max(model.stalledRequests.length, 1)];
  if (stalled?.request.body === undefined) return;
  const { session, request } = stalled;
  const { body, outcome } = { body: stalled.request.body, outcome: request.outcome };
  body.feed(chunk);
  await Promise.race([body.consumed(), outcome]);
  if (model.receive(session, request, chunk) && request.hasLostSession) {
    model.forget(request);
    return real.expectLostSession(await outcome);
  }
  if (then === 'waits') return;
  model.forget(request);
  body.feed(then === 'ends' ? 'end' : new Error('the client is gone'));
  if (request.hasLostSession) {
    return real.expectLostSession(await outcome, ...(then === 'ends' ? [] : ['BodyBrokenError']));
  }
  session.holder = undefined;
  session.isLapsed = false;
  model.keep(session, request.unrecorded);
  expect(await outcome).toBe(then === 'ends' ? `ok, at ${session.bytes.length}` : 'BodyBrokenError');
};

/** Interrupts a commit while the driver finishes: the call fails, or the process is killed. */
const crashInCommit: Play<{ when: 'before' | 'after'; how: 'fails' | 'is killed' }> = (
  scene,
  { when, how },
) =>
  afterAcquiring(scene, async () => {
    const { model, real, session, place, replica } = scene;
    const digest = session.digest ?? digestOf('sha256', session.bytes);
    const isWritable = session.state === 'open' || session.state === 'committing';
    if (!isWritable) return;
    const request = () =>
      outcomeOf(
        replica.uploads
          .commit(session.reference, WantedDigests.of(digest), undefined, UNKNOWN_ORIGIN)
          .then(() => 'ok'),
      );
    // The driver has nothing to finish.
    if (model.hasBlob(session.bytes)) {
      expect(await request()).toBe('ok');
      return model.commit(session, digest);
    }
    const reached = replica.faults.arm('finishUpload', when, how === 'fails' ? 'throws' : 'hangs');
    const outcome = request();
    session.state = 'committing';
    session.digest = digest;
    if (how === 'fails') return expect(await outcome).toBe(INJECTED);
    await Promise.race([reached, outcome]);
    model.stall(session, stalledRequest(real, place, outcome, undefined));
    await kill(scene, null);
  });

/** Interrupts a push of the whole content, which is not recorded before it is committed. */
const crashInStore: Play<{
  chunk: Buffer;
  call: 'storeUpload' | 'commit';
  how: 'fails' | 'is killed';
}> = async (scene, { chunk, call, how }) => {
  const { model, real, session, place, replica } = scene;
  const isEmpty = session.state === 'open' && session.bytes.length === 0 && model.isFree(session);
  if (!isEmpty || chunk.length === 0 || model.hasBlob(chunk) || !real.storesUploads) return;
  const digest = digestOf('sha256', chunk);
  // After a push of other content that was cut off, this one takes the ordinary way.
  const intent = (await real.registry.sessions()).get(session.reference.id)?.digest ?? digest;
  if (intent !== digest) return;
  await afterAcquiring(scene, async () => {
    const body = new FedBody();
    body.feed(chunk, 'end');
    const reached = replica.faults.arm(call, 'before', how === 'fails' ? 'throws' : 'hangs');
    const outcome = outcomeOf(
      replica.uploads
        .commit(session.reference, WantedDigests.of(digest), body.as(undefined, chunk.length), UNKNOWN_ORIGIN)
        .then(() => 'ok'),
    );
    if (how === 'fails') return expect(await outcome).toBe(INJECTED);
    await Promise.race([reached, outcome]);
    model.stall(session, stalledRequest(real, place, outcome, undefined));
    await kill(scene, null);
  });
};

const nothing: Play<null> = () => Promise.resolve();

const chunk = bodyPlan.chunk;

const commitPlan = fc.record<CommitPlan>({
  as: fc.constantFrom('sha256', 'sha256', 'sha512', 'something else', 'what it is committed as'),
  body: fc.option(bodyPlan.body, { nil: undefined }),
});

/** All commands. Some are repeated to make them more frequent. */
export const sessionCommands: fc.Arbitrary<Command>[] = [
  fc.tuple(fc.nat({ max: 2 }), fc.boolean()).map(([place, announced]) => new Start(place, announced)),
  step('Append', bodyPlan.body, append),
  step('Append', bodyPlan.body, append),
  step('Stall', fc.record({ chunks: bodyPlan.chunks }), stall),
  step('Stall', fc.record({ chunks: bodyPlan.chunks }), stall),
  step(
    'Continue',
    fc.record({ which: fc.nat({ max: 4 }), chunk, then: fc.constantFrom('waits', 'ends', 'breaks off') }),
    continueStalled,
  ),
  step(
    'Continue',
    fc.record({ which: fc.nat({ max: 4 }), chunk, then: fc.constantFrom('waits', 'ends', 'breaks off') }),
    continueStalled,
  ),
  step('Commit', commitPlan, commit),
  step('Commit', commitPlan, commit),
  step(
    'CrashInCommit',
    fc.record({ when: fc.constantFrom('before', 'after'), how: fc.constantFrom('fails', 'is killed') }),
    crashInCommit,
  ),
  step(
    'CrashInStore',
    fc.record({
      chunk,
      call: fc.constantFrom('storeUpload', 'commit'),
      how: fc.constantFrom('fails', 'is killed'),
    }),
    crashInStore,
  ),
  step(
    'PushWhole',
    fc.record({ body: bodyPlan.body, isRight: fc.constantFrom(true, true, false), isTheSame: fc.boolean() }),
    pushWhole,
  ),
  step(
    'FailInAppend',
    fc.record({
      chunks: bodyPlan.chunks,
      call: fc.constantFrom('write', 'flush', 'checkpoint'),
      when: fc.constantFrom('before', 'after'),
    }),
    failInAppend,
  ),
  step('Cancel', fc.constant(null), cancel),
  step('Kill', fc.constant(null), kill),
  step('Stop', fc.constant(null), stop),
  step('Lapse', fc.constant(null), lapse),
  step('Reap', fc.constant(null), reap),
  step('Expire', fc.constant(null), expire),
  step('Status', fc.constant(null), nothing),
];
