import type { IHasher } from 'hash-wasm';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { formatDigest, type Digest, type DigestAlgorithm } from '../../oci/digest.js';
import type { Hasher, Midstate } from './hasher.js';
import { readSaved } from './wasm-state.js';

/** Maximum bytes hashed in one turn of the event loop: about 1 ms. */
export const SLICE_BYTES = 256 * 1024;

/**
 * Calls hash-wasm. All hashers of an algorithm share one engine, and each has its own saved state. Loading
 * and saving copies 200 bytes twice; an engine per hasher would take 128 KiB of memory and an asynchronous
 * start.
 */
export class WasmHasher implements Hasher {
  private saved: Uint8Array | undefined;
  private busy = false;

  /** @param saved a state that this engine can load. */
  constructor(
    readonly algorithm: DigestAlgorithm,
    private readonly engine: IHasher,
    saved: Uint8Array,
  ) {
    this.saved = saved;
  }

  async update(chunk: Uint8Array): Promise<void> {
    let saved = this.settledState();
    this.busy = true;
    try {
      for (let start = 0; start < chunk.byteLength; start += SLICE_BYTES) {
        if (start > 0) {
          await nextTurn();
        }
        // No await between load and save: all hashers share the engine.
        saved = this.engine
          .load(saved)
          .update(chunk.subarray(start, start + SLICE_BYTES))
          .save();
      }
    } finally {
      this.busy = false;
    }
    if (this.saved !== undefined) {
      this.saved = saved;
    }
  }

  midstate(): Midstate {
    return readSaved(this.algorithm, this.settledState());
  }

  digest(): Digest {
    return formatDigest(this.algorithm, this.engine.load(this.settledState()).digest('binary'));
  }

  dispose(): void {
    this.saved = undefined;
  }

  private settledState(): Uint8Array {
    if (this.saved === undefined) {
      throw new Error('the hasher was disposed of');
    }
    if (this.busy) {
      throw new Error('the hasher is busy: await the update before the next call');
    }
    return this.saved;
  }
}
