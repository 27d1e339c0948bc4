import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';

/** Where a connection breaks. `silently`: the client is gone and its replica is not told. */
export type Cut = 'on the client side' | 'on the replica side' | 'silently';

/** One request on its way through the proxy. */
export class Exchange {
  readonly uploadId: string | undefined;
  bodyBytes = 0;
  /** The client is gone and the replica does not know. */
  isHanging = false;

  constructor(
    readonly request: IncomingMessage,
    private readonly response: ServerResponse,
    readonly replica: number,
    private readonly upstream: ClientRequest,
  ) {
    this.uploadId = /\/blobs\/uploads\/([0-9a-f-]{36})/.exec(request.url ?? '')?.[1];
  }

  /** Whether bytes of an upload are on their way. */
  get isSending(): boolean {
    return this.uploadId !== undefined && this.bodyBytes > 0 && !this.request.complete && !this.isHanging;
  }

  cut(where: Cut): void {
    this.isHanging = where === 'silently';
    if (where === 'on the replica side') this.upstream.destroy();
    this.response.destroy();
    this.request.socket.destroy();
  }

  /** Ends what is left of it. */
  end(): void {
    this.upstream.destroy();
    this.response.destroy();
  }
}
