import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { RemoteReplica, RequestHead } from './remote-replica.js';
import { ReplicaFailure } from './replica-failure.js';

/** One for all exchanges: each of them ends with it, and a new error has a stack. */
const OVER = new Error('the exchange is over');

export interface ExchangeOptions {
  /** Called with each durable offset that the replica reports in a 104. */
  readonly onDurable?: (offset: number) => void;
  /** Called when the replica asks for the body that was announced with `Expect`. */
  readonly onContinue?: () => void;
  /** Whether it ends when the replica stops, since it can go on elsewhere. Otherwise when that is lost. */
  readonly canLeave: boolean;
  readonly signal: AbortSignal;
}

/**
 * One request to one replica. It is answered, or it fails with a {@link ReplicaFailure}: when the connection
 * breaks, when the replica is left, or when the signal aborts.
 */
export class Exchange {
  /** The answer, whose body is not read yet. */
  readonly answered: Promise<IncomingMessage>;
  /** Aborts when the replica has answered, or the exchange has failed: no more of the body is wanted. */
  readonly over: AbortSignal;
  private readonly request: ClientRequest;
  private readonly ending = new AbortController();
  private readonly signals: readonly AbortSignal[];
  private wasSent = false;
  private isActive = true;
  /** Whether this side has ended it, which says nothing of the replica. */
  private wasLeft = false;
  private settle = { answer: (_: IncomingMessage): void => undefined, fail: (_: Error): void => undefined };

  constructor(
    private readonly replica: RemoteReplica,
    head: RequestHead,
    private readonly options: ExchangeOptions,
  ) {
    this.over = this.ending.signal;
    this.signals = [options.canLeave ? replica.left : replica.lost, options.signal];
    this.answered = new Promise((answer, fail) => (this.settle = { answer, fail }));
    // If nothing waits for it, the failure must not end the process.
    this.answered.catch(() => undefined);
    this.request = replica.open(head);
    replica.active += 1;
    this.watch();
  }

  private watch(): void {
    const { request, replica, options } = this;
    request.once('socket', (socket: Socket) => this.whenConnected(socket));
    request.on('information', ({ statusCode, headers }) => {
      replica.heard();
      const offset = Number(headers['upload-offset']);
      if (statusCode === 104 && Number.isSafeInteger(offset)) options.onDurable?.(offset);
    });
    request.once('continue', () => options.onContinue?.());
    request.once('response', (message: IncomingMessage) => this.onAnswer(message));
    request.on('error', (error) => this.fail(error));
    request.once('close', () => {
      if (this.over.aborted) this.free();
      else this.fail(new Error('the connection closed without an answer'));
    });
    for (const signal of this.signals) {
      if (signal.aborted) this.onAbort();
      else signal.addEventListener('abort', this.onAbort, { once: true });
    }
  }

  private whenConnected(socket: Socket): void {
    const markSent = () => (this.wasSent = true);
    if (socket.connecting) socket.once('connect', markSent);
    else markSent();
  }

  private onAnswer(message: IncomingMessage): void {
    this.replica.worked();
    message.once('close', () => this.free());
    // The reader of the body gets the error, too.
    message.on('error', () => undefined);
    // That the request is malformed: its body has no end.
    if (this.wasLeft) {
      this.fail(new Error('the body was broken off'));
      this.request.destroy();
      return;
    }
    this.conclude(() => this.settle.answer(message));
    // It was answered before its body was complete: the connection has bytes on it that belong to no request.
    if (!this.request.writableEnded) message.once('end', () => this.request.destroy());
  }

  private fail(error: Error): void {
    this.free();
    this.conclude(() => {
      // A connection that was kept may be closed by the replica at any time.
      const isStale = this.request.reusedSocket && isReset(error);
      if (!isStale && !this.wasLeft) this.replica.failed();
      this.settle.fail(new ReplicaFailure(this.replica.name, this.wasSent, error));
    });
  }

  private conclude(settle: () => void): void {
    if (this.over.aborted) return;
    settle();
    this.ending.abort(OVER);
  }

  private free(): void {
    if (!this.isActive) return;
    this.isActive = false;
    this.replica.active -= 1;
    for (const signal of this.signals) signal.removeEventListener('abort', this.onAbort);
  }

  private readonly onAbort = () => {
    this.wasLeft = true;
    const reason: unknown = this.signals.find(({ aborted }) => aborted)?.reason;
    this.request.destroy(reason instanceof Error ? reason : new Error('aborted'));
  };

  /** Sends the head before there is a body. */
  flushHead(): void {
    this.request.flushHeaders();
  }

  /** Sends a part of the body. Resolves when nothing reads the parts any more, or the exchange is over. */
  async write(parts: readonly Uint8Array[]): Promise<void> {
    const { request, over } = this;
    const last = parts.at(-1);
    if (over.aborted || last === undefined) return;
    await new Promise<void>((resolve) => {
      const wake = () => {
        over.removeEventListener('abort', wake);
        resolve();
      };
      over.addEventListener('abort', wake, { once: true });
      // As one chunk, with one system call.
      request.cork();
      for (const part of parts.slice(0, -1)) request.write(part);
      request.write(last, wake);
      request.uncork();
    });
  }

  /** Ends the body. */
  end(): void {
    this.request.end();
  }

  /** Breaks the body off. The replica keeps what arrived; its answer does not count. */
  breakOff(): void {
    this.wasLeft = true;
    const { request } = this;
    // Without a socket, nothing has been sent.
    if (request.socket === null) request.destroy();
    else request.socket.end();
  }
}

function isReset(error: Error): boolean {
  return 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
}
