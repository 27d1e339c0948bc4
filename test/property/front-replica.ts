import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { BUSY_UPLOAD } from '../../src/oci/busy-upload.js';
import { Exchange, type ReplicaLife } from './front-exchange.js';
import type { Fault, Script } from './front-faults.js';
import { type Answer, ScriptedRequest } from './front-request.js';
import { Refusal } from './front-refusal.js';
import type { ScriptedRegistry } from './front-registry.js';
import { Wire } from './front-wire.js';

/** Gives each exchange with any replica of a front its fault, in the order in which they begin. */
export class ScriptReader {
  readonly exchanges: Exchange[] = [];

  constructor(private script: Script) {}

  /** No exchange from now on has a fault. */
  end(): void {
    this.script = [];
  }

  begin(replica: ReplicaLife): Exchange {
    const exchange = new Exchange(replica, this.script[this.exchanges.length] ?? NO_FAULT);
    this.exchanges.push(exchange);
    return exchange;
  }
}

const NO_FAULT: Fault = { kind: 'none' };

/** The process of a replica. */
class Life implements ReplicaLife {
  isKilled = false;
  private frozenUntil = 0;

  get isFrozen(): boolean {
    return !this.isKilled && performance.now() < this.frozenUntil;
  }

  freeze(ms: number): void {
    this.frozenUntil = performance.now() + ms;
  }

  wake(): void {
    this.frozenUntil = 0;
  }

  async awake(): Promise<void> {
    while (this.isFrozen) await sleep(2);
  }
}

/**
 * A replica of Berth as a front knows it: the same protocol over HTTP, everything in memory, and faults at
 * the exact places of a script. Replicas of one registry share its state, as replicas share a database.
 */
export class ScriptedReplica {
  life = new Life();
  private readonly wires = new Set<Wire>();
  private downUntil = 0;
  private readonly exchangeOf = new WeakMap<object, Wire>();
  private readonly http = createHttpServer({ requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0 });

  private constructor(
    private readonly server: Server,
    private registry: ScriptedRegistry,
    private reader: ScriptReader,
  ) {
    server.on('connection', (socket) => this.connect(socket));
    const handle = (request: IncomingMessage, response: ServerResponse) => {
      // A connection that broke meanwhile has nothing to answer to.
      this.handle(request, response).catch(() => request.destroy());
    };
    this.http.on('request', handle).on('checkContinue', handle);
  }

  static async start(registry: ScriptedRegistry, reader: ScriptReader): Promise<ScriptedReplica> {
    const server = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new ScriptedReplica(server, registry, reader);
  }

  get url(): string {
    // A server that listens on TCP has such an address.
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  begin(isProbe: boolean): Exchange {
    return isProbe ? new Exchange(this.life, NO_FAULT) : this.reader.begin(this.life);
  }

  /** For the requests from now on. */
  use(registry: ScriptedRegistry, reader: ScriptReader): void {
    this.registry = registry;
    this.reader = reader;
  }

  /** Lets something happen that no front has asked for. */
  change(event: ((registry: ScriptedRegistry) => void) | undefined): void {
    event?.(this.registry);
  }

  freeze(ms: number): void {
    this.life.freeze(ms);
  }

  /** Ends all faults that last. */
  recover(): void {
    this.life.wake();
    this.downUntil = 0;
    for (const wire of this.wires) wire.notice();
  }

  /** Ends the process, and starts a new one after that time. */
  kill(downMs: number): void {
    this.life.isKilled = true;
    this.life = new Life();
    this.downUntil = performance.now() + downMs;
    for (const wire of this.wires) wire.kill();
  }

  /** Whether no request is under way. */
  get isIdle(): boolean {
    return [...this.wires].every((wire) => wire.isIdle);
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.kill(0);
    await closed;
  }

  private connect(socket: Socket): void {
    if (performance.now() < this.downUntil) {
      socket.resetAndDestroy();
      return;
    }
    socket.setNoDelay(true);
    const wire = new Wire(socket, this);
    this.wires.add(wire);
    this.exchangeOf.set(wire.server, wire);
    this.http.emit('connection', wire.server);
    wire.server.once('close', () => this.wires.delete(wire));
    void wire.run();
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const exchange = this.exchangeOf.get(request.socket)?.exchange;
    if (exchange === undefined) throw new Error('a request without a connection');
    const answer = await this.answerTo(new ScriptedRequest(request, response, exchange));
    if (exchange.isDead) return;
    if (request.complete) exchange.isAnswered = true;
    else exchange.isDrained = true;
    const closes = exchange.isDrained || exchange.fault.kind === 'close';
    const { status, headers, body = Buffer.of() } = answer;
    // Not announced if it is the fault.
    if (exchange.isDrained) response.setHeader('Connection', 'close');
    if (status !== 204 && status !== 304) response.setHeader('Content-Length', body.length);
    response.writeHead(status, headers);
    response.end(body, () => closes && request.socket.destroy());
  }

  private async answerTo(request: ScriptedRequest): Promise<Answer> {
    try {
      const answer = await this.registry.answer(request);
      request.expectNoRefusal('after');
      return answer;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { status, code, headers } = error;
      const detail = status === 429 && { detail: BUSY_UPLOAD };
      const body = JSON.stringify({ errors: [{ code, message: error.message, ...detail }] });
      return { status, headers: { 'Content-Type': 'application/json', ...headers }, body: Buffer.from(body) };
    }
  }
}
