import { UploadStateError } from '../storage.errors.js';
import { newSuffix } from './names.js';
import type { Part } from './object-store.js';
import { partSize, partsSize } from './part-sizes.js';

/**
 * Where the bytes of an unfinished upload are in an object store. `upload-state.ts` stores it in the upload's
 * row.
 *
 *     0                                       n    sizeBytes
 *     ├── part ──┼── part ──┼── part ──┼ piece ┼ inline ┤
 *      the object is made of parts,         the tail: less than a part. Any replica
 *      which can't be read back             can read it back and append to it
 *
 * A small tail is in the row itself (`inline`). A larger one is in objects of its own (`pieces`). If the
 * writer had the whole tail in memory, it is also in the store as a part (`ending`), so that a finish need
 * not read it back.
 *
 * **No writer overwrites a recorded part.** Each part number is used once: a fence skips the numbers that a
 * fenced writer can still use. Pieces have random names.
 *
 * A store that can't leave parts out (see `ObjectStore.leavesPartsOut`) needs numbers without gaps, and gets
 * the ending under its highest number. There a fenced writer can replace a part. It has the same bytes,
 * unless two clients send different ones. Then the recorded tags don't match: the upload fails, and never
 * becomes an object of other bytes. An ending that does not match is made again from the tail.
 */
export interface UploadLayout {
  readonly id: string;
  readonly sizeBytes: number;
  /**
   * Size of the first parts. Recorded, so that a change of the setting does not affect uploads in progress.
   */
  readonly partBytes: number;
  /** The lowest number that no writer has used or can still use. */
  readonly nextPart: number;
  /** The store's id of the multipart upload; undefined before the first part. */
  readonly multipart: string | undefined;
  /** Complete parts, in the order of their bytes. */
  readonly parts: readonly Part[];
  readonly pieces: readonly Piece[];
  /** The end of the tail, after the pieces. */
  readonly inline: Buffer;
  /** The whole tail as a part. */
  readonly ending: Part | undefined;
  /** Suffixes of pieces whose bytes are stored elsewhere now. To be deleted. */
  readonly obsolete: readonly string[];
  /** Makes the states of two fences differ. */
  readonly fence: string | undefined;
}

/** Bytes of the tail in an object of their own. */
export interface Piece {
  /** Random, so that no other writer's piece has it. */
  readonly suffix: string;
  readonly sizeBytes: number;
  /** MD5 in base64. Bytes that are read back become part of a blob, and its digest is not computed again. */
  readonly md5: string;
}

/** Part numbers that a fence skips, and that a sink may use before its state is recorded. */
export const UNRECORDED_NUMBERS = 40;

export function newLayout(id: string, partBytes: number): UploadLayout {
  return {
    id,
    sizeBytes: 0,
    partBytes,
    nextPart: 1,
    multipart: undefined,
    parts: [],
    pieces: [],
    inline: Buffer.of(),
    ending: undefined,
    obsolete: [],
    fence: undefined,
  };
}

/** @throws UploadStateError if there are no part numbers left. */
export function fencedLayout(layout: UploadLayout, maxPartNumber: number): UploadLayout {
  const nextPart = layout.nextPart + UNRECORDED_NUMBERS;
  if (nextPart + UNRECORDED_NUMBERS > maxPartNumber) {
    throw new UploadStateError(`upload ${layout.id} was taken over too often`);
  }
  return { ...layout, nextPart, fence: `${layout.id}~${newSuffix()}` };
}

export function tailStart({ parts, partBytes }: UploadLayout): number {
  return partsSize(parts.length, partBytes);
}

/** Size of the part that the tail will become. */
export function tailPartBytes({ parts, partBytes }: UploadLayout): number {
  return partSize(parts.length, partBytes);
}

export function piecesBytes(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
