import { Injectable } from '@nestjs/common';
import { setImmediate as turn } from 'node:timers/promises';
import { Configuration } from '../../config/configuration.js';
import { HEARTBEAT, readBody } from '../../transfer/read-body.js';
import { RequestBodies } from '../../transfer/request-bodies.js';
import type { KeptBytes } from '../bytes/kept-bytes.js';
import type { ClientRequest } from './forwarded-headers.js';

const EMPTY = Buffer.of();

/** The body of a client's request, on its way into memory. */
export interface ClientBody {
  /** Begins to receive. Idempotent. */
  receive(): void;
  /** Ends the receiving, wherever it is. */
  stop(): Promise<void>;
}

/** Receives the bodies of clients, within the limits on their time. */
@Injectable()
export class ClientBodies {
  constructor(
    private readonly bodies: RequestBodies,
    private readonly configuration: Configuration,
  ) {}

  /** @param kept gets the bytes, and then the end of the body. */
  of(request: ClientRequest, kept: KeptBytes): ClientBody {
    const stopping = new AbortController();
    let receiving: Promise<void> | undefined;
    return {
      receive: () => void (receiving ??= this.receive(request, kept, stopping.signal)),
      stop: async () => {
        if (kept.end === undefined) stopping.abort(new Error('the request was answered'));
        await receiving;
      },
    };
  }

  private async receive(request: ClientRequest, kept: KeptBytes, signal: AbortSignal): Promise<void> {
    const { requestIdleTimeoutSeconds, requestMinBytesPerSecond } = this.configuration;
    const idleTimeoutMs = requestIdleTimeoutSeconds * 1000;
    try {
      // Node emits a request in the middle of its parser's work: the beginning of the body comes after it.
      await turn();
      if (request.complete && !request.destroyed) {
        // All of it came with the head, as most small bodies do.
        await kept.append((request.read() as Buffer | null) ?? EMPTY);
        return kept.finish();
      }
      for await (const chunk of readBody(this.bodies.stream(request), {
        errorCode: 'BLOB_UPLOAD_INVALID',
        heartbeatMs: idleTimeoutMs,
        idleTimeoutMs,
        minBytesPerSecond: requestMinBytesPerSecond,
        signal,
      })) {
        if (chunk !== HEARTBEAT) await kept.append(chunk);
      }
      kept.finish();
    } catch (error) {
      kept.finish(error instanceof Error ? error : new Error(String(error)));
    }
  }
}

/** Returns all bytes of a body of at most `maxBytes`, when it has ended. */
export async function receiveWhole(
  kept: KeptBytes,
  body: ClientBody,
  maxBytes: number,
): Promise<readonly Uint8Array[]> {
  await kept.reserve(maxBytes);
  body.receive();
  return kept.whole();
}
