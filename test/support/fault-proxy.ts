import {
  Agent,
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

/** What goes wrong with a request. */
export type Fault =
  /** The proxy answers for the store, which hears nothing of it. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly body?: string;
      readonly headers?: Record<string, string>;
    }
  /** The connection is reset before the store hears of it. */
  | { readonly kind: 'reset' }
  /** The store does what it is asked to, and its answer is lost with the connection. */
  | { readonly kind: 'lose answer' }
  /** The connection ends within the body of the store's answer. */
  | { readonly kind: 'break answer'; readonly afterBytes: number }
  /** The store hears of it later; with `outlivesClient` also where the client has gone by then, as it does when bytes are on their way. */
  | { readonly kind: 'delay'; readonly ms: number; readonly outlivesClient?: boolean }
  /** Nobody answers before `endHanging`, which resets the connection; the store hears nothing of it. */
  | { readonly kind: 'hang' }
  /** A bit of the body changes on its way to the store. */
  | { readonly kind: 'flip' };

/** Which requests it goes wrong with: those that fit all that is given. The first rule that fits and isn't used up counts. */
export interface FaultRule {
  readonly method?: string;
  /** Of path and query, as they are in the request line. */
  readonly url?: RegExp;
  /** How many of them, one where nothing is said; `Infinity` for all. */
  readonly times?: number;
  /** How many are let through before. */
  readonly after?: number;
  /** Of those that are left, only each so many-th; the others are let through, and `times` counts them. */
  readonly every?: number;
  readonly fault: Fault;
}

/** A request as the proxy saw it. */
export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  /** Method and names of the query, as in `PUT partNumber uploadId`, with the values of those that say what it is: `comp=block`. */
  readonly kind: string;
  readonly fault: Fault['kind'] | undefined;
}

/** Whose values tell the kinds of Azure's and Google's requests apart. */
const TELLING = ['comp', 'restype', 'uploadType', 'alt'];
/** The SDK's own, in every request. */
const NOISE = ['x-id'];

/**
 * Stands between a driver and its store, plain HTTP on both sides, and makes things go wrong by rule. All else it passes
 * on as it comes: `Host` too, which is signed, and bodies as streams.
 */
export class FaultProxy {
  private rules: { rule: FaultRule; seen: number }[] = [];
  private seen: SeenRequest[] = [];
  private readonly hanging = new Set<IncomingMessage>();
  private readonly agent = new Agent({ keepAlive: true });

  private constructor(
    private readonly server: Server,
    private readonly target: URL,
    /** What the driver is told in place of the store's endpoint. */
    readonly endpoint: string,
  ) {}

  /** @param target of the store, as in `http://127.0.0.1:9000`. Its path is kept. */
  static async start(target: string): Promise<FaultProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const url = new URL(target);
    const path = url.pathname === '/' ? '' : url.pathname;
    const proxy = new FaultProxy(server, url, `http://127.0.0.1:${address.port}${path}`);
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      // Whatever fails on either side ends the other one; the driver under test sees a broken connection.
      proxy.handle(request, response).catch(() => request.socket.destroy());
    });
    return proxy;
  }

  inject(...rules: readonly FaultRule[]): void {
    this.rules.push(...rules.map((rule) => ({ rule, seen: 0 })));
  }

  /** Forgets all rules: from now on everything goes well. */
  heal(): void {
    this.rules = [];
  }

  get hangingCount(): number {
    return this.hanging.size;
  }

  /** Resets the connections of those that hang. */
  endHanging(): void {
    for (const { socket } of this.hanging) socket.resetAndDestroy();
    this.hanging.clear();
  }

  requests(): readonly SeenRequest[] {
    return this.seen;
  }

  /** How many requests of each kind there were. */
  counts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { kind } of this.seen) counts[kind] = (counts[kind] ?? 0) + 1;
    return counts;
  }

  /** Begins to count anew. */
  forget(): void {
    this.seen = [];
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    this.agent.destroy();
    await closed;
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const fault = this.faultOf(method, url);
    this.seen.push({ method, url, headers, kind: kindOf(method, url), fault: fault?.kind });
    switch (fault?.kind) {
      case 'answer':
        await drained(request);
        response.writeHead(fault.status, { 'content-type': 'application/xml', ...fault.headers });
        response.end(fault.body ?? '');
        return;
      case 'reset':
        // Read first, as some clients don't look for an answer, and so not for a reset, while they write.
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

  /** @param body where it has been read already, and goes out even if the client has left. */
  private async pass(
    request: IncomingMessage,
    response: ServerResponse,
    fault: Fault | undefined,
    body?: Buffer,
  ): Promise<void> {
    const outgoing = sendRequest({
      agent: this.agent,
      host: this.target.hostname,
      port: this.target.port,
      method: request.method,
      path: request.url,
      // As pairs, so that neither their order nor their case changes.
      headers: request.rawHeaders,
    });
    response.once('close', () => {
      if (!response.writableFinished && body === undefined) outgoing.destroy();
    });
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once('response', resolve);
      outgoing.once('error', reject);
    });
    const source = body === undefined ? request : Readable.from(body.length > 0 ? [body] : []);
    const sending =
      fault?.kind === 'flip' ? pipeline(source, flipping(), outgoing) : pipeline(source, outgoing);
    // A store may answer, and close, before it has read everything: then its answer counts.
    sending.catch(() => undefined);
    const answer = await answered;
    if (fault?.kind === 'lose answer') {
      await drained(answer);
      request.socket.resetAndDestroy();
      return;
    }
    response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
    if (fault?.kind === 'break answer') {
      await written(answer, response, fault.afterBytes);
      answer.destroy();
      // Not a reset: that would take bytes away that the driver has not read yet.
      request.socket.destroy();
      return;
    }
    await pipeline(answer, response);
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
    .filter(([name]) => !NOISE.includes(name))
    .map(([name, value]) => (TELLING.includes(name) ? `${name}=${value}` : name));
  return [method, ...new Set(words.sort())].join(' ');
}

async function drained(stream: Readable): Promise<void> {
  for await (const _ of stream);
}

/** Writes the first `bytes` of what comes, and waits until they are out. */
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

/** Changes the first bit of what passes. */
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
