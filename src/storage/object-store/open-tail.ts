import { PartBuffer } from './part-buffer.js';
import { type Piece, piecesBytes, tailPartBytes, tailStart, type UploadLayout } from './upload-layout.js';

/**
 * The tail of an upload while a sink appends to it:
 *
 *     startBytes
 *     ├──── before ────┼─────────── buffer ───────────┤ roomBytes ┤
 *      pieces of other   own: saved │ unsaved
 *      sinks, not read
 */
export class OpenTail {
  /** Pieces that this sink has saved. Their bytes are in the buffer, too. */
  readonly own: Piece[] = [];
  readonly beforeBytes: number;

  private constructor(
    readonly startBytes: number,
    /** Size of the part that the tail becomes. */
    private readonly partBytes: number,
    readonly before: readonly Piece[],
    readonly buffer: PartBuffer,
  ) {
    this.beforeBytes = piecesBytes(before);
  }

  static resumed(layout: UploadLayout): OpenTail {
    const partBytes = tailPartBytes(layout);
    const buffer = new PartBuffer(partBytes);
    buffer.append(layout.inline);
    return new OpenTail(tailStart(layout), partBytes, layout.pieces, buffer);
  }

  static empty(startBytes: number, partBytes: number): OpenTail {
    return new OpenTail(startBytes, partBytes, [], new PartBuffer(partBytes));
  }

  /** Returns a tail with the same bytes, all in memory and unsaved. */
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
    return [...this.before, ...this.own].map(({ suffix }) => suffix);
  }

  get unsavedBytes(): number {
    return this.buffer.length - piecesBytes(this.own);
  }

  /** Valid until the next append. */
  get unsaved(): Buffer {
    return this.buffer.view.subarray(piecesBytes(this.own));
  }
}
