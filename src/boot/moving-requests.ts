import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { hasUnreadBody } from '../http/connection/unread-body.js';

/** What counts the bytes of a request's body as they arrive, also where Node's socket doesn't. */
type CountingRequest = IncomingMessage & { readonly bytesReceived?: number };

/** `writeQueueSize`: what the kernel has not taken yet of the bytes that were written. */
type QueueingSocket = Socket & { readonly _handle?: { readonly writeQueueSize?: number } | null };

/** How long a request may make no progress until it counts as stalled. */
export interface StallLimits {
  /** While its body arrives. Clients may also write layers to their own disks meanwhile. */
  readonly receivingMs: number;
  /** While its response is sent. Longer: for a slow client the kernel takes a megabyte at a time. */
  readonly sendingMs: number;
}

export const STALL_LIMITS: StallLimits = { receivingMs: 10_000, sendingMs: 30_000 };

interface Progress {
  readonly bytes: number;
  readonly since: number;
}

/**
 * Tells requests that move from those that stalled. A request moves if bytes of its body arrived, or the
 * kernel took bytes of its response, within the limits. One whose body has arrived and whose response has not
 * begun counts as moving: its client waits for Berth. Reads counters that exist anyway.
 */
export class MovingRequests {
  private readonly progress = new WeakMap<ServerResponse, Progress>();

  constructor(private readonly limits: StallLimits) {}

  /** Whether one of the pending responses belongs to a request that moves. Call it about once a second. */
  includes(pending: Iterable<ServerResponse>, now = performance.now()): boolean {
    // Looks at all of them, so that each has a time.
    return [...pending].filter((response) => this.moves(response, now)).length > 0;
  }

  private moves(response: ServerResponse, now: number): boolean {
    // It waits for the response before it on the connection, which is pending, too.
    if (response.socket === null) return false;
    const isReceiving = hasUnreadBody(response.req);
    if (!response.headersSent && !isReceiving) return true;
    const bytes = movedBytes(response.req, response.socket);
    const before = this.progress.get(response);
    const limitMs = isReceiving ? this.limits.receivingMs : this.limits.sendingMs;
    if (before !== undefined && before.bytes === bytes) return now - before.since < limitMs;
    this.progress.set(response, { bytes, since: now });
    return true;
  }
}

function movedBytes(request: CountingRequest, socket: QueueingSocket): number {
  const received = request.bytesReceived ?? request.socket.bytesRead;
  return received + socket.bytesWritten - (socket._handle?.writeQueueSize ?? 0);
}
