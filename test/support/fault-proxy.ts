import {
  createServer,
  type IncomingMessage,
  request as sendRequest,
  type Server,
  type ServerResponse,
} from 'node:http';
import { Readable, Transform } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** A fault of one request. */
export type Fault =
  /** The proxy responds itself, and the store receives nothing. */
  | {
      readonly kind: 'respond';
      readonly status: number;
      readonly body?: string;
      readonly headers?: Record<string, string>;
    }
  /** The connection is reset, and the store receives nothing. */
  | { readonly kind: 'reset' }
  /** The store handles the request, and its response is lost with the connection. */
  | { readonly kind: 'lose response' }
  /** The connection ends within the body of the store's response. */
  | { readonly kind: 'break response'; readonly afterBytes: number }
  /**
   * The store receives the request later. With `outlivesClient` it does so even if the client has
   * disconnected, like bytes that are already in the network.
   */
  | { readonly kind: 'delay'; readonly ms: number; readonly outlivesClient?: boolean }
  /** No response comes, until `endHanging` resets the connection. The store receives nothing. */
  | { readonly kind: 'hang' }
  /** One bit of the body changes in transit to the store. */
  | { readonly kind: 'flip' };

/**
 * The requests that fail: those that match all given fields. The first rule that matches and is not used up
 * applies.
 */
export interface FaultRule {
  readonly method?: string;
  /** Matches path and query as in the request line. */
  readonly url?: RegExp;
  /** How many requests fail: 1 by default, `Infinity` for all. */
  readonly times?: number;
  /** How many requests pass first. */
  readonly after?: number;
  /** After that only every n-th request fails. The others pass, and `times` counts them. */
  readonly every?: number;
  readonly fault: Fault;
}

/** A request that the proxy received. */
export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  /**
   * Method and query parameters, as in `PUT partNumber uploadId`. Parameters that tell requests apart have
   * their value: `comp=block`.
   */
  readonly kind: string;
  readonly fault: Fault['kind'] | undefined;
}

/** Parameters whose values tell Azure's and Google's requests apart. */
const DISTINGUISHING = ['comp', 'restype', 'uploadType', 'alt'];
/** In every request of the SDK. */
const IGNORED = ['x-id'];

/**
 * A proxy between a driver and its store, with plain HTTP on both sides, that injects faults by rule. It
 * passes everything else on unchanged: also `Host`, which is signed, and bodies as streams.
 */
export class FaultProxy {
  private rules: { rule: FaultRule; seen: number }[] = [];
  private seen: SeenRequest[] = [];
  private readonly hanging = new Set<IncomingMessage>();

  private constructor(
    private readonly server: Server,
    private readonly target: URL,
    /** The driver uses it instead of the store's endpoint. */
    readonly endpoint: string,
  ) {}

  /** @param target URL of the store, as in `http://127.0.0.1:9000`. Its path is kept. */
  static async start(target: string): Promise<FaultProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const url = new URL(target);
    const path = url.pathname === '/' ? '' : url.pathname;
    const proxy = new FaultProxy(server, url, `http://127.0.0.1:${address.port}${path}`);
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      // A failure on one side ends the other. The driver under test sees a broken connection.
      proxy.handle(request, response).catch(() => request.socket.destroy());
    });
    return proxy;
  }

  inject(...rules: readonly FaultRule[]): void {
    this.rules.push(...rules.map((rule) => ({ rule, seen: 0 })));
  }

  /** Removes all rules. */
  heal(): void {
    this.rules = [];
  }

  get hangingCount(): number {
    return this.hanging.size;
  }

  /** Resets the connections of hanging requests. */
  endHanging(): void {
    for (const { socket } of this.hanging) socket.resetAndDestroy();
    this.hanging.clear();
  }

  requests(): readonly SeenRequest[] {
    return this.seen;
  }

  /** Number of requests by kind. */
  counts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { kind } of this.seen) counts[kind] = (counts[kind] ?? 0) + 1;
    return counts;
  }

  /** Resets the counts. */
  forget(): void {
    this.seen = [];
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const fault = this.faultOf(method, url);
    this.seen.push({ method, url, headers, kind: kindOf(method, url), fault: fault?.kind });
    switch (fault?.kind) {
      case 'respond':
        await drained(request);
        response.writeHead(fault.status, { 'content-type': 'application/xml', ...fault.headers });
        response.end(fault.body ?? '');
        return;
      case 'reset':
        // Read first, because some clients don't notice a reset while they write.
        await drained(request);
        request.socket.resetAndDestroy();
        return;
      case 'hang':
        await drained(request);
        this.hanging.add(request);
        request.socket.once('close', () => this.hanging.delete(request));
        return;
      case 'delay': {
        const body = fault.outlivesClient === true ? await buffer(request) : undefined;
        await sleep(fault.ms);
        await this.pass(request, response, fault, body);
        return;
      }
      default:
    }
    await this.pass(request, response, fault);
  }

  /** @param body if it has been read already. It is sent even if the client has disconnected. */
  private async pass(
    request: IncomingMessage,
    response: ServerResponse,
    fault: Fault | undefined,
    body?: Buffer,
  ): Promise<void> {
    const outgoing = sendRequest({
      // A kept connection may be closed by the store just when a request is sent, which would look like a
      // fault.
      agent: false,
      host: this.target.hostname,
      port: this.target.port,
      method: request.method,
      path: request.url,
      // As pairs, to keep their order and case.
      headers: request.rawHeaders,
    });
    response.once('close', () => {
      if (!response.writableFinished && body === undefined) outgoing.destroy();
    });
    const responded = new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once('response', resolve);
      outgoing.once('error', reject);
    });
    const source = body === undefined ? request : Readable.from(body.length > 0 ? [body] : []);
    const sending =
      fault?.kind === 'flip' ? pipeline(source, flipping(), outgoing) : pipeline(source, outgoing);
    // A store may respond, and close, before it has read everything. Then its response counts.
    sending.catch(() => undefined);
    const storeResponse = await responded;
    if (fault?.kind === 'lose response') {
      await drained(storeResponse);
      request.socket.resetAndDestroy();
      return;
    }
    response.writeHead(storeResponse.statusCode ?? 502, storeResponse.rawHeaders);
    if (fault?.kind === 'break response') {
      await written(storeResponse, response, fault.afterBytes);
      storeResponse.destroy();
      // Not a reset, which would discard bytes that the driver has not read yet.
      request.socket.destroy();
      return;
    }
    await pipeline(storeResponse, response);
  }

  private faultOf(method: string, url: string): Fault | undefined {
    for (const entry of this.rules) {
      const { rule } = entry;
      if (rule.method !== undefined && rule.method !== method) continue;
      if (rule.url !== undefined && !rule.url.test(url)) continue;
      const after = rule.after ?? 0;
      if (entry.seen >= after + (rule.times ?? 1)) continue;
      entry.seen += 1;
      const isDue = (entry.seen - after) % (rule.every ?? 1) === 0;
      if (entry.seen > after && isDue) return rule.fault;
    }
    return undefined;
  }
}

function kindOf(method: string, url: string): string {
  const { searchParams } = new URL(url, 'http://store');
  const words = [...searchParams]
    .filter(([name]) => !IGNORED.includes(name))
    .map(([name, value]) => (DISTINGUISHING.includes(name) ? `${name}=${value}` : name));
  return [method, ...new Set(words.sort())].join(' ');
}

async function drained(stream: Readable): Promise<void> {
  for await (const _ of stream);
}

/** Writes the first `bytes` of the stream, and waits until they are sent. */
async function written(from: Readable, to: ServerResponse, bytes: number): Promise<void> {
  let left = bytes;
  to.flushHeaders();
  for await (const chunk of from as AsyncIterable<Buffer>) {
    const part = chunk.subarray(0, left);
    left -= part.length;
    await new Promise((resolve) => to.write(part, resolve));
    if (left <= 0) return;
  }
}

/** Changes the first bit of the stream. */
function flipping(): Transform {
  let flipped = false;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      if (flipped) return done(null, chunk);
      flipped = true;
      const changed = Buffer.from(chunk);
      changed.writeUInt8(changed.readUInt8(0) ^ 1, 0);
      done(null, changed);
    },
  });
}
