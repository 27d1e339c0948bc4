import type { RequestListener, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { PendingResponses } from './pending-responses.js';
import { refuse } from './refuse.js';

/**
 * What a process has open beside connections: the event loop, pipes, the log, shared directories, with room
 * to spare.
 */
const OTHER_FILES = 64;
/**
 * A connection's own, and two that its request opens: a file and its directory, or connections to an object
 * store.
 */
const FILES_PER_CONNECTION = 3;
const FEWEST_CONNECTIONS = 8;
/** Most connections beyond the bound that are kept until they have read why they are refused. */
const MOST_REFUSED = 16;
/** A connection that has been open for this long without a request counts as idle. */
const SILENT_MS = 1_000;

/** The bound on connections that leaves the rest of `fileLimit` to files and to the database. */
export function mostConnections(fileLimit: number, databaseConnections: number): number {
  const free = fileLimit - OTHER_FILES - databaseConnections - MOST_REFUSED;
  return Math.max(FEWEST_CONNECTIONS, Math.floor(free / FILES_PER_CONNECTION));
}

/**
 * Keeps the number of connections below the limit of open files: at that limit nothing could be accepted,
 * read or stored. A new connection beyond `most` takes the place of the one that has been idle for longest.
 * Where all of them are in use, its request gets 503.
 */
export class ConnectionLimit {
  private readonly open = new Set<Socket>();
  /**
   * Those that have not sent a request, as far as is known, in the order in which they were opened; and when
   * that was.
   */
  private readonly silent = new Map<Socket, number>();
  private readonly refused = new WeakSet<Socket>();

  constructor(
    private readonly pending: PendingResponses,
    private readonly most: number,
  ) {}

  /** Counts the connections of a server from now on. */
  watch(server: Server): void {
    server.on('connection', (socket: Socket) => {
      this.open.add(socket);
      this.silent.set(socket, performance.now());
      socket.once('close', () => this.forget(socket));
      // Not `server.maxConnections`: with it, processes under node:cluster pass a connection round without
      // end.
      while (this.open.size > this.most && this.closeIdle());
      if (this.open.size > this.most + MOST_REFUSED) this.close(socket);
      else if (this.open.size > this.most) this.refused.add(socket);
    });
  }

  /**
   * Refuses the requests of a connection that was one too many. Probes are served: a process that is busy is
   * not to be restarted for it.
   */
  before(application: RequestListener): RequestListener {
    return (request, response) => {
      if (!this.refused.has(request.socket)) return application(request, response);
      if (request.url?.startsWith('/health/') === true) {
        response.setHeader('Connection', 'close');
        return application(request, response);
      }
      const message = 'the registry has no room for more connections: try again later';
      refuse(response, 503, message, { 'Retry-After': '5' });
    };
  }

  private closeIdle(): boolean {
    const [idle = this.longestSilent()] = this.pending.idle;
    if (idle !== undefined) this.close(idle);
    return idle !== undefined;
  }

  private longestSilent(): Socket | undefined {
    for (const [socket, since] of this.silent) {
      if (!this.pending.hasSeen(socket)) return performance.now() - since < SILENT_MS ? undefined : socket;
      this.silent.delete(socket);
    }
    return undefined;
  }

  private close(socket: Socket): void {
    socket.destroy();
    this.forget(socket);
  }

  private forget(socket: Socket): void {
    this.open.delete(socket);
    this.silent.delete(socket);
    this.pending.idle.delete(socket);
  }
}
