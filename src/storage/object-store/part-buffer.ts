import { createHash, type Hash } from 'node:crypto';
import type { Body } from './object-store.js';

const FIRST_BYTES = 64 * 1024;

/**
 * The bytes of one part, copied as they come, with their checksum. Grows with them, so that a small blob takes no more than
 * it needs.
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

export function bodyOf(bytes: Buffer): Body {
  return { bytes, md5: createHash('md5').update(bytes).digest('base64') };
}
