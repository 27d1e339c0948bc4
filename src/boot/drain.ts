import type { RequestListener, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { transportOf } from '../http/connection/transport.js';
import { settlesWithin } from '../common/settles-within.js';

/** How long writers may take to checkpoint and release their uploads. */
const RELEASE_MS = 10_000;
/** How long responses may then take to be sent. */
const LAST_RESPONSES_MS = 1_000;
const IDLE_SWEEP_MS = 50;

/** Maximum duration of {@link Drain.run} after the grace period. */
export const DRAIN_MS = RELEASE_MS + LAST_RESPONSES_MS;

/**
 * Stops a server in three steps: it accepts no connections and waits for requests; then writers release their
 * uploads; then connections are closed. Without requests it ends at once.
 *
 * Create it before the server listens: it counts the requests of each connection.
 */
export class Drain {
  private readonly unused = new Set<Socket>();
  private readonly pending = new Set<ServerResponse>();
  private draining = false;

  constructor(private readonly server: Server) {
    server.on('connection', (socket: Socket) => {
      this.unused.add(socket);
      socket.once('close', () => this.unused.delete(socket));
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

  /**
   * @param releaseUploads makes writers checkpoint and release their uploads, and resolves when they have.
   */
  async run(graceMs: number, releaseUploads: () => Promise<void>): Promise<void> {
    this.draining = true;
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    // Otherwise a busy client would never leave: its next connection goes to another process.
    for (const response of this.pending) {
      if (!response.headersSent) response.setHeader('Connection', 'close');
    }
    // Node counts connections without a request as busy.
    for (const socket of this.unused) socket.destroy();
    const sweep = setInterval(() => this.server.closeIdleConnections(), IDLE_SWEEP_MS);
    try {
      await settlesWithin(closed, graceMs);
      // Also without connections: the handler of a client that disconnected may still be writing.
      await settlesWithin(releaseUploads(), RELEASE_MS);
      await settlesWithin(closed, LAST_RESPONSES_MS);
    } finally {
      clearInterval(sweep);
      this.server.closeAllConnections();
    }
  }
}
