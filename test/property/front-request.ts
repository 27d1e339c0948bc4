import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Exchange } from './front-exchange.js';
import { Refusal } from './front-refusal.js';

/** An answer of a scripted replica. Its Content-Length is that of the body unless the headers have one. */
export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body?: Buffer;
}

/** A request to a scripted replica. */
export class ScriptedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  private readBytes = 0;
  private lastOffset: number | undefined;

  constructor(
    private readonly request: IncomingMessage,
    private readonly response: ServerResponse,
    readonly exchange: Exchange,
  ) {
    this.method = request.method ?? '';
    // Scripts append `?digest=` to a Location that has a query already.
    const [path = '', ...queries] = (request.url ?? '').split('?');
    this.path = path;
    this.query = new URLSearchParams(queries.join('&'));
    const preferences = (this.header('prefer') ?? '').split(',').map((preference) => preference.trim());
    exchange.wantsProgress = preferences.includes('upload-progress');
    exchange.wantsTakeover = preferences.includes('upload-takeover');
  }

  /** @throws Refusal if it is repeated. */
  header(name: string): string | undefined {
    const values = this.request.headersDistinct[name] ?? [];
    if (values.length > 1) throw new Refusal(400, 'UNSUPPORTED');
    return values[0];
  }

  /** Undefined if it isn't known before the end. */
  get length(): number | undefined {
    if (this.header('transfer-encoding') !== undefined) return undefined;
    return Number(this.header('content-length') ?? 0);
  }

  /** Reads the body, until another request takes the session. @throws Refusal, if the script says so */
  async *body(): AsyncGenerator<Buffer> {
    if (this.header('expect') !== undefined) this.response.writeContinue();
    const left = this.exchange.left();
    const chunks = this.request[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
    for (;;) {
      const { done, value } = await Promise.race([chunks.next(), left]);
      if (done === true) break;
      this.exchange.expectAlive();
      this.readBytes += value.length;
      yield value;
      this.expectNoRefusal('before', this.readBytes);
    }
    this.expectNoRefusal('before');
  }

  async wholeBody(): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of this.body()) parts.push(part);
    return Buffer.concat(parts);
  }

  /** Tells the front that bytes before the offset are durable, if it asked. */
  progress(offset: number): void {
    const { fault, wantsProgress, isFinal } = this.exchange;
    const isSilent = fault.kind === 'interim answers' && fault.when === 'never';
    if (!wantsProgress || isSilent || isFinal) return;
    const isLate = fault.kind === 'interim answers' && fault.when === 'late';
    const told = isLate ? this.lastOffset : offset;
    this.lastOffset = offset;
    if (told === undefined) return;
    this.request.socket.write(`HTTP/1.1 104 Upload Resumption Supported\r\nUpload-Offset: ${told}\r\n\r\n`);
  }

  /** @throws Refusal if the script refuses the request now. */
  expectNoRefusal(when: 'before' | 'after', readBytes = Infinity): void {
    const { fault, isDead } = this.exchange;
    if (isDead || fault.kind !== 'refuse' || fault.when !== when || readBytes < fault.afterBytes) return;
    // Only a session has writers that give way.
    const isOfSession = /\/blobs\/uploads\/[^/]+$/.test(this.path);
    const isPossible = fault.status === 429 ? isOfSession : fault.status >= 500 || this.length !== 0;
    this.exchange.hasStruck = true;
    throw new Refusal(isPossible ? fault.status : 503, 'UNKNOWN');
  }
}
