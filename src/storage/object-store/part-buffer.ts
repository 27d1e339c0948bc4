import { createHash, type Hash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { Body } from './object-store.js';

const FIRST_BYTES = 64 * 1024;
const HASH_STEP_BYTES = 1024 * 1024;

/**
 * Copies the bytes of one part, and computes their checksum. Grows with them, so that a small blob uses
 * little memory.
 */
export class PartBuffer {
  private bytes = Buffer.of();
  private used = 0;
  private readonly hash: Hash = createHash('md5');

  constructor(private readonly capacityBytes: number) {}

  get length(): number {
    return this.used;
  }

  append(chunk: Uint8Array): void {
    this.makeRoom(this.used + chunk.byteLength);
    this.bytes.set(chunk, this.used);
    this.hash.update(chunk);
    this.used += chunk.byteLength;
  }

  /** Valid until the next `append`. */
  get view(): Buffer {
    return this.bytes.subarray(0, this.used);
  }

  /** Valid until the next `append`. */
  body(): Body {
    return { bytes: this.view, md5: this.hash.copy().digest('base64') };
  }

  private makeRoom(needed: number): void {
    if (needed <= this.bytes.length) return;
    const size = Math.min(this.capacityBytes, Math.max(FIRST_BYTES, 2 * this.bytes.length));
    const grown = Buffer.allocUnsafeSlow(Math.max(size, needed));
    this.bytes.copy(grown, 0, 0, this.used);
    this.bytes = grown;
  }
}

/**
 * Computes the checksum of `bytes`. Yields to other work after each MiB, because a part may have a gigabyte.
 */
export async function bodyOf(bytes: Buffer): Promise<Body> {
  const hash = createHash('md5');
  for (let start = 0; start < bytes.length; start += HASH_STEP_BYTES) {
    if (start > 0) await setImmediate();
    hash.update(bytes.subarray(start, start + HASH_STEP_BYTES));
  }
  return { bytes, md5: hash.digest('base64') };
}
