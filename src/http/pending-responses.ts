import type { ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

const NONE: ReadonlySet<ServerResponse> = new Set();

/**
 * The responses of each connection that have not closed yet, in the order of their requests; and what sees to it that each
 * of them does. A response closes when it is sent or when its connection is gone, and whatever a request holds is let go by
 * that. But of the responses on a connection that is gone Node closes the one whose turn it was. Those that waited behind
 * it, for a client that pipelines, would neither close nor settle what was written to them, ever.
 */
export class PendingResponses {
  private readonly byConnection = new WeakMap<Duplex, Set<ServerResponse>>();
  /** Connections whose requests are all answered, the one that has been idle for longest first. */
  readonly idle = new Set<Socket>();

  /** Whether a request has come on a connection. */
  hasSeen(socket: Duplex): boolean {
    return this.byConnection.has(socket);
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

  /** One listener for a connection, however many requests it brings. */
  private watch(socket: Socket): Set<ServerResponse> {
    const responses = new Set<ServerResponse>();
    this.byConnection.set(socket, responses);
    socket.once('close', () => {
      this.idle.delete(socket);
      for (const response of responses) if (response.socket === null) closeUnsent(response);
    });
    return responses;
  }
}

/**
 * Node closes a response together with the socket that it is assigned to, and never twice; one that still waits has none.
 * So it gets one, which is gone: to emit `close` here would leave the response in doubt whether it is closed.
 */
function closeUnsent(response: ServerResponse): void {
  response.destroy();
  response.assignSocket(new Socket().destroy());
}
