import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { settlesWithin } from '../common/settles-within.js';

/** How long writers may take to make durable what they have and to let go. */
const LET_GO_MS = 10_000;
/** How long answers that are given by then may take to leave. */
const LAST_ANSWERS_MS = 1_000;
const IDLE_SWEEP_MS = 50;

/** The bound on {@link Drain.run} beyond the grace. */
export const DRAIN_MS = LET_GO_MS + LAST_ANSWERS_MS;

/**
 * The end of a server, in three steps: nothing new is accepted, and requests may finish for a while; then writers
 * are asked to let go; then connections are cut. With nothing to wait for it ends at once.
 *
 * To be made before the server listens: it has to know which connections have asked for something, and Node doesn't say.
 */
export class Drain {
  private readonly silent = new Set<Socket>();
  private readonly unanswered = new Set<ServerResponse>();
  private draining = false;

  constructor(private readonly server: Server) {
    server.on('connection', (socket: Socket) => {
      this.silent.add(socket);
      socket.once('close', () => this.silent.delete(socket));
    });
    server.prependListener('request', ({ socket }, response) => {
      this.silent.delete(socket);
      this.unanswered.add(response);
      response.once('close', () => this.unanswered.delete(response));
      if (this.draining) response.setHeader('Connection', 'close');
    });
  }

  /** @param letGo asks what still writes to make durable what it has and to let go, and settles when it did. */
  async run(graceMs: number, letGo: () => Promise<void>): Promise<void> {
    this.draining = true;
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    // A client that keeps its connection busy would never find out: its next request belongs to another process.
    for (const response of this.unanswered) {
      if (!response.headersSent) response.setHeader('Connection', 'close');
    }
    // Connected and never asked: Node takes them for busy.
    for (const socket of this.silent) socket.destroy();
    const sweep = setInterval(() => this.server.closeIdleConnections(), IDLE_SWEEP_MS);
    try {
      await settlesWithin(closed, graceMs);
      // With no connection left, too: a request whose client is gone may still be writing down what it had sent.
      await settlesWithin(letGo(), LET_GO_MS);
      await settlesWithin(closed, LAST_ANSWERS_MS);
    } finally {
      clearInterval(sweep);
      this.server.closeAllConnections();
    }
  }
}
