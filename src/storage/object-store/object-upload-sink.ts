import type { DriverUploadState, FlushOptions, UploadSink } from '../storage-driver.js';
import { StorageError } from '../storage.errors.js';
import { newSuffix, objectKeyOf, pieceName } from './names.js';
import type { Body, Multipart, ObjectStore, Part } from './object-store.js';
import { OpenTail } from './open-tail.js';
import { bodyOf } from './part-buffer.js';
import { partSize } from './part-sizes.js';
import { readPieces } from './pieces.js';
import { type Piece, tailStart, UNRECORDED_NUMBERS, type UploadLayout } from './upload-layout.js';
import { toState } from './upload-state.js';

/**
 * Part uploads that may run while the next part fills: enough to keep a connection busy, and memory small.
 */
const CONCURRENT_PARTS = 2;
/** Larger parts, which are rare, are uploaded one at a time. */
const LARGE_PART_BYTES = 64 * 1024 * 1024;
/** More pieces are joined into one, so that the row of an upload stays small even if its chunks are small. */
const MAX_PIECES = 500;
/** Leaves a few part numbers for unplanned flushes. */
const MAX_PARTS_BETWEEN_FLUSHES = UNRECORDED_NUMBERS - 8;

/**
 * Appends to an upload. Collects bytes in memory until they fill a part, and uploads the part while the next
 * one fills. A flush stores the tail, as {@link UploadLayout} describes.
 */
export class ObjectUploadSink implements UploadSink {
  private tail: OpenTail;
  /** By index. The entry of a part is missing while the part is uploaded. */
  private readonly parts: Part[];
  private partCount: number;
  private nextPart: number;
  /** The first part number that must not be used before another state is recorded. */
  private numbersEnd: number;
  private multipart: Promise<Multipart> | undefined;
  /** Pieces whose bytes are in a part or another piece now. No recorded state needs those in `removable`. */
  private obsolete: readonly string[];
  private removable: readonly string[];
  /** The last layout that is known to be recorded. */
  private recordedLayout: UploadLayout;
  private readonly partUploads = new Set<Promise<void>>();
  private failure: Error | undefined;
  private currentCall: Promise<unknown> = Promise.resolve();
  private isUsable = true;
  private isBusy = false;

  constructor(
    private readonly store: ObjectStore,
    private flushed: UploadLayout,
    private readonly inlineBytes: number,
  ) {
    this.recordedLayout = flushed;
    this.tail = OpenTail.resumed(flushed);
    this.parts = [...flushed.parts];
    this.partCount = flushed.parts.length;
    this.nextPart = store.leavesPartsOut ? flushed.nextPart : (flushed.parts.at(-1)?.number ?? 0) + 1;
    this.numbersEnd = this.nextPart + UNRECORDED_NUMBERS;
    this.obsolete = this.removable = flushed.obsolete;
    if (flushed.multipart !== undefined) {
      this.multipart = Promise.resolve({ name: this.name, id: flushed.multipart });
    }
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.exclusively(async () => {
      let rest = chunk;
      while (rest.byteLength > 0) {
        const fitting = rest.subarray(0, this.tail.roomBytes);
        this.tail.buffer.append(fitting);
        rest = rest.subarray(fitting.byteLength);
        if (this.tail.roomBytes === 0) await this.uploadTail();
      }
    });
  }

  flush({ isLast = false }: FlushOptions = {}): Promise<DriverUploadState> {
    return this.exclusively(async () => {
      await Promise.all(this.partUploads);
      this.throwFailure();
      if (this.offsetBytes !== this.flushed.sizeBytes) this.flushed = await this.saveTail(isLast);
      return toState(this.flushed);
    });
  }

  recorded(): void {
    this.recordedLayout = this.flushed;
    this.numbersEnd = this.nextPart + UNRECORDED_NUMBERS;
    this.removable = this.flushed.obsolete;
  }

  /** The end of a part, where no tail has to be stored. No further than there are part numbers. */
  flushOffset(limitBytes: number): number {
    const { flushed } = this;
    let end = tailStart(flushed);
    let best = limitBytes;
    for (let count = 0; count < MAX_PARTS_BETWEEN_FLUSHES; count += 1) {
      end += partSize(flushed.parts.length + count, flushed.partBytes);
      if (end > limitBytes) return best;
      best = end;
    }
    return best;
  }

  async close(): Promise<DriverUploadState | undefined> {
    this.isUsable = false;
    await Promise.allSettled([this.currentCall, ...this.partUploads]);
    // A part that timed out may still arrive, so the next writer must not use its number.
    const { recordedLayout, nextPart } = this;
    return this.store.leavesPartsOut && nextPart > recordedLayout.nextPart
      ? toState({ ...recordedLayout, nextPart })
      : undefined;
  }

  private get name(): string {
    return objectKeyOf(this.flushed.id);
  }

  private get offsetBytes(): number {
    return this.tail.startBytes + this.tail.length;
  }

  /** Starts to upload the tail, which fills a part, and waits while too many parts are being uploaded. */
  private async uploadTail(): Promise<void> {
    const { tail } = this;
    const index = this.partCount;
    const number = this.takeNumber();
    this.partCount += 1;
    this.obsolete = [...this.obsolete, ...tail.suffixes];
    this.tail = OpenTail.empty(
      tail.startBytes + tail.length,
      partSize(this.partCount, this.flushed.partBytes),
    );
    const upload = this.putPart(tail, number)
      .then((part) => void (this.parts[index] = part))
      .catch((error: unknown) => void (this.failure ??= error as Error))
      .finally(() => this.partUploads.delete(upload));
    this.partUploads.add(upload);
    while (this.partUploads.size >= (tail.length > LARGE_PART_BYTES ? 1 : CONCURRENT_PARTS + 1)) {
      await Promise.race(this.partUploads);
    }
    this.throwFailure();
  }

  private async putPart(tail: OpenTail, number: number): Promise<Part> {
    const [body, multipart] = await Promise.all([this.bodyOfTail(tail), this.startedMultipart()]);
    return this.store.putPart(multipart, number, body, {});
  }

  private startedMultipart(): Promise<Multipart> {
    this.multipart ??= this.store.beginMultipart(this.name, {});
    return this.multipart;
  }

  /** All bytes of the tail. Reads those back that another sink saved as pieces. */
  private async bodyOfTail(tail: OpenTail): Promise<Body> {
    if (tail.before.length === 0) return tail.buffer.body();
    const bytes = Buffer.allocUnsafeSlow(tail.length);
    await readPieces(this.store, this.flushed.id, tail.before, bytes);
    tail.buffer.view.copy(bytes, tail.beforeBytes);
    return bodyOf(bytes);
  }

  private async saveTail(isLast: boolean): Promise<UploadLayout> {
    if (this.tail.suffixes.length >= MAX_PIECES) await this.joinPieces();
    const { tail } = this;
    const isSmall = tail.unsavedBytes <= this.inlineBytes;
    const [saving, ending, removing] = await Promise.allSettled([
      isSmall ? undefined : this.savePiece(tail),
      isLast ? this.saveEnding(tail, isSmall) : undefined,
      this.removeObsolete(),
    ]);
    // Throw only after all have settled, because the next writer uses the same part numbers.
    const piece = valueOf(saving);
    if (piece !== undefined) tail.own.push(piece);
    this.obsolete = valueOf(removing);
    const multipart = await this.multipart;
    return {
      ...this.flushed,
      sizeBytes: this.offsetBytes,
      nextPart: Math.max(this.nextPart, this.flushed.nextPart),
      multipart: multipart?.id,
      parts: [...this.parts],
      pieces: [...tail.before, ...tail.own],
      inline: isSmall ? Buffer.from(tail.unsaved) : Buffer.of(),
      ending: valueOf(ending),
      obsolete: this.obsolete,
    };
  }

  private async savePiece(tail: OpenTail): Promise<Piece> {
    const suffix = newSuffix();
    const body = tail.own.length === 0 ? tail.buffer.body() : await bodyOf(tail.unsaved);
    await this.store.put(pieceName(this.flushed.id, suffix), body, {});
    return { suffix, sizeBytes: body.bytes.length, md5: body.md5 };
  }

  /**
   * Stores the tail as a part, so that a finish need not read it back. Not if the whole tail is in the row,
   * if it is not all in memory, or if part numbers are running out.
   */
  private async saveEnding(tail: OpenTail, isRestInRow: boolean): Promise<Part | undefined> {
    const { leavesPartsOut, piecesAreParts, maxPartNumber } = this.store;
    const isInRow = isRestInRow && tail.own.length === 0;
    const isInMemory = tail.before.length === 0 && tail.length > 0 && tail.length <= this.flushed.partBytes;
    if (piecesAreParts === true || isInRow || !isInMemory) return undefined;
    if (leavesPartsOut && this.nextPart >= Math.min(this.numbersEnd, maxPartNumber / 2)) return undefined;
    const number = leavesPartsOut ? this.takeNumber() : maxPartNumber;
    return this.store.putPart(await this.startedMultipart(), number, tail.buffer.body(), {});
  }

  /** Reads all bytes of the tail into memory, to be saved as one piece. */
  private async joinPieces(): Promise<void> {
    const { tail } = this;
    this.obsolete = [...this.obsolete, ...tail.suffixes];
    this.tail = tail.unsavedAs((await this.bodyOfTail(tail)).bytes);
  }

  /**
   * Returns the obsolete pieces that are left. After a failure they stay in the row, and a later flush
   * retries.
   */
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
    if (number >= this.store.maxPartNumber) {
      throw new StorageError('the upload exceeds the maximum size of an object');
    }
    if (number >= this.numbersEnd) throw new StorageError('too many parts were written but not recorded');
    this.nextPart += 1;
    return number;
  }

  private throwFailure(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  /** Runs one call at a time. After a failure, or a concurrent call, the sink can only be closed. */
  private async exclusively<T>(work: () => Promise<T>): Promise<T> {
    if (!this.isUsable || this.isBusy) {
      this.isUsable = false;
      throw new StorageError('the sink is closed or busy, or has failed');
    }
    this.isBusy = true;
    const call = work();
    this.currentCall = call;
    try {
      return await call;
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
