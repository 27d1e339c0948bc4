import type { ObjectKey } from '../object-key.js';
import type { DriverUpload, IoOptions } from '../storage-driver.js';
import { UploadStateError } from '../storage.errors.js';
import { objectKeyOf, pieceName } from './names.js';
import type { Multipart, ObjectStore, Part } from './object-store.js';
import { bodyOf } from './part-buffer.js';
import { readPieces } from './pieces.js';
import { piecesBytes, tailStart, type UploadLayout } from './upload-layout.js';
import { parseStateAt } from './upload-state.js';

/** Concurrent finishes of one upload can replace each other's last part. */
const MAX_ATTEMPTS = 3;

/** Makes objects of uploads, and aborts uploads. Copies no part. */
export class UploadFinisher {
  constructor(private readonly store: ObjectStore) {}

  /** See `StorageDriver.finishUpload`. */
  async finish(upload: DriverUpload, key: ObjectKey, sizeBytes: number, options: IoOptions): Promise<void> {
    const layout = parseStateAt(upload, sizeBytes);
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.makeObject(layout, key, attempt, options);
        break;
      } catch (error) {
        if (!(error instanceof UploadStateError)) throw error;
        // An earlier or concurrent finish may have made the object.
        if ((await this.store.head(key, options))?.sizeBytes === sizeBytes) {
          await Promise.allSettled([this.abortMultipart(layout, {}), this.deletePieces(layout, {})]);
          return;
        }
        if (attempt === MAX_ATTEMPTS || !this.canRetry(layout)) throw error;
      }
    }
    await this.deletePieces(layout, {}).catch(() => undefined);
  }

  /** Deletes the parts and pieces of an upload, unless the object was made of them. */
  async abort(layout: UploadLayout, options: IoOptions): Promise<void> {
    await this.abortMultipart(layout, options);
    await this.deletePieces(layout, options);
  }

  private async makeObject(
    layout: UploadLayout,
    key: ObjectKey,
    attempt: number,
    options: IoOptions,
  ): Promise<void> {
    const { parts, ending, multipart: id } = layout;
    const pieceParts = this.store.piecesAreParts === true ? piecesAsParts(layout) : [];
    if (parts.length + pieceParts.length === 0 && ending === undefined) {
      await this.store.put(key, await bodyOf(await this.readTail(layout, options)), options);
      // The multipart was started for an ending that is out of date now.
      await this.abortMultipart(layout, options).catch(() => undefined);
      return;
    }
    const multipart = id === undefined ? await this.store.beginMultipart(key, options) : { name: key, id };
    const lastPart = await this.lastPart(layout, multipart, pieceParts.length, attempt, options);
    await this.store.completeMultipart(multipart, [...parts, ...pieceParts, ...lastPart], options);
  }

  /**
   * Returns the part that ends the object: the recorded one, or a new one of the tail. None if the tail is in
   * parts.
   */
  private async lastPart(
    layout: UploadLayout,
    multipart: Multipart,
    pieceCount: number,
    attempt: number,
    options: IoOptions,
  ): Promise<readonly Part[]> {
    const { ending, inline, nextPart } = layout;
    const { leavesPartsOut, maxPartNumber } = this.store;
    if (attempt === 1 && ending !== undefined) return [ending];
    // A store that can't leave out an old ending gets an empty one in its place.
    const mustReplaceEnding = !leavesPartsOut && attempt > 1;
    if (!hasTail(layout) && !mustReplaceEnding) return [];
    if (pieceCount > 0 && inline.length === 0) return [];
    const bytes = pieceCount > 0 ? inline : await this.readTail(layout, options);
    const number = leavesPartsOut ? nextPart + pieceCount + attempt - 1 : maxPartNumber;
    return [await this.store.putPart(multipart, number, await bodyOf(bytes), options)];
  }

  /**
   * Whether another part with the number of the last one may be the reason: of another finish, or of a fenced
   * writer.
   */
  private canRetry(layout: UploadLayout): boolean {
    return hasTail(layout) || !this.store.leavesPartsOut;
  }

  private async readTail(layout: UploadLayout, options: IoOptions): Promise<Buffer> {
    if (layout.pieces.length === 0) return layout.inline;
    const tail = Buffer.allocUnsafeSlow(layout.sizeBytes - tailStart(layout));
    await readPieces(this.store, layout.id, layout.pieces, tail, options);
    layout.inline.copy(tail, piecesBytes(layout.pieces));
    return tail;
  }

  private async abortMultipart(layout: UploadLayout, options: IoOptions): Promise<void> {
    const { id, multipart, parts, ending } = layout;
    if (multipart === undefined) return;
    const all = ending === undefined ? parts : [...parts, ending];
    await this.store.abortMultipart({ name: objectKeyOf(id), id: multipart }, all, options);
  }

  private async deletePieces({ id, pieces, obsolete }: UploadLayout, options: IoOptions): Promise<void> {
    const suffixes = [...pieces.map(({ suffix }) => suffix), ...obsolete];
    if (suffixes.length === 0) return;
    await this.store.delete(
      suffixes.map((suffix) => pieceName(id, suffix)),
      options,
    );
  }
}

function hasTail(layout: UploadLayout): boolean {
  return tailStart(layout) < layout.sizeBytes;
}

function piecesAsParts({ pieces, nextPart }: UploadLayout): Part[] {
  return pieces.map(({ suffix }, index) => ({ number: nextPart + index, tag: suffix }));
}
