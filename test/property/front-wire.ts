import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import type { Exchange } from './front-exchange.js';
import type { Ending, Fault } from './front-faults.js';
import type { ScriptedReplica } from './front-replica.js';

/** How long a replica is down after it was killed. */
const DOWN_MS = 40;

/** How much of each write to a slow connection goes byte by byte. */
const TRICKLED_BYTES = 400;

/** A connection as the HTTP server of a scripted replica sees it. */
export class ServerEnd extends Duplex {
  private wantsMore: () => void = () => undefined;

  constructor(private readonly send: (bytes: Buffer) => Promise<void>) {
    super({ allowHalfOpen: true });
  }

  /** Resolves when the server wants more, or when it has closed the connection. */
  async feed(bytes: Buffer): Promise<void> {
    if (this.destroyed) return;
    const wanted = new Promise<void>((resolve) => (this.wantsMore = resolve));
    if (!this.push(bytes)) await wanted;
  }

  override _read(): void {
    this.wantsMore();
  }

  override _write(bytes: Buffer, _encoding: unknown, done: (error?: Error) => void): void {
    this.send(bytes).then(() => done(), done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.wantsMore();
    done(error);
  }
}

/**
 * A connection between the front and a scripted replica. It passes the bytes on, counts them, and lets the
 * faults of the script happen where they are due.
 *
 *     front ──► socket ──► Wire ──► ServerEnd ──► HTTP server of the replica
 *           ◄──        ◄──      ◄──           ◄──
 */
export class Wire {
  readonly server: ServerEnd;
  /** The exchange that bytes belong to now. */
  private current: Exchange | undefined;
  private isCut = false;
  /** Whether the server is not told of the end of the connection. */
  private isUnnoticed = false;

  constructor(
    private readonly socket: Socket,
    private readonly replica: ScriptedReplica,
  ) {
    this.server = new ServerEnd((bytes) => this.send(bytes));
    this.server.on('error', () => undefined);
    // The server ends a connection with its last answer.
    this.server.on('finish', () => this.server.destroy());
    this.server.on('close', () => this.closeSoon());
    socket.on('error', () => undefined);
  }

  get exchange(): Exchange | undefined {
    return this.current;
  }

  /** The server learns of the end of the connection. */
  notice(): void {
    if (this.isUnnoticed) this.server.destroy();
  }

  /** Whether no request is under way that could still have an effect. */
  get isIdle(): boolean {
    return this.isUnnoticed || this.server.destroyed || this.current?.isAnswered !== false;
  }

  /** Passes on what the front sends, until the connection ends. */
  async run(): Promise<void> {
    try {
      for await (const bytes of this.socket as AsyncIterable<Buffer>) {
        await this.receive(bytes);
        if (this.isCut) break;
      }
    } catch {
      // A reset ends the connection like a close.
    }
    await this.replica.life.awake();
    if (!this.isUnnoticed) this.server.destroy();
  }

  /** Ends the connection as with the process of the replica. */
  kill(): void {
    this.isCut = true;
    this.socket.resetAndDestroy();
    this.server.destroy();
  }

  private async receive(bytes: Buffer): Promise<void> {
    let rest = bytes;
    do {
      await this.replica.life.awake();
      if (this.server.destroyed) return;
      const exchange = this.exchangeOf(rest);
      if (exchange.isDrained) return;
      const part = rest.subarray(0, exchange.roomInRequest);
      rest = rest.subarray(part.length);
      exchange.receivedBytes += part.length;
      await this.server.feed(part);
      if (exchange.roomInRequest === 0) await this.strike(exchange);
    } while (rest.length > 0 && !this.isCut);
  }

  /** A new exchange begins with the first bytes after a whole answer. */
  private exchangeOf(bytes: Buffer): Exchange {
    if (this.current === undefined || this.current.isAnswered) {
      const isProbe = bytes.toString('latin1', 0, 11) === 'GET /health';
      this.current = this.replica.begin(isProbe);
      // Fronts send a head at once.
      this.current.headBytes = bytes.indexOf('\r\n\r\n') + 4;
    }
    return this.current;
  }

  private async strike(exchange: Exchange): Promise<void> {
    const { fault } = exchange;
    exchange.hasStruck = true;
    // The server takes what was passed before.
    for (let turns = 0; turns < 3; turns += 1) await turn();
    if (fault.kind === 'delay') await sleep(fault.ms);
    else this.happen(fault);
  }

  private happen(fault: Fault): void {
    if (fault.kind === 'cut request' || fault.kind === 'cut answer') this.cut(fault.ending);
    if (fault.kind === 'freeze request' || fault.kind === 'freeze answer') this.replica.freeze(fault.ms);
    if (fault.kind === 'cut answer') this.replica.change(fault.meanwhile);
  }

  private async send(bytes: Buffer): Promise<void> {
    const exchange = this.current;
    if (exchange === undefined) return;
    // An interim response is one write, and the head of the final response begins another.
    exchange.isFinal ||= /^HTTP\/1\.1 [2-5]/.test(bytes.toString('latin1', 0, 12));
    let rest = bytes;
    do {
      await this.replica.life.awake();
      if (this.isCut) return;
      const part = rest.subarray(0, exchange.roomInAnswer);
      rest = rest.subarray(part.length);
      if (exchange.isFinal) exchange.sentBytes += part.length;
      const slowBytes = exchange.fault.kind === 'trickle' ? TRICKLED_BYTES : 0;
      for (const byte of part.subarray(0, slowBytes)) await this.write(Buffer.of(byte));
      await this.write(part.subarray(slowBytes));
      if (exchange.roomInAnswer > 0) continue;
      exchange.hasStruck = true;
      this.happen(exchange.fault);
    } while (rest.length > 0);
  }

  private async write(bytes: Buffer): Promise<void> {
    if (this.socket.destroyed || bytes.length === 0) return;
    await new Promise<void>((resolve) => this.socket.write(bytes, () => resolve()));
  }

  /** Not by a reset: what was sent before still arrives. */
  private cut(ending: Ending): void {
    this.isCut = true;
    this.isUnnoticed = ending === 'unnoticed';
    this.socket.destroy();
    if (ending === 'noticed') this.server.destroy();
    if (ending === 'killed') this.replica.kill(DOWN_MS);
  }

  /** The server has closed the connection. What the front still sends is not read. */
  private closeSoon(): void {
    this.socket.end();
  }
}
