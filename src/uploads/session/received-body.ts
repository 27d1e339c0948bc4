import { settleAll } from '../../common/settle-all.js';
import type { Configuration } from '../../config/configuration.js';
import type { DatabaseSpace } from '../../database/database-space.js';
import { discardedBytes } from '../../observability/metrics/upload.metrics.js';
import type { Digest } from '../../oci/digest.js';
import { SizeInvalidError } from '../../oci/errors.js';
import type { TarsumAlgorithm } from '../../oci/tarsum.js';
import type { StorageDriver } from '../../storage/storage-driver.js';
import { HEARTBEAT, readBody, type UploadBody } from '../../transfer/read-body.js';
import type { HasherFactory, Midstate } from '../hash/hasher.js';
import { TarsumHasher } from '../hash/tarsum-hasher.js';
import { bodyStartOf } from './body-start.js';
import type { HeldSession } from './held-session.js';
import { RepeatedBytes } from './repeated-bytes.js';
import { heartbeatMs, MAX_LAG_MS } from './upload-session.js';
import { UploadWriter } from './upload-writer.js';

/** What a {@link ReceivedBody} needs of the application. */
export interface ReceivingParts {
  readonly driver: StorageDriver;
  readonly hashers: HasherFactory;
  readonly configuration: Configuration;
  readonly space: DatabaseSpace;
}

/** The whole content of a blob, in memory. */
export interface WholeContent {
  readonly bytes: Uint8Array;
  /** One for each algorithm of the session. */
  readonly digests: readonly Digest[];
}

/**
 * The body of a request on a held session. `append` appends it. A small one that is all of the content can be
 * read with `whole` first: it is then stored in one call of the driver. If `whole` does not succeed, for
 * whatever reason, `append` continues with what it read, as if it had not been tried.
 */
export class ReceivedBody {
  private readonly start: Midstate;
  private readonly chunks: AsyncGenerator<Uint8Array | typeof HEARTBEAT, void>;
  /** What `whole` has read: first these bytes, then `unread`; or the failure that followed them. */
  private filled: Uint8Array = Buffer.of();
  private unread: Uint8Array | undefined;
  private failure: { readonly error: unknown } | undefined;
  /** When `whole` gives up, on the clock of `performance.now()`. */
  private fillDeadline = Infinity;
  private writer: UploadWriter | undefined;

  /** @throws UploadOffsetError, SizeInvalidError: see `bodyStartOf`. */
  constructor(
    private readonly held: HeldSession,
    private readonly body: UploadBody,
    private readonly parts: ReceivingParts,
  ) {
    this.start = bodyStartOf(held.session, body);
    const { requestIdleTimeoutSeconds, requestMinBytesPerSecond } = parts.configuration;
    const idleTimeoutMs = requestIdleTimeoutSeconds * 1000;
    this.chunks = readBody(body.source, {
      errorCode: 'BLOB_UPLOAD_INVALID',
      heartbeatMs: Math.min(heartbeatMs(held.lease), idleTimeoutMs / 4),
      dueAt: () => this.writer?.dueAt ?? this.fillDeadline,
      idleTimeoutMs,
      minBytesPerSecond: requestMinBytesPerSecond,
      signal: held.signal,
    });
  }

  /**
   * Reads all of the body and returns it, if the session was acquired to store it and its digest is `wanted`.
   * Otherwise returns undefined: also if it comes slowly, is broken, or is longer than it says.
   */
  async whole(wanted: Digest): Promise<WholeContent | undefined> {
    const { lengthBytes = 0 } = this.body;
    if (this.held.intent === undefined) return undefined;
    try {
      if (!(await this.fill(Buffer.allocUnsafeSlow(lengthBytes)))) return undefined;
    } catch (error) {
      this.failure = { error };
      return undefined;
    }
    const digests = await this.digests();
    return digests.includes(wanted) ? { bytes: this.filled, digests } : undefined;
  }

  /** Returns whether exactly the buffer was filled, in time to keep the lease and to report progress. */
  private async fill(buffer: Buffer): Promise<boolean> {
    const { onDurable } = this.body;
    const timeMs = onDurable === undefined ? heartbeatMs(this.held.lease) : MAX_LAG_MS;
    this.fillDeadline = performance.now() + timeMs;
    for (;;) {
      const { done, value: chunk } = await this.chunks.next();
      if (done === true) return this.filled.length === buffer.length;
      if (chunk === HEARTBEAT) return false;
      this.unread = chunk;
      await this.parts.space.expectRoom('push', chunk.length);
      if (chunk.length > buffer.length - this.filled.length) return false;
      buffer.set(chunk, this.filled.length);
      this.filled = buffer.subarray(0, this.filled.length + chunk.length);
      this.unread = undefined;
      if (performance.now() > this.fillDeadline) return false;
    }
  }

  /** Small content is hashed in place. */
  private async digests(): Promise<Digest[]> {
    const digests: Digest[] = [];
    for (const midstate of this.held.session.midstates) {
      const hasher = this.parts.hashers.resume(midstate);
      try {
        await hasher.update(this.filled);
        digests.push(hasher.digest());
      } finally {
        hasher.dispose();
      }
    }
    return digests;
  }

  /**
   * Appends the body to the session, without the bytes that it has already, and then calls `end`. If any of
   * this fails, what arrived before is kept.
   *
   * @param tarsums that the request wants. They are calculated here if the body begins at byte 0, as are
   *   those that were announced.
   */
  async append<T>(
    tarsums: readonly TarsumAlgorithm[],
    end: (writer: UploadWriter) => Promise<T>,
  ): Promise<T> {
    const { driver, hashers, configuration } = this.parts;
    const { uploadCheckpointBytes: checkpointBytes } = configuration;
    const { onDurable } = this.body;
    const writer = await UploadWriter.open(this.held, { driver, hashers, checkpointBytes, onDurable });
    this.writer = writer;
    try {
      await this.writeTo(writer, this.tarsumHashers(tarsums));
      return await end(writer);
    } catch (error) {
      await writer.salvage();
      discardedBytes.inc(Math.max(0, writer.offset - this.held.durableBytes));
      throw error;
    } finally {
      await writer.close();
    }
  }

  /** A tarsum has no midstate, so only the body that begins at byte 0 can have one. */
  private tarsumHashers(wanted: readonly TarsumAlgorithm[]): readonly TarsumHasher[] {
    if (this.start.lengthBytes > 0) return [];
    const announced = this.held.session.tarsums?.map(({ algorithm }) => algorithm) ?? [];
    return [...new Set([...announced, ...wanted])].map((algorithm) => new TarsumHasher(algorithm));
  }

  private async writeTo(writer: UploadWriter, tarsums: readonly TarsumHasher[]): Promise<void> {
    this.held.beginBody(this.start);
    const repeated = new RepeatedBytes(this.held.session, this.start, this.parts.hashers);
    try {
      await this.writeUnrepeated(writer, repeated, tarsums);
      if (tarsums.length > 0) writer.setTarsums(await Promise.all(tarsums.map((tarsum) => tarsum.state())));
    } finally {
      repeated.dispose();
    }
  }

  /** Checkpoints while the body stalls or is repeated, so that the lease is renewed. */
  private async writeUnrepeated(
    writer: UploadWriter,
    repeated: RepeatedBytes,
    tarsums: readonly TarsumHasher[],
  ): Promise<void> {
    const { range } = this.body;
    const limit = range === undefined ? Infinity : range.end + 1;
    for await (const received of this.remaining()) {
      if (received === HEARTBEAT) {
        await writer.checkpoint();
        continue;
      }
      const chunk = await repeated.skip(received);
      await this.parts.space.expectRoom('push', chunk.length);
      const room = limit - writer.offset;
      const summed = tarsums.map((tarsum) => tarsum.update(received));
      // The buffer is used again, also after a failure.
      await settleAll([writer.write(chunk.length > room ? chunk.subarray(0, room) : chunk), ...summed]);
      if (chunk.length > room) throw new SizeInvalidError('the body is longer than its Content-Range says');
    }
    repeated.expectCompared();
    if (writer.offset < limit && limit !== Infinity) {
      throw new SizeInvalidError('the body is shorter than its Content-Range says');
    }
  }

  private async *remaining(): AsyncGenerator<Uint8Array | typeof HEARTBEAT, void> {
    if (this.filled.length > 0) yield this.filled;
    if (this.failure !== undefined) throw this.failure.error;
    if (this.unread !== undefined) yield this.unread;
    // These bytes may have waited to become durable as long as they may.
    if (this.filled.length > 0 && this.body.onDurable !== undefined) yield HEARTBEAT;
    yield* this.chunks;
  }

  /** Ends the reading, wherever it is. */
  async close(): Promise<void> {
    await this.chunks.return();
  }
}
