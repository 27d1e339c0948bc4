import type { Fault } from './front-faults.js';
import { Refusal } from './front-refusal.js';

/** A life of a replica: from a start to a kill. */
export interface ReplicaLife {
  readonly isFrozen: boolean;
  readonly isKilled: boolean;
  /** Resolves when the process runs, at once if it isn't frozen. */
  awake(): Promise<void>;
}

/** A request of the front to a scripted replica, and its answer. */
export class Exchange {
  /** The length of the request's head. */
  headBytes = 0;
  /** Bytes of the request that passed, head included. */
  receivedBytes = 0;
  /** Bytes of the final response that passed, head included. */
  sentBytes = 0;
  /** Whether the final response has begun. */
  isFinal = false;
  /** Whether the whole request was read and answered: what follows on the connection is another one. */
  isAnswered = false;
  /** Whether the answer came first: what follows on the connection is the rest of the body. */
  isDrained = false;
  /** Whether the fault has happened. */
  hasStruck = false;
  wantsProgress = false;
  wantsTakeover = false;
  private leaving: (refusal: Refusal) => void = () => undefined;
  private isLeft = false;

  constructor(
    readonly replica: ReplicaLife,
    readonly fault: Fault,
  ) {}

  get isDead(): boolean {
    return this.replica.isKilled;
  }

  /** Called before every effect: a process that was killed has none. */
  expectAlive(): void {
    if (this.isDead) throw new Error('the replica was killed');
  }

  /** How many bytes of the request pass before the fault is due. */
  get roomInRequest(): number {
    const { fault } = this;
    const isHere = fault.kind === 'cut request' || fault.kind === 'freeze request' || fault.kind === 'delay';
    return isHere && !this.hasStruck ? fault.atByte - this.receivedBytes : Infinity;
  }

  /** How many bytes of the answer pass before the fault is due. */
  get roomInAnswer(): number {
    const { fault } = this;
    const isHere = fault.kind === 'cut answer' || fault.kind === 'freeze answer';
    return isHere && this.isFinal && !this.hasStruck ? fault.atByte - this.sentBytes : Infinity;
  }

  /** Ends the reading of the body, because another request has taken the session. */
  leave(): void {
    this.isLeft = true;
    this.leaving(new Refusal(429, 'TOOMANYREQUESTS'));
  }

  /** Rejects when the request has to leave the session. */
  left(): Promise<never> {
    return new Promise((_, reject) => {
      this.leaving = reject;
      if (this.isLeft) this.leave();
    });
  }
}
