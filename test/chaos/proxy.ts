import { once } from 'node:events';
import {
  type ClientRequest,
  createServer,
  type IncomingMessage,
  request as httpRequest,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { Exchange } from './exchange.js';
import type { Replica } from './replica.js';

const SILENCE_MS = 20_000;

/**
 * A plain load balancer: each request goes to the next replica that accepts a connection. Bodies stream in
 * both directions; no request is sent twice. Breaks connections on demand.
 */
export class ChaosProxy {
  readonly exchanges = new Set<Exchange>();
  private readonly lostResponses = new Set<string>();
  private readonly server = createServer((request, response) => this.serve(request, response));
  private turn = 0;

  constructor(
    private readonly replicas: readonly Replica[],
    private readonly onLostResponse: (path: string) => void,
  ) {
    this.server.requestTimeout = 0;
  }

  async start(): Promise<string> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Drops the next 201 response to a request with this path and query. */
  loseResponse(path: string): void {
    this.lostResponses.add(path);
  }

  /** Requests that are sending bytes of an upload, to one replica or to all. */
  sending(replica?: number): Exchange[] {
    return [...this.exchanges].filter((exchange) => {
      return exchange.isSending && (replica === undefined || exchange.replica === replica);
    });
  }

  endHanging(): void {
    for (const exchange of this.exchanges) if (exchange.isHanging) exchange.end();
  }

  async stop(): Promise<void> {
    for (const exchange of this.exchanges) exchange.end();
    this.server.closeAllConnections();
    if (!this.server.listening) return;
    this.server.close();
    await once(this.server, 'close');
  }

  private serve(request: IncomingMessage, response: ServerResponse): void {
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    this.turn += 1;
    const { length } = this.replicas;
    const candidates = this.replicas.map((_, step) => this.replicas[(this.turn + step) % length]);
    this.connect(candidates.filter((replica) => replica?.url !== undefined) as Replica[], request, response);
  }

  /** Reads the body only after a replica has accepted the connection. */
  private connect([replica, ...others]: Replica[], request: IncomingMessage, response: ServerResponse): void {
    if (replica?.url === undefined) {
      response.writeHead(502, { Connection: 'close' }).end();
      return;
    }
    const upstream = httpRequest(new URL(request.url ?? '/', replica.url), {
      method: request.method ?? 'GET',
      headers: { ...request.headers, connection: 'close' },
      agent: false,
    });
    let accepted = false;
    upstream.once('socket', (socket) => {
      socket.once('connect', () => {
        accepted = true;
        const exchange = new Exchange(request, response, replica.index, upstream);
        this.follow(exchange, request, response, upstream);
      });
    });
    upstream.once('error', () => {
      if (!accepted && !request.destroyed) this.connect(others, request, response);
    });
    upstream.flushHeaders();
  }

  private follow(
    exchange: Exchange,
    request: IncomingMessage,
    response: ServerResponse,
    upstream: ClientRequest,
  ): void {
    this.exchanges.add(exchange);
    upstream.on('error', () => response.destroy());
    upstream.once('close', () => {
      this.exchanges.delete(exchange);
      // If a response has begun, its client may still be reading it.
      if (!response.headersSent) response.destroy();
    });
    // Ends half-open connections.
    upstream.setTimeout(SILENCE_MS, () => upstream.destroy());
    response.once('close', () => {
      if (!exchange.isHanging && !response.writableFinished) upstream.destroy();
    });
    upstream.once('response', (received) => this.forward(exchange, request, response, received));
    void sendBody(exchange, request, upstream);
  }

  private forward(
    exchange: Exchange,
    request: IncomingMessage,
    response: ServerResponse,
    received: IncomingMessage,
  ): void {
    received.on('error', () => response.destroy());
    const path = request.url ?? '';
    if (received.statusCode === 201 && this.lostResponses.delete(path)) {
      this.onLostResponse(path);
      received.resume();
      exchange.cut('on the client side');
      return;
    }
    if (response.destroyed) return void received.resume();
    response.writeHead(received.statusCode ?? 502, { ...received.headers, connection: 'close' });
    received.pipe(response);
  }
}

/**
 * Applies backpressure. Ends early, without an error, if either side disconnects. If the client vanished, the
 * replica's connection stays open.
 */
async function sendBody(
  exchange: Exchange,
  request: IncomingMessage,
  upstream: ClientRequest,
): Promise<void> {
  const gone = new Promise((resolve) => upstream.once('close', resolve));
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      exchange.bodyBytes += chunk.length;
      if (upstream.destroyed) return;
      await Promise.race([new Promise((resolve) => upstream.write(chunk, resolve)), gone]);
    }
    upstream.end();
  } catch {
    if (!exchange.isHanging) upstream.destroy();
  }
}
