import { endianness } from 'node:os';
import { formatDigest, type Digest, type DigestAlgorithm } from '../../oci/digest.js';
import type { Hasher, Midstate } from './hasher.js';
import { HASH_PARAMETERS, WORD_COUNT } from './midstate.js';
import { CONTEXT_BYTES, readContext, writeContext } from './openssl-context.js';
import type { OpensslHash } from './openssl-library.js';

/**
 * Chunks from this size on are hashed on libuv's thread pool. Measured on Node 20 with sha256 (2 cores; event
 * loop's share in brackets): a call there takes some 35 µs, 20 of them on the event loop, which could hash 35
 * KiB in this time.
 *
 * | chunk   | in place          | pool, one upload | pool, two uploads |
 * |---------|-------------------|------------------|-------------------|
 * | 64 KiB  | 1.85 GB/s (100 %) | 0.95 GB/s (26 %) | 1.41 GB/s (36 %)  |
 * | 128 KiB | 1.87 GB/s (100 %) | 1.24 GB/s (20 %) | 1.92 GB/s (23 %)  |
 * | 256 KiB | 1.86 GB/s (100 %) | 1.51 GB/s (12 %) | 2.44 GB/s (16 %)  |
 * | 1 MiB   | 1.87 GB/s (100 %) | 1.73 GB/s (5 %)  | 3.02 GB/s (5 %)   |
 */
export const ASYNC_THRESHOLD_BYTES = 128 * 1024;

/** Room after the context for a build with a larger struct: its self-test then rejects it without damage. */
const SLACK_BYTES = 256;

/** Calls OpenSSL's low-level functions on a Buffer as their context. */
export class OpensslHasher implements Hasher {
  private context: Buffer | undefined;
  /** Keeps alive what another thread uses, also after dispose(): koffi has no reference to it. */
  private inFlight: { readonly context: Buffer; readonly chunk: Uint8Array } | undefined;

  /** @param midstate must be valid (see {@link parseMidstate}) and of the same algorithm. */
  constructor(
    readonly algorithm: DigestAlgorithm,
    private readonly openssl: OpensslHash,
    midstate?: Midstate,
  ) {
    this.context = Buffer.alloc(CONTEXT_BYTES[algorithm] + SLACK_BYTES);
    check(openssl.init(this.context));
    if (this.context.subarray(CONTEXT_BYTES[algorithm]).some((byte) => byte !== 0)) {
      throw new Error("OpenSSL's hash context has an unknown layout");
    }
    if (midstate !== undefined) {
      writeContext(midstate, this.context, endianness());
    }
  }

  async update(chunk: Uint8Array): Promise<void> {
    const context = this.settledContext();
    if (chunk.byteLength >= ASYNC_THRESHOLD_BYTES) {
      await this.updateOnThreadPool(context, chunk);
    } else if (chunk.byteLength > 0) {
      check(this.openssl.update(context, chunk, chunk.byteLength));
    }
  }

  midstate(): Midstate {
    return readContext(this.algorithm, this.settledContext(), endianness());
  }

  digest(): Digest {
    const copy = Buffer.from(this.settledContext());
    const sum = Buffer.alloc(WORD_COUNT * HASH_PARAMETERS[this.algorithm].wordBytes);
    check(this.openssl.final(sum, copy));
    return formatDigest(this.algorithm, sum);
  }

  /** A running update still finishes; its callback keeps the memory until then. */
  dispose(): void {
    this.context = undefined;
  }

  private updateOnThreadPool(context: Buffer, chunk: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error: unknown, result: unknown): void => {
        this.inFlight = undefined;
        if (error === null && result === 1) {
          resolve();
        } else {
          reject(new Error("OpenSSL's hash function failed", { cause: error }));
        }
      };
      this.inFlight = { context, chunk };
      try {
        this.openssl.update.async(context, chunk, chunk.byteLength, settle);
      } catch {
        // koffi's queue is full (256 calls) and the call was not started. Hashing here is the backpressure.
        this.inFlight = undefined;
        check(this.openssl.update(context, chunk, chunk.byteLength));
        resolve();
      }
    });
  }

  private settledContext(): Buffer {
    if (this.context === undefined) {
      throw new Error('the hasher was disposed of');
    }
    if (this.inFlight !== undefined) {
      throw new Error('the hasher is busy: await the update before the next call');
    }
    return this.context;
  }
}

function check(result: unknown): void {
  if (result !== 1) {
    throw new Error("OpenSSL's hash function failed");
  }
}
