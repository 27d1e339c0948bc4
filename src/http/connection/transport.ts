import type { Socket } from 'node:net';

const transports = new WeakMap<Socket, Socket>();

/** Remembers that the bytes of `socket`, which speaks TLS, pass through the connection `transport`. */
export function setTransport(socket: Socket, transport: Socket): void {
  transports.set(socket, transport);
}

/** The accepted TCP connection below a request's socket: another object with TLS, the same one without. */
export function transportOf(socket: Socket): Socket {
  return transports.get(socket) ?? socket;
}
