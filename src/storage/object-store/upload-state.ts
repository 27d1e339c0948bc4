import type { DriverUpload, DriverUploadState, JsonValue } from '../storage-driver.js';
import { UploadStateError } from '../storage.errors.js';
import { isSuffix } from './names.js';
import type { Part } from './object-store.js';
import { type Piece, piecesBytes, tailPartBytes, tailStart, type UploadLayout } from './upload-layout.js';

const MD5 = /^[A-Za-z0-9+/]{22}==$/;
const MAX_TAG_LENGTH = 512;

/** Returns the JSON that the upload's row stores. */
export function toState(layout: UploadLayout): DriverUploadState {
  const { sizeBytes, partBytes, nextPart, multipart, parts, pieces, inline, ending, obsolete, fence } =
    layout;
  return {
    sizeBytes,
    partBytes,
    nextPart,
    ...(multipart !== undefined && { multipart }),
    ...(parts.length > 0 && { parts: parts.map(({ number, tag }) => [number, tag]) }),
    ...(pieces.length > 0 && { pieces: pieces.map((piece) => [piece.suffix, piece.sizeBytes, piece.md5]) }),
    ...(inline.length > 0 && { inline: inline.toString('base64') }),
    ...(ending !== undefined && { ending: [ending.number, ending.tag] }),
    ...(obsolete.length > 0 && { obsolete: [...obsolete] }),
    ...(fence !== undefined && { fence }),
  };
}

/** Reads a recorded state. @throws UploadStateError if {@link toState} did not make it for this id. */
export function parseState({ id, state }: DriverUpload): UploadLayout {
  try {
    const layout = layoutOf(id, state);
    checkParts(layout);
    checkSizes(layout);
    return layout;
  } catch (cause) {
    throw new UploadStateError(`the state of upload ${id} was not made for it by this driver`, { cause });
  }
}

/** @throws UploadStateError also if the state was recorded at another offset. */
export function parseStateAt(upload: DriverUpload, sizeBytes: number): UploadLayout {
  const layout = parseState(upload);
  if (layout.sizeBytes !== sizeBytes) {
    throw new UploadStateError(
      `upload ${upload.id} was recorded with ${layout.sizeBytes} bytes, expected ${sizeBytes}`,
    );
  }
  return layout;
}

const INVALID = new Error('not a state of this driver');

function layoutOf(id: string, state: DriverUploadState): UploadLayout {
  const { sizeBytes, partBytes, nextPart, multipart, parts, pieces, inline, ending, obsolete, fence } = state;
  return {
    id,
    sizeBytes: integer(sizeBytes, 0),
    partBytes: integer(partBytes, 1),
    nextPart: integer(nextPart, 1),
    multipart: multipart === undefined ? undefined : text(multipart),
    parts: list(parts).map(partOf),
    pieces: list(pieces).map(pieceOf),
    inline: bytesOf(inline === undefined ? '' : text(inline)),
    ending: ending === undefined ? undefined : partOf(ending),
    obsolete: list(obsolete).map(suffixOf),
    fence: fence === undefined ? undefined : fenceOf(id, fence),
  };
}

/** Part numbers ascend and lie below the next one. Parts need a multipart. */
function checkParts({ parts, ending, nextPart, multipart }: UploadLayout): void {
  const all = [...parts, ...(ending === undefined ? [] : [ending])];
  const ascend = all.every(({ number }, index) => number > (all[index - 1]?.number ?? 0));
  if (!ascend || (parts.at(-1)?.number ?? 0) >= nextPart) throw INVALID;
  if (all.length > 0 && multipart === undefined) throw INVALID;
}

/** Parts and tail add up to the size, and the tail is less than a part. */
function checkSizes(layout: UploadLayout): void {
  const tailBytes = piecesBytes(layout.pieces) + layout.inline.length;
  if (tailStart(layout) + tailBytes !== layout.sizeBytes) throw INVALID;
  if (tailBytes >= tailPartBytes(layout)) throw INVALID;
}

function integer(value: JsonValue | undefined, minimum: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < minimum) throw INVALID;
  return value;
}

function text(value: JsonValue | undefined): string {
  if (typeof value !== 'string') throw INVALID;
  return value;
}

function list(value: JsonValue | undefined): JsonValue[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw INVALID;
  return value;
}

function partOf(value: JsonValue): Part {
  const [number, tag, ...more] = list(value);
  const part = { number: integer(number, 1), tag: text(tag) };
  if (more.length > 0 || part.tag.length > MAX_TAG_LENGTH) throw INVALID;
  return part;
}

function pieceOf(value: JsonValue): Piece {
  const [suffix, sizeBytes, md5, ...more] = list(value);
  if (more.length > 0 || !MD5.test(text(md5))) throw INVALID;
  return { suffix: suffixOf(suffix), sizeBytes: integer(sizeBytes, 1), md5: text(md5) };
}

function suffixOf(value: JsonValue | undefined): string {
  if (!isSuffix(value)) throw INVALID;
  return value;
}

function fenceOf(id: string, value: JsonValue): string {
  const [owner, suffix, ...more] = text(value).split('~');
  if (owner !== id || !isSuffix(suffix) || more.length > 0) throw INVALID;
  return text(value);
}

function bytesOf(base64: string): Buffer {
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.toString('base64') !== base64) throw INVALID;
  return bytes;
}
