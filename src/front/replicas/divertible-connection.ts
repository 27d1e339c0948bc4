import { Agent } from 'node:http';
import { connect, type NetConnectOpts, type Socket } from 'node:net';

/** What reads the bytes of a connection in place of Node's HTTP client. */
export interface ByteReader {
  /** Where the next bytes go. Called after each `received`. */
  nextBuffer(): Uint8Array;
  /** Called with bytes, most often those of the last `nextBuffer`. Returns false to pause the reading. */
  received(bytes: Uint8Array): boolean;
}

/** Bytes for the HTTP client are read here, and copied. */
const SHARED = Buffer.allocUnsafeSlow(64 * 1024);

const diversions = new WeakMap<Socket, (reader: ByteReader) => void>();

/**
 * Connections whose bytes may be diverted: from some moment on they go to a reader, in large buffers of its
 * own, and no longer to the HTTP client.
 */
export class DivertibleAgent extends Agent {
  override createConnection(options: NetConnectOpts): Socket {
    let reader: ByteReader | undefined;
    const socket: Socket = connect({
      ...options,
      onread: {
        buffer: () => reader?.nextBuffer() ?? SHARED,
        callback: (bytes, buffer) => {
          const part = buffer.subarray(0, bytes);
          return reader === undefined ? socket.push(Buffer.from(part)) : reader.received(part);
        },
      },
    });
    diversions.set(socket, (next) => (reader = next));
    return socket;
  }
}

/**
 * Diverts the bytes of a connection that come from now on, and for good: close it afterwards. Continue a
 * paused reading with `socket.resume()`.
 *
 * @returns false if that is not possible with this connection, or not now.
 */
export function divert(socket: Socket, reader: ByteReader): boolean {
  const use = diversions.get(socket);
  if (use === undefined || socket.readableLength > 0) return false;
  use(reader);
  return true;
}
