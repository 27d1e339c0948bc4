import { createCipheriv, createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';

const BLOCK = 16;
const PIECE_BYTES = 1024 * 1024;

/**
 * Bytes of a layer, generated on demand: the key stream of AES in counter mode. Any range can be generated
 * on its own. Bytes differ at each offset, so a misplaced byte changes the digest. None are kept in memory.
 */
export class Content {
  private digested: Promise<string> | undefined;

  constructor(
    private readonly name: string,
    readonly sizeBytes: number,
  ) {}

  /** The bytes from `start` up to but not including `end`. */
  bytes(start: number, end: number): Buffer {
    const key = createHash('sha256').update(this.name).digest().subarray(0, BLOCK);
    const counter = Buffer.alloc(BLOCK);
    counter.writeUInt32BE(Math.floor(start / BLOCK), BLOCK - 4);
    const skipped = start % BLOCK;
    const cipher = createCipheriv('aes-128-ctr', key, counter);
    return cipher.update(Buffer.alloc(skipped + end - start)).subarray(skipped);
  }

  digest(): Promise<string> {
    return (this.digested ??= this.hash());
  }

  private async hash(): Promise<string> {
    const hash = createHash('sha256');
    for (let at = 0; at < this.sizeBytes; at += PIECE_BYTES) {
      hash.update(this.bytes(at, Math.min(at + PIECE_BYTES, this.sizeBytes)));
      await turn();
    }
    return `sha256:${hash.digest('hex')}`;
  }
}
