import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/**
 * A relay to Postgres that keeps back the results of some statements: Postgres executes and commits them, and
 * their process never learns it.
 */
export class HeldAnswers {
  private readonly sockets = new Set<Socket>();
  private readonly server: Server;

  /**
   * @param upstream the `DATABASE_URL` of a server with a Unix socket.
   * @param text begins to hold a connection's results. A connection has the text of a statement the first
   *   time that it executes it.
   */
  constructor(
    private readonly upstream: URL,
    private readonly text: string,
  ) {
    this.server = createServer((client) => this.pass(client));
  }

  /** Returns the `DATABASE_URL` of the relay. */
  async open(): Promise<string> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    const { port } = this.server.address() as AddressInfo;
    return `postgres://${this.upstream.username}@127.0.0.1:${port}${this.upstream.pathname}`;
  }

  async close(): Promise<void> {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    await once(this.server, 'close');
  }

  private pass(client: Socket): void {
    const directory = decodeURIComponent(this.upstream.hostname);
    const server = connect(`${directory}/.s.PGSQL.${this.upstream.port}`);
    for (const [socket, peer] of [
      [client, server],
      [server, client],
    ] as const) {
      this.sockets.add(socket);
      // A process that is killed resets its connections.
      socket.on('error', () => undefined);
      socket.once('close', () => {
        this.sockets.delete(socket);
        peer.destroy();
      });
    }
    let isHeld = false;
    let sent = '';
    client.on('data', (bytes) => {
      // The text may arrive in two parts.
      sent = sent.slice(-this.text.length) + bytes.toString('latin1');
      isHeld ||= sent.includes(this.text);
      server.write(bytes);
    });
    server.on('data', (bytes) => {
      if (!isHeld) client.write(bytes);
    });
  }
}
