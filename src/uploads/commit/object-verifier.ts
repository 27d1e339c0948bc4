import { EventEmitter, once } from 'node:events';
import { Inject, Injectable, Logger } from '@nestjs/common';
import type { BlobRecord } from '../../blobs/blob.store.js';
import { objectStateOf } from '../../blobs/object-state.js';
import { type Digest, digestAlgorithm } from '../../oci/digest.js';
import { abortable } from '../../storage/abortable.js';
import { type IoOptions, STORAGE_DRIVER, type StorageDriver } from '../../storage/storage-driver.js';
import { ObjectNotFoundError, StorageError, StorageUnavailableError } from '../../storage/storage.errors.js';
import { HASHER_FACTORY, type HasherFactory } from '../hash/hasher.js';

/**
 * - `intact`: the object has the bytes that the digest names.
 * - `missing`: the storage has no such object, or can't read it.
 * - `corrupt`: the object has other bytes.
 * - `unverified`: unknown. Reading took too long, or the storage is unavailable.
 */
export type Verdict = 'intact' | 'missing' | 'corrupt' | 'unverified';

/** Each read is as fast as the storage. More of them would only take bandwidth from pulls. */
const MAX_CONCURRENT_LARGE = 4;
/** Objects up to this size are read at once: they must not wait for large ones. */
const SMALL_BYTES = 8 * 1024 * 1024;
/** Includes waiting. Well below the 60 s after which proxies abort a push. */
const TIMEOUT_MS = 15_000;

interface Verification {
  readonly verdict: Promise<Verdict>;
  readonly stop: AbortController;
  waiting: number;
}

/**
 * Verifies stored objects by reading and hashing them. Reads at most `MAX_CONCURRENT_LARGE` large objects at
 * a time in this process.
 */
@Injectable()
export class ObjectVerifier {
  private readonly logger = new Logger(ObjectVerifier.name);
  private readonly running = new Map<string, Verification>();
  private readonly slots = new EventEmitter().setMaxListeners(0);
  private busy = 0;

  constructor(
    @Inject(STORAGE_DRIVER) private readonly driver: StorageDriver,
    @Inject(HASHER_FACTORY) private readonly hashers: HasherFactory,
  ) {}

  /**
   * Compares a blob's object with the digest of its content. Concurrent callers share one read of an object.
   * It is aborted when all of them have aborted.
   *
   * @throws StorageUnavailableError, StorageError if the storage can't tell whether the object exists; the
   *   signal's reason.
   */
  async verify(blob: BlobRecord, digest: Digest, { signal }: IoOptions): Promise<Verdict> {
    signal?.throwIfAborted();
    const shared = this.running.get(blob.objectKey) ?? this.start(blob, digest);
    shared.waiting += 1;
    try {
      return await abortable(signal === undefined ? {} : { signal }, () => shared.verdict);
    } finally {
      shared.waiting -= 1;
      if (shared.waiting === 0) this.end(blob, shared);
    }
  }

  private start(blob: BlobRecord, digest: Digest): Verification {
    const stop = new AbortController();
    // Not `AbortSignal.any` with `AbortSignal.timeout`: Node 20 can garbage-collect it before it fires.
    const timer = setTimeout(
      () => stop.abort(new Error('the verification took too long')),
      TIMEOUT_MS,
    ).unref();
    const verdict = this.examine(blob, digest, stop.signal).finally(() => clearTimeout(timer));
    // All callers may have aborted before it fails.
    verdict.catch(() => undefined);
    const shared = { verdict, stop, waiting: 0 };
    this.running.set(blob.objectKey, shared);
    return shared;
  }

  private end({ objectKey }: BlobRecord, shared: Verification): void {
    if (this.running.get(objectKey) === shared) this.running.delete(objectKey);
    shared.stop.abort(new Error('all callers of this verification have aborted'));
  }

  private async examine(blob: BlobRecord, digest: Digest, signal: AbortSignal): Promise<Verdict> {
    const state = await objectStateOf(this.driver, blob);
    if (state !== 'present') return state === 'missing' ? 'missing' : 'corrupt';
    if (blob.sizeBytes === 0) return 'intact';
    try {
      const work = async () =>
        (await this.digestOf(blob, digest, signal)) === digest ? 'intact' : 'corrupt';
      return await (blob.sizeBytes <= SMALL_BYTES ? work() : this.limited(signal, work));
    } catch (error) {
      return this.afterFailure(error, blob, digest, signal);
    }
  }

  private async limited<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    while (this.busy >= MAX_CONCURRENT_LARGE) await once(this.slots, 'free', { signal });
    this.busy += 1;
    try {
      return await work();
    } finally {
      this.busy -= 1;
      this.slots.emit('free');
    }
  }

  private async digestOf(
    { objectKey, sizeBytes }: BlobRecord,
    digest: Digest,
    signal: AbortSignal,
  ): Promise<Digest> {
    const hasher = this.hashers.create(digestAlgorithm(digest));
    try {
      const whole = { start: 0, end: sizeBytes - 1 };
      const bytes: AsyncIterable<Uint8Array> = await this.driver.read(objectKey, whole, { signal });
      for await (const chunk of bytes) await hasher.update(chunk);
      return hasher.digest();
    } finally {
      hasher.dispose();
    }
  }

  private afterFailure(error: unknown, blob: BlobRecord, digest: Digest, signal: AbortSignal): Verdict {
    if (error instanceof ObjectNotFoundError) return 'missing';
    if (signal.aborted || error instanceof StorageUnavailableError) return 'unverified';
    if (!(error instanceof StorageError)) throw error;
    // It exists but can't be read, as with a bad sector: the caller's bytes replace it.
    this.logger.error({ err: error, digest, key: blob.objectKey }, 'could not read the object of a blob');
    return 'missing';
  }
}
