import type { DriverUploadState, FlushOptions, UploadSink } from '../storage-driver.js';
import { StorageError } from '../storage.errors.js';
import { objectKeyOf, pieceName } from './names.js';
import type { Body, Multipart, ObjectStore, Part } from './object-store.js';
import { OpenTail } from './open-tail.js';
import { bodyOf } from './part-buffer.js';
import { partSize } from './part-sizes.js';
import { readPieces } from './pieces.js';
import { newSuffix, type Piece, UNRECORDED_NUMBERS, type UploadLayout } from './upload-layout.js';

/** Parts on their way while the next one fills: enough to keep a connection busy, and memory small. */
const PARTS_AT_ONCE = 2;
/** Of larger ones, which are the exception, there is only one on its way. */
const LARGE_PART_BYTES = 64 * 1024 * 1024;
/** More pieces than this are made into one, so that the row of an upload stays small however small its chunks are. */
const MOST_PIECES = 500;
/** A few numbers are left for what is flushed where it wasn't planned. */
const MOST_PARTS_BETWEEN_FLUSHES = UNRECORDED_NUMBERS - 8;

/**
 * The open end of an upload. Bytes gather in memory until they are a part; parts are uploaded while the next one fills.
 * See {@link UploadLayout} for what becomes of the rest.
 */
export class ObjectUploadSink implements UploadSink {
  private tail: OpenTail;
  /** By index; a hole is a part under way. */
  private readonly parts: Part[];
  private partCount: number;
  private nextPart: number;
  /** Where the numbers end that may be used before more is known to be recorded. */
  private numbersEnd: number;
  private multipart: Promise<Multipart> | undefined;
  /** Pieces whose bytes have become part of something else, and those among them that no recorded state needs. */
  private obsolete: readonly string[];
  private removable: readonly string[];
  /** The last state that is known to be recorded. */
  private known: UploadLayout;
  private readonly underWay = new Set<Promise<void>>();
  private failure: Error | undefined;
  private current: Promise<unknown> = Promise.resolve();
  private isUsable = true;
  private isBusy = false;

  constructor(
    private readonly store: ObjectStore,
    private flushed: UploadLayout,
    private readonly inlineBytes: number,
  ) {
    this.known = flushed;
    this.tail = OpenTail.resumed(flushed);
    this.parts = [...flushed.parts];
    this.partCount = flushed.parts.length;
    this.nextPart = store.leavesPartsOut ? flushed.nextPart : flushed.nextWithoutGap;
    this.numbersEnd = this.nextPart + UNRECORDED_NUMBERS;
    this.obsolete = this.removable = flushed.obsolete;
    if (flushed.multipart !== undefined) {
      this.multipart = Promise.resolve({ name: this.name, id: flushed.multipart });
    }
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.alone(async () => {
      let rest = chunk;
      while (rest.byteLength > 0) {
        const taken = rest.subarray(0, this.tail.roomBytes);
        this.tail.buffer.append(taken);
        rest = rest.subarray(taken.byteLength);
        if (this.tail.roomBytes === 0) await this.sealPart();
      }
    });
  }

  flush({ isLast = false }: FlushOptions = {}): Promise<DriverUploadState> {
    return this.alone(async () => {
      await this.allSettled();
      if (this.offsetBytes !== this.flushed.sizeBytes) this.flushed = await this.saved(isLast);
      return this.flushed.toState();
    });
  }

  recorded(): void {
    this.known = this.flushed;
    this.numbersEnd = this.nextPart + UNRECORDED_NUMBERS;
    this.removable = this.flushed.obsolete;
  }

  /** The end of a part: nothing is to be saved there but the part. No further than there are numbers for. */
  flushOffset(limitBytes: number): number {
    const { flushed } = this;
    let end = flushed.tailStart;
    let best = limitBytes;
    for (let count = 0; count < MOST_PARTS_BETWEEN_FLUSHES; count += 1) {
      end += partSize(flushed.parts.length + count, flushed.partBytes);
      if (end > limitBytes) return best;
      best = end;
    }
    return best;
  }

  async close(): Promise<DriverUploadState | undefined> {
    this.isUsable = false;
    await Promise.allSettled([this.current, ...this.underWay]);
    // What was given up at its deadline may arrive yet, and must not meet what the next writer does.
    const { known, nextPart } = this;
    return this.store.leavesPartsOut && nextPart > known.nextPart
      ? known.with({ nextPart }).toState()
      : undefined;
  }

  private get name(): string {
    return objectKeyOf(this.flushed.id);
  }

  private get offsetBytes(): number {
    return this.tail.startBytes + this.tail.length;
  }

  /** The part is full: on its way with it. */
  private async sealPart(): Promise<void> {
    const { tail } = this;
    const index = this.partCount;
    const number = this.takeNumber();
    this.partCount += 1;
    this.obsolete = [...this.obsolete, ...tail.suffixes];
    this.tail = OpenTail.empty(
      tail.startBytes + tail.length,
      partSize(this.partCount, this.flushed.partBytes),
    );
    const work = this.putPart(tail, number)
      .then((part) => void (this.parts[index] = part))
      .catch((error: unknown) => void (this.failure ??= error as Error))
      .finally(() => this.underWay.delete(work));
    this.underWay.add(work);
    while (this.underWay.size >= (tail.length > LARGE_PART_BYTES ? 1 : PARTS_AT_ONCE + 1)) {
      await Promise.race(this.underWay);
    }
    this.throwFailure();
  }

  private async putPart(tail: OpenTail, number: number): Promise<Part> {
    const [body, multipart] = await Promise.all([this.whole(tail), this.begun()]);
    return this.store.putPart(multipart, number, body, {});
  }

  private begun(): Promise<Multipart> {
    this.multipart ??= this.store.beginMultipart(this.name, {});
    return this.multipart;
  }

  /** All of the tail's bytes, those included that another sink saved as pieces. */
  private async whole(tail: OpenTail): Promise<Body> {
    if (tail.before.length === 0) return tail.buffer.body();
    const bytes = Buffer.allocUnsafeSlow(tail.length);
    await readPieces(this.store, this.flushed.id, tail.before, bytes);
    tail.buffer.view.copy(bytes, tail.beforeBytes);
    return bodyOf(bytes);
  }

  private async allSettled(): Promise<void> {
    await Promise.all(this.underWay);
    this.throwFailure();
  }

  private async saved(isLast: boolean): Promise<UploadLayout> {
    if (this.tail.suffixes.length >= MOST_PIECES) await this.joinPieces();
    const { tail } = this;
    const isSmall = tail.unsavedBytes <= this.inlineBytes;
    const [saving, ending, removing] = await Promise.allSettled([
      isSmall ? undefined : this.savePiece(tail),
      isLast ? this.saveEnding(tail, isSmall) : undefined,
      this.removeObsolete(),
    ]);
    // Only now: none of it may go on after the others failed, since the next writer uses the same numbers.
    const piece = valueOf(saving);
    if (piece !== undefined) tail.mine.push(piece);
    this.obsolete = valueOf(removing);
    const multipart = await this.multipart;
    return this.flushed.with({
      sizeBytes: this.offsetBytes,
      nextPart: Math.max(this.nextPart, this.flushed.nextPart),
      multipart: multipart?.id,
      parts: [...this.parts],
      pieces: [...tail.before, ...tail.mine],
      inline: isSmall ? Buffer.from(tail.unsaved) : Buffer.of(),
      ending: valueOf(ending),
      obsolete: this.obsolete,
    });
  }

  private async savePiece(tail: OpenTail): Promise<Piece> {
    const suffix = newSuffix();
    const body = tail.mine.length === 0 ? tail.buffer.body() : await bodyOf(tail.unsaved);
    await this.store.put(pieceName(this.flushed.id, suffix), body, {});
    return { suffix, sizeBytes: body.bytes.length, md5: body.md5 };
  }

  /**
   * Saves the finish from reading the tail back, where it may be the finish that comes next. Not where all of the tail
   * is in the row anyway, or not all of it at hand, or where numbers are getting scarce.
   */
  private async saveEnding(tail: OpenTail, isRestInRow: boolean): Promise<Part | undefined> {
    const { leavesPartsOut, piecesAreParts, maxPartNumber } = this.store;
    const isInRow = isRestInRow && tail.mine.length === 0;
    const isAtHand = tail.before.length === 0 && tail.length > 0 && tail.length <= this.flushed.partBytes;
    if (piecesAreParts === true || isInRow || !isAtHand) return undefined;
    if (leavesPartsOut && this.nextPart >= Math.min(this.numbersEnd, maxPartNumber / 2)) return undefined;
    const number = leavesPartsOut ? this.takeNumber() : maxPartNumber;
    return this.store.putPart(await this.begun(), number, tail.buffer.body(), {});
  }

  /** All that the tail has, in memory and unsaved, for one piece to take it. */
  private async joinPieces(): Promise<void> {
    const { tail } = this;
    this.obsolete = [...this.obsolete, ...tail.suffixes];
    this.tail = tail.unsavedAs((await this.whole(tail)).bytes);
  }

  /** What can't be removed stays named in the row, for the next one who passes. */
  private async removeObsolete(): Promise<readonly string[]> {
    const removed = new Set(this.removable);
    if (removed.size === 0) return this.obsolete;
    this.removable = [];
    const names = [...removed].map((suffix) => pieceName(this.flushed.id, suffix));
    try {
      await this.store.delete(names, {});
    } catch {
      return this.obsolete;
    }
    return this.obsolete.filter((suffix) => !removed.has(suffix));
  }

  private takeNumber(): number {
    const number = this.nextPart;
    if (number >= this.store.maxPartNumber)
      throw new StorageError('the upload is larger than an object can be');
    if (number >= this.numbersEnd) throw new StorageError('too much was written that was not recorded');
    this.nextPart += 1;
    return number;
  }

  private throwFailure(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  private async alone<T>(work: () => Promise<T>): Promise<T> {
    if (!this.isUsable || this.isBusy) {
      this.isUsable = false;
      throw new StorageError('the sink is closed, in use, or has failed before');
    }
    this.isBusy = true;
    const done = work();
    this.current = done;
    try {
      return await done;
    } catch (error) {
      this.isUsable = false;
      throw error;
    } finally {
      this.isBusy = false;
    }
  }
}

function valueOf<T>(result: PromiseSettledResult<T>): T {
  if (result.status === 'rejected') throw result.reason;
  return result.value;
}
