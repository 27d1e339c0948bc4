import type { RequestListener, Server, ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { transportOf } from '../http/connection/transport.js';
import { settlesWithin } from '../common/settles-within.js';
import { MovingRequests, STALL_LIMITS } from './moving-requests.js';
import { AT_ONCE, type StopOptions } from './stop-options.js';

/** How long writers may take to checkpoint and release their uploads. */
const RELEASE_MS = 10_000;
/** How long responses may then take to be sent. */
const LAST_RESPONSES_MS = 1_000;
const SWEEP_MS = 50;
/** How long the first request of a connection may be on its way. */
const FIRST_REQUEST_MS = 1_000;
const LOOK_MS = 1_000;

/** Maximum duration of {@link Drain.run} after the grace period. */
export const DRAIN_MS = RELEASE_MS + LAST_RESPONSES_MS;

/**
 * Stops a server in three steps: it accepts no connections and waits for requests; then writers release their
 * uploads; then connections are closed. Without requests it ends at once, or at a handover when no client
 * keeps a connection.
 *
 * Create it before the server listens: it counts the requests of each connection.
 */
export class Drain {
  private readonly open = new Set<Socket>();
  /** Connections without a request, with the time at which they opened. */
  private readonly unused = new Map<Socket, number>();
  private readonly pending = new Set<ServerResponse>();
  private readonly moving: MovingRequests;
  private draining = false;
  private options: StopOptions | undefined;
  private endsAt = Infinity;

  /** @param stallLimits how long requests without progress hold a stop up. */
  constructor(
    private readonly server: Server,
    stallLimits = STALL_LIMITS,
  ) {
    this.moving = new MovingRequests(stallLimits);
    server.on('connection', (socket: Socket) => {
      this.open.add(socket);
      this.unused.set(socket, performance.now());
      socket.once('close', () => {
        this.open.delete(socket);
        this.unused.delete(socket);
      });
    });
    const count: RequestListener = ({ socket }, response) => {
      this.unused.delete(transportOf(socket));
      this.pending.add(response);
      response.once('close', () => this.pending.delete(response));
      if (this.draining) response.setHeader('Connection', 'close');
    };
    // Node emits one of them for a request.
    for (const event of ['request', 'checkContinue', 'checkExpectation'])
      server.prependListener(event, count);
  }

  /** The number of responses that are not complete. */
  get requests(): number {
    return this.pending.size;
  }

  /** Says how {@link run} stops. Called again, also during `run`, it can only make the stop shorter. */
  limit({ graceSeconds, isHandover }: StopOptions): void {
    this.options = { graceSeconds, isHandover: isHandover && this.options?.isHandover !== false };
    this.endsAt = Math.min(this.endsAt, performance.now() + graceSeconds * 1000);
  }

  /**
   * Stops at once, unless `limit` was called.
   *
   * @param releaseUploads makes writers checkpoint and release their uploads, and resolves when they have.
   * Called with the reason why requests may not continue.
   */
  async run(releaseUploads: (reason: string) => Promise<void>): Promise<void> {
    if (this.options === undefined) this.limit(AT_ONCE);
    this.draining = true;
    // Not `close` of HTTP servers: it also closes idle connections.
    const closed = new Promise<void>((resolve) =>
      NetServer.prototype.close.call(this.server, () => resolve()),
    );
    // Otherwise a busy client would never leave: its next connection goes to another process.
    for (const response of this.pending) {
      if (!response.headersSent) response.setHeader('Connection', 'close');
    }
    const sweep = setInterval(() => this.closeIdle(), SWEEP_MS);
    try {
      const reason = await this.waitForRequests(closed);
      // Also without connections: the handler of a client that disconnected may still be writing.
      await settlesWithin(releaseUploads(reason), RELEASE_MS);
      await settlesWithin(closed, LAST_RESPONSES_MS);
    } finally {
      clearInterval(sweep);
      this.server.closeAllConnections();
    }
  }

  /** Returns the reason why it waits no longer. */
  private async waitForRequests(closed: Promise<void>): Promise<string> {
    this.closeIdle();
    while (performance.now() < this.endsAt) {
      if (!this.mayContinue()) return 'no request makes progress';
      const leftMs = this.endsAt - performance.now();
      // `limit` may make it shorter meanwhile.
      if (await settlesWithin(closed, Math.min(leftMs, LOOK_MS))) return 'all requests are complete';
    }
    const graceSeconds = this.options?.graceSeconds ?? 0;
    return graceSeconds === 0 ? 'stopping at once' : `the ${graceSeconds} s of grace are over`;
  }

  /** Whether a request moves or, at a handover, a connection may still get one. */
  private mayContinue(): boolean {
    if (this.moving.includes(this.pending) || this.awaitsFirstRequest()) return true;
    if (this.options?.isHandover !== true) return false;
    const busy = new Set([...this.pending].map(({ req }) => transportOf(req.socket)));
    return [...this.open].some((socket) => !busy.has(socket));
  }

  private awaitsFirstRequest(): boolean {
    return [...this.unused.values()].some((openedAt) => this.isFresh(openedAt));
  }

  private isFresh(openedAt: number): boolean {
    return performance.now() < Math.min(openedAt + FIRST_REQUEST_MS, this.endsAt);
  }

  /** At a handover Node closes idle connections, when their time is over that clients are told. */
  private closeIdle(): void {
    if (this.options?.isHandover === true) return;
    // Node counts connections without a request as busy. A proxy may have sent one on a new connection: it
    // could not send that elsewhere if it is an upload.
    for (const [socket, openedAt] of this.unused) if (!this.isFresh(openedAt)) socket.destroy();
    this.server.closeIdleConnections();
  }
}
