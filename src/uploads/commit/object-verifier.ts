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
 * - `corrupt`: it has other bytes, or another number of them.
 * - `unverified`: there was no time to read it, or the storage was not available. Nothing is known.
 */
export type Verdict = 'intact' | 'missing' | 'corrupt' | 'unverified';

/** Each reads an object as fast as the storage can. More of them would only take the bandwidth from pulls. */
const MOST_AT_ONCE = 4;
/** A smaller object is read at once: it must not wait behind large ones. */
const SMALL_BYTES = 8 * 1024 * 1024;
/** Waiting for a turn included. Well below the 60 s after which proxies give up a push. */
const LONGEST_MS = 15_000;

interface Verification {
  readonly verdict: Promise<Verdict>;
  readonly stop: AbortController;
  waiting: number;
}

/**
 * Verifies stored objects by reading and hashing them: `MOST_AT_ONCE` large ones at a time in this process,
 * the others wait their turn.
 */
@Injectable()
export class ObjectVerifier {
  private readonly logger = new Logger(ObjectVerifier.name);
  private readonly running = new Map<string, Verification>();
  private readonly turns = new EventEmitter().setMaxListeners(0);
  private busy = 0;

  constructor(
    @Inject(STORAGE_DRIVER) private readonly driver: StorageDriver,
    @Inject(HASHER_FACTORY) private readonly hashers: HasherFactory,
  ) {}

  /**
   * Compares a blob's object with the digest of its content. Callers that want the same object at the same
   * time share one reading, which ends when the last of them has given up.
   *
   * @throws StorageUnavailableError, StorageError where the storage can't say whether there is an object; the
   * signal's
   *   reason.
   */
  async verify(blob: BlobRecord, digest: Digest, { signal }: IoOptions): Promise<Verdict> {
    signal?.throwIfAborted();
    const shared = this.running.get(blob.objectKey) ?? this.begin(blob, digest);
    shared.waiting += 1;
    try {
      return await abortable(signal === undefined ? {} : { signal }, () => shared.verdict);
    } finally {
      shared.waiting -= 1;
      if (shared.waiting === 0) this.end(blob, shared);
    }
  }

  private begin(blob: BlobRecord, digest: Digest): Verification {
    const stop = new AbortController();
    // Not `AbortSignal.any` with a timeout: Node 20 may collect that as garbage before it fires.
    const timer = setTimeout(() => stop.abort(new Error('no time is left')), LONGEST_MS).unref();
    const verdict = this.examine(blob, digest, stop.signal).finally(() => clearTimeout(timer));
    // All callers may have given up when it fails.
    verdict.catch(() => undefined);
    const shared = { verdict, stop, waiting: 0 };
    this.running.set(blob.objectKey, shared);
    return shared;
  }

  private end({ objectKey }: BlobRecord, shared: Verification): void {
    if (this.running.get(objectKey) === shared) this.running.delete(objectKey);
    shared.stop.abort(new Error('nobody waits for this verification any more'));
  }

  private async examine(blob: BlobRecord, digest: Digest, signal: AbortSignal): Promise<Verdict> {
    const state = await objectStateOf(this.driver, blob);
    if (state !== 'present') return state === 'missing' ? 'missing' : 'corrupt';
    if (blob.sizeBytes === 0) return 'intact';
    try {
      const work = async () =>
        (await this.digestOf(blob, digest, signal)) === digest ? 'intact' : 'corrupt';
      return await (blob.sizeBytes <= SMALL_BYTES ? work() : this.inTurn(signal, work));
    } catch (error) {
      return this.afterFailure(error, blob, digest, signal);
    }
  }

  private async inTurn<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    while (this.busy >= MOST_AT_ONCE) await once(this.turns, 'free', { signal });
    this.busy += 1;
    try {
      return await work();
    } finally {
      this.busy -= 1;
      this.turns.emit('free');
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
    // It is there and can't be read, as with a bad sector: the caller's bytes are the better ones.
    this.logger.error({ err: error, digest, key: blob.objectKey }, 'the object of a blob can not be read');
    return 'missing';
  }
}
