import type { IncomingMessage } from 'node:http';
import { Injectable } from '@nestjs/common';
import { Configuration } from '../config/configuration.js';
import { parseContentRange } from '../oci/content-range.js';
import { BlobUploadInvalidError, ManifestTooLargeError } from '../oci/errors.js';
import { BufferPool } from './buffer-pool.js';
import { MIN_DIRECT_BYTES } from './direct/direct-body.js';
import { DirectReads } from './direct/direct-reads.js';
import { GatheredBody } from './gathered-body.js';
import { HEARTBEAT, readBody, type UploadBody } from './read-body.js';
import { contentLength, refuseContentCoding, singleHeader } from './request-headers.js';

/** A smaller body is little more than one chunk and needs no buffers. */
const GATHERED_BYTES = 64 * 1024;

/** The bodies of requests: an upload's as a stream, a manifest's as a whole. */
@Injectable()
export class RequestBodies {
  constructor(
    private readonly buffers: BufferPool,
    private readonly direct: DirectReads,
    private readonly configuration: Configuration,
  ) {}

  /**
   * The body of an upload, not read yet.
   *
   * @throws ContentCodingError; BlobUploadInvalidError for a bad `Content-Range`; SizeInvalidError.
   */
  upload(request: IncomingMessage): UploadBody {
    refuseContentCoding(request);
    const text = singleHeader(request, 'content-range', (message) => new BlobUploadInvalidError(message));
    const range = text === undefined ? undefined : parseContentRange(text);
    const lengthBytes = contentLength(request);
    return { source: this.source(request, lengthBytes), lengthBytes, range };
  }

  /** The bytes of any body, not read yet. Its headers are not checked. */
  stream(request: IncomingMessage): AsyncIterable<Uint8Array> {
    return this.source(request, contentLength(request));
  }

  /**
   * Reads the body of a manifest.
   *
   * @param reserve is called for the bytes of each chunk before the chunk is kept; may throw to refuse them.
   * @throws ContentCodingError; ManifestTooLargeError as soon as the body is known to exceed
   *   `MANIFEST_MAX_BYTES`; BodyError with the code MANIFEST_INVALID.
   */
  async manifest(request: IncomingMessage, reserve: (bytes: number) => void): Promise<Buffer> {
    refuseContentCoding(request);
    const { manifestMaxBytes, requestIdleTimeoutSeconds, requestMinBytesPerSecond } = this.configuration;
    if ((contentLength(request) ?? 0) > manifestMaxBytes) throw new ManifestTooLargeError(manifestMaxBytes);
    const chunks: Uint8Array[] = [];
    let length = 0;
    const idleTimeoutMs = requestIdleTimeoutSeconds * 1000;
    for await (const chunk of readBody(streamSource(request), {
      errorCode: 'MANIFEST_INVALID',
      heartbeatMs: idleTimeoutMs,
      idleTimeoutMs,
      minBytesPerSecond: requestMinBytesPerSecond,
      signal: new AbortController().signal,
    })) {
      if (chunk === HEARTBEAT) continue;
      length += chunk.length;
      if (length > manifestMaxBytes) throw new ManifestTooLargeError(manifestMaxBytes);
      reserve(chunk.length);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, length);
  }

  private source(request: IncomingMessage, lengthBytes = chunkedLength(request)): AsyncIterable<Uint8Array> {
    if (lengthBytes <= GATHERED_BYTES) return streamSource(request);
    return { [Symbol.asyncIterator]: () => this.largeBody(request, lengthBytes) };
  }

  private largeBody(request: IncomingMessage, lengthBytes: number): AsyncIterator<Uint8Array> {
    const isLarge = lengthBytes >= MIN_DIRECT_BYTES && !request.complete;
    const direct = isLarge ? this.direct.open(request, lengthBytes) : undefined;
    return direct ?? new GatheredBody(request, lengthBytes, this.buffers);
  }
}

/** Without `Content-Length`, a body is chunked or absent (RFC 9112, section 6.3). */
function chunkedLength({ headers }: IncomingMessage): number {
  return headers['transfer-encoding'] === undefined ? 0 : Infinity;
}

/** Reading may stop early without destroying the socket, so that a response can be sent. */
function streamSource(request: IncomingMessage): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]: () => request.iterator({ destroyOnReturn: false })[Symbol.asyncIterator](),
  };
}
