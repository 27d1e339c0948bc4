import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** A connection at home: what clients send passes at a limited speed, per connection; responses do not. */
export class SlowLink {
  private readonly sockets = new Set<Socket>();
  private sent = 0;

  private constructor(
    private readonly server: Server,
    private readonly upstream: URL,
  ) {}

  /** @param upstream a server, at whose address the link listens on a port of its own */
  static async open(upstream: URL, bytesPerSecond: number): Promise<SlowLink> {
    const server = createServer();
    const link = new SlowLink(server, upstream);
    server.on('connection', (client) => void link.pass(client, bytesPerSecond));
    server.listen(0, upstream.hostname);
    await once(server, 'listening');
    return link;
  }

  /** Where clients reach the server over it. */
  get url(): URL {
    const url = new URL(this.upstream);
    url.port = String((this.server.address() as AddressInfo).port);
    return url;
  }

  /** What all clients have sent, with requests' heads and framing. */
  get sentBytes(): number {
    return this.sent;
  }

  async close(): Promise<void> {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    await once(this.server, 'close');
  }

  private async pass(client: Socket, bytesPerSecond: number): Promise<void> {
    const server = connect(Number(this.upstream.port), this.upstream.hostname);
    for (const socket of [client, server]) {
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
    }
    const count = (chunk: Buffer): void => void (this.sent += chunk.length);
    const slowly = async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        count(chunk);
        yield chunk;
        await sleep((chunk.length / bytesPerSecond) * 1000);
      }
    };
    // A side that goes away ends both directions: `pipeline` destroys both sockets.
    await Promise.all([pipeline(client, slowly, server), pipeline(server, client)]).catch(() => undefined);
  }
}
