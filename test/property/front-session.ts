import { setTimeout as sleep } from 'node:timers/promises';
import type { Exchange } from './front-exchange.js';
import { Refusal } from './front-refusal.js';

/** How long a writer that doesn't react keeps its session from a request that may take it over. */
const TAKEOVER_MS = 20;

/**
 * An upload session in memory. As in Berth, one request at a time writes to it, and each writer has a
 * version. A writer whose version is no longer the session's is fenced: it can't change the session.
 */
export class ScriptedSession {
  state: 'open' | 'committed' | 'cancelled' = 'open';
  digest: string | undefined;
  /** Where the last body began. */
  bodyStart = 0;
  private version = 0;
  private writer: SessionWriter | undefined;
  private readonly parts: Buffer[] = [];
  private durable = 0;

  constructor(
    readonly repository: string,
    readonly id: string,
  ) {}

  /** The number of durable bytes. */
  get offset(): number {
    return this.durable;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.parts);
  }

  /**
   * Makes the exchange the session's writer. A writer before it keeps its bytes and gives way, or is fenced
   * if it doesn't react.
   */
  async acquire(exchange: Exchange): Promise<SessionWriter> {
    const before = this.writer;
    if (before?.exchange.replica.isFrozen === true) {
      if (!exchange.wantsTakeover) throw new Refusal(429, 'TOOMANYREQUESTS');
      await sleep(TAKEOVER_MS);
      await exchange.replica.awake();
    }
    exchange.expectAlive();
    // A writer that woke up meanwhile gives way like any other.
    if (this.writer?.exchange.replica.isFrozen === false) this.writer.giveWay();
    this.version += 1;
    this.writer = new SessionWriter(this, exchange, this.version);
    return this.writer;
  }

  holds({ version }: SessionWriter): boolean {
    return this.version === version;
  }

  /** Only writers call it. */
  append(writer: SessionWriter, bytes: readonly Buffer[]): void {
    writer.exchange.expectAlive();
    if (!this.holds(writer)) throw new Refusal(429, 'TOOMANYREQUESTS');
    this.parts.push(...bytes);
    this.durable = bytes.reduce((sum, { length }) => sum + length, this.durable);
  }

  release(writer: SessionWriter): void {
    if (this.writer === writer) this.writer = undefined;
  }
}

/** One request that writes to a session. Its bytes are durable from the next checkpoint on. */
export class SessionWriter {
  private pending: Buffer[] = [];
  private pendingBytes = 0;
  private hasGivenWay = false;

  constructor(
    readonly session: ScriptedSession,
    readonly exchange: Exchange,
    readonly version: number,
  ) {}

  /** The session's offset after the next checkpoint. */
  get offset(): number {
    return this.session.offset + this.pendingBytes;
  }

  get uncheckpointedBytes(): number {
    return this.pendingBytes;
  }

  write(bytes: Buffer): void {
    this.expectToHold();
    this.pending.push(bytes);
    this.pendingBytes += bytes.length;
  }

  /** @throws Refusal if the writer was fenced. */
  checkpoint(): void {
    this.session.append(this, this.pending);
    this.pending = [];
    this.pendingBytes = 0;
  }

  /** @throws Refusal if another request has the session. */
  expectToHold(): void {
    this.exchange.expectAlive();
    if (this.hasGivenWay || !this.session.holds(this)) throw new Refusal(429, 'TOOMANYREQUESTS');
  }

  /** Another request wants the session: what arrived is kept, and the request ends. */
  giveWay(): void {
    this.salvage();
    this.hasGivenWay = true;
    this.exchange.leave();
  }

  /** Keeps what arrived, if that is still possible. */
  salvage(): void {
    if (this.hasGivenWay || this.exchange.isDead || !this.session.holds(this)) return;
    this.checkpoint();
  }

  release(): void {
    this.session.release(this);
  }
}
