import type { ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { transportOf } from './transport.js';

const NONE: ReadonlySet<ServerResponse> = new Set();

/**
 * The responses of each connection that have not closed yet, in the order of their requests. It also makes
 * sure that each of them closes, because requests release their resources then. A response closes when it is
 * sent or its connection is lost. But when a connection is lost, Node closes only the response that was being
 * sent. Those behind it (the client pipelines) would never close, and writes to them would never settle.
 */
export class PendingResponses {
  private readonly byConnection = new WeakMap<Duplex, Set<ServerResponse>>();
  /** Connections without a pending response, the one that has been idle longest first. */
  readonly idle = new Set<Socket>();
  private readonly used = new WeakSet<Socket>();

  /** Whether an accepted connection has had a request. */
  hasSeen(transport: Socket): boolean {
    return this.used.has(transport);
  }

  of(socket: Duplex): ReadonlySet<ServerResponse> {
    return this.byConnection.get(socket) ?? NONE;
  }

  /** The response to the latest request. */
  lastOf(socket: Duplex): ServerResponse | undefined {
    const responses = this.of(socket);
    return responses.size === 0 ? undefined : [...responses].at(-1);
  }

  add(socket: Socket, response: ServerResponse): void {
    const responses = this.byConnection.get(socket) ?? this.watch(socket);
    responses.add(response);
    this.idle.delete(socket);
    response.once('close', () => {
      responses.delete(response);
      if (responses.size === 0 && !socket.destroyed) this.idle.add(socket);
    });
  }

  /** Adds one listener per connection, however many requests it has. */
  private watch(socket: Socket): Set<ServerResponse> {
    const responses = new Set<ServerResponse>();
    this.byConnection.set(socket, responses);
    this.used.add(transportOf(socket));
    socket.once('close', () => {
      this.idle.delete(socket);
      for (const response of responses) if (response.socket === null) closeUnsent(response);
    });
    return responses;
  }
}

/**
 * Node closes a response once, together with its socket. A response that waits has no socket, so it gets a
 * destroyed one. Emitting `close` instead would leave the response's own state wrong.
 */
function closeUnsent(response: ServerResponse): void {
  response.destroy();
  response.assignSocket(new Socket().destroy());
}
