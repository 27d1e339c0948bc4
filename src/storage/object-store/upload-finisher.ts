import type { ObjectKey } from '../object-key.js';
import type { DriverUpload, IoOptions } from '../storage-driver.js';
import { UploadStateError } from '../storage.errors.js';
import { objectKeyOf, pieceName } from './names.js';
import type { Multipart, ObjectStore, Part } from './object-store.js';
import { bodyOf } from './part-buffer.js';
import { readPieces } from './pieces.js';
import { UploadLayout } from './upload-layout.js';

/** Where a finish meets another one of the same upload, each may spoil the other's last part. */
const ATTEMPTS = 3;

/** Makes objects of uploads, and undoes uploads. Nothing of it copies what the store has as a part. */
export class UploadFinisher {
  constructor(private readonly store: ObjectStore) {}

  /** See `StorageDriver.finishUpload`. */
  async finish(upload: DriverUpload, key: ObjectKey, sizeBytes: number, options: IoOptions): Promise<void> {
    const layout = UploadLayout.recordedAt(upload, sizeBytes);
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.make(layout, key, attempt, options);
        break;
      } catch (error) {
        if (!(error instanceof UploadStateError)) throw error;
        // Made before, by this process or another one: then it was this what was in the way.
        if ((await this.store.head(key, options))?.sizeBytes === sizeBytes) {
          await this.forgetQuietly(layout, key);
          return;
        }
        if (attempt === ATTEMPTS || !this.canTryAgain(layout)) throw error;
      }
    }
    await this.removePieces(layout).catch(() => undefined);
  }

  /** Removes what the upload holds, unless the object was made of it. */
  async forget(layout: UploadLayout, options: IoOptions): Promise<void> {
    const key = objectKeyOf(layout.id);
    if (layout.multipart !== undefined) {
      const parts = [...layout.parts, ...endingOf(layout)];
      await this.store.abortMultipart({ name: key, id: layout.multipart }, parts, options);
    }
    await this.removePieces(layout, options);
  }

  private async make(
    layout: UploadLayout,
    key: ObjectKey,
    attempt: number,
    options: IoOptions,
  ): Promise<void> {
    const { parts, ending } = layout;
    const saved = this.store.piecesAreParts === true ? piecesAsParts(layout) : [];
    if (parts.length + saved.length > 0 || ending !== undefined) {
      const multipart = await this.multipartOf(layout, key, options);
      const last = await this.lastPart(layout, multipart, saved.length, attempt, options);
      await this.store.completeMultipart(multipart, [...parts, ...saved, ...last], options);
      return;
    }
    await this.store.put(key, await bodyOf(await this.tailOf(layout, options)), options);
    // Begun for an ending that came to be outdated.
    const { multipart: id } = layout;
    if (id !== undefined)
      await this.store.abortMultipart({ name: key, id }, [], options).catch(() => undefined);
  }

  private async multipartOf(layout: UploadLayout, key: ObjectKey, options: IoOptions): Promise<Multipart> {
    const { multipart: id } = layout;
    return id === undefined ? this.store.beginMultipart(key, options) : { name: key, id };
  }

  /** The tail as the part that ends the object, or what of it is none yet. */
  private async lastPart(
    layout: UploadLayout,
    multipart: Multipart,
    savedCount: number,
    attempt: number,
    options: IoOptions,
  ): Promise<readonly Part[]> {
    const { ending, inline, nextPart } = layout;
    const { leavesPartsOut, maxPartNumber } = this.store;
    if (attempt === 1 && ending !== undefined) return [ending];
    // Where no part can be left out, an ending that is in the way becomes one of nothing.
    const isOneWanted = !leavesPartsOut && attempt > 1;
    if (layout.tailStart === layout.sizeBytes && !isOneWanted) return [];
    if (savedCount > 0 && inline.length === 0) return [];
    const bytes = savedCount > 0 ? inline : await this.tailOf(layout, options);
    const number = leavesPartsOut ? nextPart + savedCount + attempt - 1 : maxPartNumber;
    return [await this.store.putPart(multipart, number, await bodyOf(bytes), options)];
  }

  /**
   * Whether the last part may have been in the way: another finish's, or one that a writer that was shut out, or an
   * earlier request, has left under its number.
   */
  private canTryAgain(layout: UploadLayout): boolean {
    return layout.tailStart < layout.sizeBytes || !this.store.leavesPartsOut;
  }

  private async tailOf(layout: UploadLayout, options: IoOptions): Promise<Buffer> {
    if (layout.pieces.length === 0) return layout.inline;
    const tail = Buffer.allocUnsafeSlow(layout.sizeBytes - layout.tailStart);
    await readPieces(this.store, layout.id, layout.pieces, tail, options);
    layout.inline.copy(tail, layout.savedTailBytes);
    return tail;
  }

  private async forgetQuietly(layout: UploadLayout, key: string): Promise<void> {
    const multipart = layout.multipart === undefined ? [] : [{ name: key, id: layout.multipart }];
    await Promise.allSettled([
      ...multipart.map((each) => this.store.abortMultipart(each, [...layout.parts, ...endingOf(layout)], {})),
      this.removePieces(layout),
    ]);
  }

  private async removePieces(layout: UploadLayout, options: IoOptions = {}): Promise<void> {
    const suffixes = [...layout.pieces.map(({ suffix }) => suffix), ...layout.obsolete];
    if (suffixes.length === 0) return;
    const names = suffixes.map((suffix) => pieceName(layout.id, suffix));
    await this.store.delete(names, options);
  }
}

function piecesAsParts({ pieces, nextPart }: UploadLayout): Part[] {
  return pieces.map(({ suffix }, index) => ({ number: nextPart + index, tag: suffix }));
}

function endingOf({ ending }: UploadLayout): Part[] {
  return ending === undefined ? [] : [ending];
}
