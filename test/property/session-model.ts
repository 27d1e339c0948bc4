import { type Digest, digestOf } from '../../src/oci/digest.js';
import type { UploadSession } from '../../src/uploads/session/upload-session.js';
import type { UploadReference } from '../../src/uploads/session/upload-session.js';
import type { FedBody } from './fed-body.js';
import { CHECKPOINT_BYTES, type TestReplica } from './replica.js';

/** How a request ended: the name of its error, or `ok`. */
export type Outcome = string;

/** A request that stalls: its client sends nothing, or its process was killed. */
export interface StalledRequest {
  readonly replica: TestReplica;
  readonly outcome: Promise<Outcome>;
  /** Nothing: it stands in the driver's finish, and will fail there. */
  readonly body: FedBody | undefined;
  /** What it took since its last checkpoint. */
  unrecorded: Buffer;
  /** Whether another request took the session over. */
  hasLostSession: boolean;
}

/** A session as it should be. */
export interface SessionModel {
  readonly reference: UploadReference;
  state: UploadSession['state'];
  /** What was acknowledged. */
  bytes: Buffer;
  /** Set when a commit to this digest has started. */
  digest: Digest | undefined;
  readonly is512Announced: boolean;
  holder: StalledRequest | undefined;
  isLapsed: boolean;
}

/** The expected state of the registry. */
export class RegistryModel {
  readonly sessions: SessionModel[] = [];
  readonly stalledRequests: { readonly session: SessionModel; readonly request: StalledRequest }[] = [];
  /** The digests by which each content is known, by its sha256. */
  readonly blobs = new Map<Digest, Set<Digest>>();
  readonly gone = new Set<TestReplica>();

  session(which: number): SessionModel | undefined {
    return this.sessions[which % Math.max(this.sessions.length, 1)];
  }

  commit(session: SessionModel, wanted: Digest): void {
    session.state = 'committed';
    session.digest = wanted;
    session.holder = undefined;
    this.addBlob(session.bytes, [
      wanted,
      ...(session.is512Announced ? [digestOf('sha512', session.bytes)] : []),
    ]);
  }

  addBlob(bytes: Buffer, digests: readonly Digest[]): void {
    const canonical = digestOf('sha256', bytes);
    this.blobs.set(canonical, new Set([canonical, ...digests, ...(this.blobs.get(canonical) ?? [])]));
  }

  hasBlob(bytes: Buffer): boolean {
    return this.blobs.has(digestOf('sha256', bytes));
  }

  knowsAs(bytes: Buffer, digest: Digest): boolean {
    return this.blobs.get(digestOf('sha256', bytes))?.has(digest) === true;
  }

  /** A new request acquires the session. Returns how the previous holder ends, if it releases the session. */
  take(session: SessionModel): StalledRequest | undefined {
    const { holder } = session;
    if (holder === undefined) return undefined;
    session.holder = undefined;
    if (session.isLapsed || this.gone.has(holder.replica)) {
      session.isLapsed = false;
      holder.hasLostSession = true;
      return undefined;
    }
    this.keep(session, holder.unrecorded);
    this.forget(holder);
    return holder;
  }

  /** Whether a new request acquires the session without another one that releases it. */
  isFree({ holder, isLapsed }: SessionModel): boolean {
    return holder === undefined || isLapsed || this.gone.has(holder.replica);
  }

  stall(session: SessionModel, request: StalledRequest): void {
    session.holder = request;
    session.isLapsed = false;
    this.stalledRequests.push({ session, request });
  }

  forget(request: StalledRequest): void {
    const index = this.stalledRequests.findIndex((stalledRequest) => stalledRequest.request === request);
    if (index >= 0) this.stalledRequests.splice(index, 1);
  }

  keep(session: SessionModel, bytes: Buffer): void {
    session.bytes = Buffer.concat([session.bytes, bytes]);
  }

  /** A request received a chunk. Returns whether it made a checkpoint. */
  receive(session: SessionModel, request: StalledRequest, chunk: Buffer): boolean {
    let isDue = false;
    request.unrecorded = Buffer.concat([request.unrecorded, chunk]);
    while (request.unrecorded.length >= CHECKPOINT_BYTES) {
      this.record(session, request);
      isDue = true;
    }
    return isDue;
  }

  private record(session: SessionModel, request: StalledRequest): void {
    if (!request.hasLostSession) {
      this.keep(session, request.unrecorded.subarray(0, CHECKPOINT_BYTES));
      session.isLapsed = false;
    }
    request.unrecorded = request.unrecorded.subarray(CHECKPOINT_BYTES);
  }
}

/** What an append of these chunks records first. */
export function firstCheckpointOf(chunks: readonly Buffer[]): Buffer {
  return Buffer.concat(chunks).subarray(0, CHECKPOINT_BYTES);
}
