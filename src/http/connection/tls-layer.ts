import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { createServer, type Server as TlsServer } from 'node:tls';
import type { AccessLog } from '../../observability/access-log.js';
import type { KeyPair } from '../../tls/key-pair.js';
import { secureContextOptions } from '../../tls/secure-context.js';
import { onFirstByte } from './first-byte.js';
import { setTransport } from './transport.js';

/** How long a client may take until its first byte, and then for its handshake. */
const HANDSHAKE_TIMEOUT_MS = 20_000;

/** A TLS record of a handshake begins with this byte. No HTTP method does. */
export const TLS_HANDSHAKE = 0x16;

/**
 * TLS between an HTTP server and its connections. The server listens, counts and closes connections as it
 * does without TLS, and its `connection` event is about them; only their bytes are decrypted before they are
 * parsed. Not `https.createServer`: a client that speaks plain HTTP would get no readable response from it.
 */
export class TlsLayer {
  private readonly tls: TlsServer;
  /** Connections in their handshake, by the addresses of both ends. */
  private readonly shaking = new Map<string, Socket>();

  /** Call it before any other listener for `connection` is added. */
  constructor(server: Server, log: AccessLog) {
    this.tls = createServer({
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      noDelay: true,
    });
    const [parse] = server.listeners('connection');
    if (parse === undefined) throw new Error('the server has no listener that parses HTTP');
    server.removeAllListeners('connection');
    const serve = (socket: Socket): void => void Reflect.apply(parse, server, [socket]);
    server.on('connection', (socket: Socket) => this.accept(socket, serve));
    this.tls.on('secureConnection', (socket) => {
      const transport = this.shaking.get(nameOf(socket));
      // It has disconnected.
      if (transport === undefined) return void socket.destroy();
      this.shaking.delete(nameOf(socket));
      setTransport(socket, transport);
      // As without TLS: a client may end its side and still read the response.
      socket.allowHalfOpen = true;
      serve(socket);
    });
    this.tls.on('tlsClientError', (error, socket) => {
      log.failedHandshake(socket, error);
      socket.destroy();
    });
  }

  /** Uses a certificate for all connections that begin from now on. Open ones keep theirs. */
  use(pair: KeyPair): void {
    this.tls.setSecureContext(secureContextOptions(pair));
  }

  private accept(socket: Socket, serve: (socket: Socket) => void): void {
    onFirstByte(socket, HANDSHAKE_TIMEOUT_MS, (byte) => {
      if (byte !== TLS_HANDSHAKE) {
        serve(socket);
        socket.resume();
        return;
      }
      const name = nameOf(socket);
      this.shaking.set(name, socket);
      socket.once('close', () => {
        if (this.shaking.get(name) === socket) this.shaking.delete(name);
      });
      socket.on('error', () => socket.destroy());
      // In the handshake it would keep the connection of a client that has left until the timeout.
      socket.allowHalfOpen = false;
      this.tls.emit('connection', socket);
    });
  }
}

/** The same for the connection and for the TLS on it, and no other open connection has it. */
function nameOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}
