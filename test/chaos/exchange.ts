import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';

/** Where a connection breaks. `silently`: the client is gone, and the replica's connection stays open. */
export type Cut = 'on the client side' | 'on the replica side' | 'silently';

/** One request through the proxy. */
export class Exchange {
  readonly uploadId: string | undefined;
  bodyBytes = 0;
  /** The client is gone, and the replica's connection is still open. */
  isHanging = false;

  constructor(
    readonly request: IncomingMessage,
    private readonly response: ServerResponse,
    readonly replica: number,
    private readonly upstream: ClientRequest,
  ) {
    this.uploadId = /\/blobs\/uploads\/([0-9a-f-]{36})/.exec(request.url ?? '')?.[1];
  }

  /** Whether the client is sending bytes of an upload. */
  get isSending(): boolean {
    return this.uploadId !== undefined && this.bodyBytes > 0 && !this.request.complete && !this.isHanging;
  }

  cut(where: Cut): void {
    this.isHanging = where === 'silently';
    if (where === 'on the replica side') this.upstream.destroy();
    this.response.destroy();
    this.request.socket.destroy();
  }

  /** Closes both connections. */
  end(): void {
    this.upstream.destroy();
    this.response.destroy();
  }
}
