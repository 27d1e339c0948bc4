import { request, type ClientRequest, type IncomingMessage } from 'node:http';
import { once } from 'node:events';

/** A request whose body is sent in pieces, for tests of what happens in the middle of one. */
export class SlowRequest {
  /** The status, or undefined if the connection ended without a response. Never rejects. */
  readonly status: Promise<number | undefined>;
  private readonly request: ClientRequest;

  constructor(method: string, url: URL, headers: Record<string, string> = {}) {
    this.request = request(url, { method, headers, agent: false });
    this.request.flushHeaders();
    this.status = this.response();
  }

  /** Gives bytes to the kernel. */
  async send(bytes: Uint8Array): Promise<void> {
    await new Promise<void>((resolve) => this.request.write(bytes, () => resolve()));
  }

  /** Ends the body. */
  end(): void {
    this.request.end();
  }

  /** Closes the connection. */
  leave(): void {
    this.request.destroy();
  }

  private async response(): Promise<number | undefined> {
    try {
      const [response] = (await once(this.request, 'response')) as [IncomingMessage];
      response.on('error', () => undefined).resume();
      // Errors after an early response do not matter.
      this.request.on('error', () => undefined);
      return response.statusCode;
    } catch {
      return undefined;
    }
  }
}
