import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { HOST } from '../load/connection.js';

const CONNECTIONS = 16;
const TIMEOUT_MS = 60_000;

export interface SoakResponse {
  /** 0: the connection broke or timed out after a minute. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The sha256 of the body. */
  readonly digest: string;
  readonly bodyBytes: number;
}

export interface SoakRequest {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** Abort the connection after this many bytes of the body. */
  readonly leaveAfterBytes?: number;
}

const NOTHING: SoakResponse = { status: 0, headers: {}, digest: '', bodyBytes: 0 };

/** Sends requests on a bounded number of keep-alive connections. */
export class SoakClient {
  private readonly agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });

  constructor(
    private readonly port: number,
    private readonly onResponse: (method: string, path: string, status: number, ms: number) => void,
  ) {}

  async send(method: string, path: string, options: SoakRequest = {}): Promise<SoakResponse> {
    const begun = performance.now();
    const response = await this.exchange(method, path, options).catch(() => NOTHING);
    // A client that aborts waits for no response.
    if (options.leaveAfterBytes === undefined) {
      this.onResponse(method, path, response.status, performance.now() - begun);
    }
    return response;
  }

  close(): void {
    this.agent.destroy();
  }

  private async exchange(
    method: string,
    path: string,
    { headers = {}, body, leaveAfterBytes }: SoakRequest,
  ): Promise<SoakResponse> {
    const length = { 'Content-Length': `${body?.length ?? 0}` };
    const hasBody = method !== 'GET' && method !== 'HEAD';
    const asked = request({
      host: HOST,
      port: this.port,
      method,
      path,
      headers: hasBody ? { ...headers, ...length } : headers,
      agent: leaveAfterBytes === undefined ? this.agent : false,
    });
    asked.setTimeout(TIMEOUT_MS, () => asked.destroy());
    asked.on('error', () => undefined);
    if (body !== undefined && leaveAfterBytes !== undefined) {
      asked.write(body.subarray(0, leaveAfterBytes), () => setTimeout(() => asked.destroy(), 20));
    } else {
      asked.end(body);
    }
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    const hash = createHash('sha256');
    let bodyBytes = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      hash.update(chunk);
      bodyBytes += chunk.length;
    }
    const digest = `sha256:${hash.digest('hex')}`;
    return { status: response.statusCode ?? 0, headers: response.headers, digest, bodyBytes };
  }
}
