import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';

/** An address of PostgreSQL that moves from server to server: a proxy to the socket in a directory. */
export class MovingAddress {
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    private directory: string | undefined,
  ) {}

  /** @param directory of the socket. Undefined: connections are refused. */
  static async open(directory: string | undefined): Promise<MovingAddress> {
    const server = createServer();
    const address = new MovingAddress(server, directory);
    server.on('connection', (socket) => address.pass(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return address;
  }

  /** `127.0.0.1:12345` */
  get host(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** New connections reach another server. */
  moveTo(directory: string | undefined): void {
    this.directory = directory;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private pass(client: Socket): void {
    if (this.directory === undefined) return void client.resetAndDestroy();
    const server = connect(join(this.directory, '.s.PGSQL.5432'));
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.sockets.add(from);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        to.destroy();
        this.sockets.delete(from);
      });
      from.pipe(to);
    }
  }
}
