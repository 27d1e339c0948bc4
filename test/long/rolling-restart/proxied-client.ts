import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Figures } from './figures.js';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Sent {
  readonly headers?: Record<string, string>;
  readonly body?: Iterable<Buffer> | AsyncIterable<Buffer>;
}

/** A response that a client repeats its request after, or none (0). */
export class RequestFailure extends Error {
  constructor(
    method: string,
    readonly status: number,
    /** What arrived of the response. */
    readonly partial: Buffer = Buffer.alloc(0),
  ) {
    super(`${method}: ${status === 0 ? 'connection broken' : status}`);
  }
}

/** Sends requests to a proxy, over TLS, as one client: it keeps connections. */
export class ProxiedClient {
  private readonly agent: Agent;

  constructor(
    private readonly url: URL,
    ca: string,
    readonly figures: Figures,
  ) {
    this.agent = new Agent({ keepAlive: true, ca });
  }

  /** @throws RequestFailure after 5xx, and if the connection breaks */
  async send(method: string, path: string, { headers = {}, body }: Sent = {}): Promise<Answer> {
    this.figures.requests += 1;
    const request = httpsRequest(new URL(path, this.url), { method, headers, agent: this.agent });
    const responded = once(request, 'response') as Promise<[IncomingMessage]>;
    const sending = body === undefined ? void request.end() : pipeline(Readable.from(body), request);
    // A response may come before the end of the body.
    sending?.catch(() => undefined);
    const [response] = await responded.catch(() => {
      throw new RequestFailure(method, 0);
    });
    const parts: Buffer[] = [];
    try {
      for await (const part of response as AsyncIterable<Buffer>) parts.push(part);
    } catch {
      throw new RequestFailure(method, 0, Buffer.concat(parts));
    }
    const { statusCode = 0 } = response;
    if (statusCode >= 500) throw new RequestFailure(method, statusCode);
    return { status: statusCode, headers: response.headers, body: Buffer.concat(parts) };
  }

  /** Like `send`, for a response with one status. @throws Error after another one */
  async expect(status: number, method: string, path: string, sent?: Sent): Promise<Answer> {
    const answer = await this.send(method, path, sent);
    if (answer.status === status) return answer;
    throw new Error(`${method} ${path}: ${answer.status} ${answer.body.toString()}`);
  }

  close(): void {
    this.agent.destroy();
  }
}
