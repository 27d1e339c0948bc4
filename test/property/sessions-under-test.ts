import { expect } from '@jest/globals';
import { digestOf } from '../../src/oci/digest.js';
import { canStore } from '../../src/storage/driver-abilities.js';
import { UNKNOWN_ORIGIN } from '../support/upload-claims.js';
import { FaultPoint } from './fault-point.js';
import { FedBody } from './fed-body.js';
import type { TestRegistry } from './test-registry.js';
import type { TestReplica } from './replica.js';
import type { Outcome, RegistryModel, SessionModel } from './session-model.js';
import { WantedDigests } from '../../src/uploads/wanted-digests.js';

/** A replica, and the place where its calls can be made to fail. */
export type ServedReplica = TestReplica & { readonly faults: FaultPoint };

/** How a request ended. Never rejects. */
export function outcomeOf(request: Promise<string>): Promise<Outcome> {
  return request.catch((error: unknown) => (error instanceof Error ? error.name : String(error)));
}

/** Three replicas over one registry, and how they are held to a model. */
export class SessionsUnderTest {
  private readonly all = new Set<ServedReplica>();

  private constructor(
    readonly registry: TestRegistry,
    /** Whether a flush of a writer that was shut out may fail, see `UploadSink.flush`. */
    private readonly isLateFlushRefused: boolean,
    private readonly replicas: ServedReplica[],
  ) {
    replicas.forEach((replica) => this.all.add(replica));
  }

  static async start(registry: TestRegistry, isLateFlushRefused: boolean): Promise<SessionsUnderTest> {
    const replicas = await Promise.all([1, 2, 3].map(() => serve(registry)));
    return new SessionsUnderTest(registry, isLateFlushRefused, replicas);
  }

  /** Whether small content is stored in one call. */
  get storesUploads(): boolean {
    return canStore(this.registry.driver);
  }

  replica(place: number): ServedReplica {
    const replica = this.replicas[place % this.replicas.length];
    if (replica === undefined) throw new Error('there are no replicas');
    return replica;
  }

  /** The one in that place ends, in its own way, and another begins. */
  async replace(place: number, end: () => Promise<void>): Promise<void> {
    await end();
    const next = await serve(this.registry);
    this.all.add(next);
    this.replicas[place % this.replicas.length] = next;
  }

  /**
   * The possible outcomes of a request that lost its session. If its replica learns of the takeover in time,
   * the request fails at once. Otherwise it ends as without the takeover, or finds that it was fenced.
   */
  expectLostSession(outcome: Outcome, ...otherwise: Outcome[]): void {
    const late = this.isLateFlushRefused ? ['UploadStateError'] : [];
    expect(['UploadTakenOverError', ...late, ...otherwise]).toContain(outcome);
  }

  /** Rows and bytes say what the model says. */
  async expectAsModelled(model: RegistryModel): Promise<void> {
    const rows = await this.registry.sessions();
    for (const { reference, state, bytes, holder, digest } of model.sessions) {
      const row = rows.get(reference.id);
      expect(row).toMatchObject({ state, offsetBytes: bytes.length });
      if (row === undefined) continue;
      expect(row.leaseHolder).toBe(holder?.replica.name ?? null);
      if (state === 'open') expect(textOf(await this.registry.bytesOf(row))).toBe(textOf(bytes));
      if (state === 'committing' || state === 'committed') expect(row.digest).toBe(digest);
      if (state === 'committed' && digest !== undefined) {
        expect(textOf(await this.registry.pull(digest))).toBe(textOf(bytes));
      }
    }
  }

  async expectStatus({ reference, state, bytes }: SessionModel, place: number): Promise<void> {
    const { uploads } = this.replica(place);
    const outcome = await outcomeOf(
      uploads.status(reference).then(({ offsetBytes }) => `ok, at ${offsetBytes}`),
    );
    const isGone = state === 'cancelled' || state === 'expired';
    expect(outcome).toBe(isGone ? 'BlobUploadUnknownError' : `ok, at ${bytes.length}`);
  }

  /** Ends stalled requests, commits every open session, and checks that nothing is left over. */
  async end(model: RegistryModel): Promise<void> {
    await this.endStandstills(model);
    await this.expectAsModelled(model);
    for (const session of model.sessions) {
      if (session.state === 'open') await this.carryOn(model, session);
    }
    await this.expectAsModelled(model);
    await this.registry.expectNothingLeftOver(this.replica(0));
  }

  /** Ends all requests: stalled ones would block the next run. */
  async abandon(model: RegistryModel): Promise<void> {
    this.all.forEach(({ faults }) => faults.release());
    for (const { request } of model.stalledRequests) request.body?.feed('end');
    await Promise.all(model.stalledRequests.map(({ request }) => request.outcome));
  }

  private async endStandstills(model: RegistryModel): Promise<void> {
    await this.abandon(model);
    for (const { session, request } of model.stalledRequests) {
      if (request.body === undefined) {
        expect(await request.outcome).toBe('InjectedError');
      } else if (request.hasLostSession) {
        this.expectLostSession(await request.outcome);
      } else {
        model.keep(session, request.unrecorded);
        expect(await request.outcome).toBe(`ok, at ${session.bytes.length}`);
      }
      if (!request.hasLostSession) session.holder = undefined;
    }
    model.stalledRequests.length = 0;
  }

  private async carryOn(model: RegistryModel, session: SessionModel): Promise<void> {
    const { uploads } = this.replica(0);
    const [rest, last] = [Buffer.from('the rest, '), Buffer.from('and the last of it')];
    const request = (bytes: Buffer) => {
      const fed = new FedBody();
      fed.feed(bytes, 'end');
      return fed.as(
        { start: session.bytes.length, end: session.bytes.length + bytes.length - 1 },
        bytes.length,
      );
    };
    await uploads.append(session.reference, request(rest), UNKNOWN_ORIGIN);
    model.keep(session, rest);
    const digest = digestOf('sha256', Buffer.concat([session.bytes, last]));
    await uploads.commit(session.reference, WantedDigests.of(digest), request(last), UNKNOWN_ORIGIN);
    model.keep(session, last);
    model.commit(session, digest);
  }
}

async function serve(registry: TestRegistry): Promise<ServedReplica> {
  const faults = new FaultPoint();
  return Object.assign(await registry.startReplica(faults.around), { faults });
}

/** Short enough to read in a failure. */
function textOf(bytes: Buffer | undefined): string | undefined {
  return bytes?.toString().replace(/(.)\1{5,}/g, (run, letter: string) => `${letter}×${run.length} `);
}
