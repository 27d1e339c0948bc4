import type { RequestListener, Server } from 'node:http';
import type { Socket } from 'node:net';
import { countRefusal } from '../../observability/metrics/limit.metrics.js';
import type { PendingResponses } from './pending-responses.js';
import { refuse } from './refuse.js';
import { transportOf } from './transport.js';

/**
 * Files that a process has open besides connections: event loop, pipes, log, shared directories, and some
 * spare.
 */
const OTHER_FILES = 64;
/**
 * The connection itself and two files of its request: a file, with its directory or, while a large body
 * arrives, with a second descriptor of the connection; or connections to an object store.
 */
const FILES_PER_CONNECTION = 3;
const MIN_CONNECTIONS = 8;
/** Connections beyond the limit that stay open until the client has read the refusal. */
const MAX_REFUSED = 16;
/** A connection without a request counts as idle after this time. */
const IDLE_AFTER_MS = 1_000;

/** Returns how many connections a limit of open files allows. The rest is for files and the database. */
export function connectionsWithin(fileLimit: number, databaseConnections: number): number {
  const free = fileLimit - OTHER_FILES - databaseConnections - MAX_REFUSED;
  return Math.max(MIN_CONNECTIONS, Math.floor(free / FILES_PER_CONNECTION));
}

/**
 * Keeps the number of connections below the limit of open files, at which nothing could be accepted, read or
 * stored. A connection beyond the maximum replaces the one that has been idle longest. If none is idle, its
 * request gets 503.
 */
export class ConnectionLimit {
  /** Accepted connections. Requests over TLS have another socket: see `transportOf`. */
  private readonly open = new Set<Socket>();
  /** Connections that may not have sent a request yet, in the order in which they opened, with that time. */
  private readonly unused = new Map<Socket, number>();
  private readonly refused = new WeakSet<Socket>();

  constructor(
    private readonly pending: PendingResponses,
    private readonly max: number,
  ) {}

  /** Starts counting the connections of a server. */
  watch(server: Server): void {
    server.on('connection', (socket: Socket) => {
      this.open.add(socket);
      this.unused.set(socket, performance.now());
      socket.once('close', () => this.forget(socket));
      // Not `server.maxConnections`: with node:cluster, workers would pass a connection around endlessly.
      while (this.open.size > this.max && this.closeIdle());
      if (this.open.size <= this.max) return;
      countRefusal('connections');
      if (this.open.size > this.max + MAX_REFUSED) this.close(socket);
      else this.refused.add(socket);
    });
  }

  /**
   * Refuses requests of connections beyond the limit. Health probes are served: a busy process needs no
   * restart.
   */
  before(application: RequestListener): RequestListener {
    return (request, response) => {
      if (!this.refused.has(transportOf(request.socket))) return application(request, response);
      if (request.url?.startsWith('/health/') === true) {
        response.setHeader('Connection', 'close');
        return application(request, response);
      }
      const message = `more than ${this.max} connections, the limit of MAX_CONNECTIONS or of open files (ulimit -n); retry later`;
      refuse(response, 503, message, { 'Retry-After': '5' });
    };
  }

  private closeIdle(): boolean {
    const [idle = this.longestUnused()] = this.pending.idle;
    if (idle === undefined) return false;
    this.pending.idle.delete(idle);
    this.close(idle);
    return true;
  }

  private longestUnused(): Socket | undefined {
    for (const [socket, since] of this.unused) {
      if (!this.pending.hasSeen(socket))
        return performance.now() - since < IDLE_AFTER_MS ? undefined : socket;
      this.unused.delete(socket);
    }
    return undefined;
  }

  private close(socket: Socket): void {
    socket.destroy();
    this.forget(transportOf(socket));
  }

  private forget(socket: Socket): void {
    this.open.delete(socket);
    this.unused.delete(socket);
  }
}
