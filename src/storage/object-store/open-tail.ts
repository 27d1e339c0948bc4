import { PartBuffer } from './part-buffer.js';
import type { Piece, UploadLayout } from './upload-layout.js';

/**
 * The bytes behind the last whole part, as a sink has them:
 *
 *     startBytes
 *     ├──── before ────┼─────────── buffer ───────────┤ roomBytes ┤
 *       pieces of other  mine: saved │ unsaved
 *       sinks, not here
 */
export class OpenTail {
  /** Pieces that this sink has saved; they are in the buffer, too. */
  readonly mine: Piece[] = [];
  readonly beforeBytes: number;

  private constructor(
    readonly startBytes: number,
    /** Of the part that they become. */
    private readonly partBytes: number,
    readonly before: readonly Piece[],
    readonly buffer: PartBuffer,
  ) {
    this.beforeBytes = bytesOf(before);
  }

  static resumed(layout: UploadLayout): OpenTail {
    const buffer = new PartBuffer(layout.openPartBytes);
    buffer.append(layout.inline);
    return new OpenTail(layout.tailStart, layout.openPartBytes, layout.pieces, buffer);
  }

  static empty(startBytes: number, partBytes: number): OpenTail {
    return new OpenTail(startBytes, partBytes, [], new PartBuffer(partBytes));
  }

  /** The same bytes, all of them in memory, and none of them saved. */
  unsavedAs(bytes: Buffer): OpenTail {
    const tail = OpenTail.empty(this.startBytes, this.partBytes);
    tail.buffer.append(bytes);
    return tail;
  }

  get length(): number {
    return this.beforeBytes + this.buffer.length;
  }

  get roomBytes(): number {
    return this.partBytes - this.length;
  }

  get suffixes(): readonly string[] {
    return [...this.before, ...this.mine].map(({ suffix }) => suffix);
  }

  get unsavedBytes(): number {
    return this.buffer.length - bytesOf(this.mine);
  }

  /** Valid until more is appended. */
  get unsaved(): Buffer {
    return this.buffer.view.subarray(bytesOf(this.mine));
  }
}

function bytesOf(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
