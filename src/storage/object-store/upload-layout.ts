import { randomBytes } from 'node:crypto';
import type { DriverUpload, DriverUploadState, JsonValue } from '../storage-driver.js';
import { UploadStateError } from '../storage.errors.js';
import type { Part } from './object-store.js';
import { partSize, partsSize } from './part-sizes.js';

/** Some of the bytes behind the last whole part, in an object of their own that can be read back. */
export interface Piece {
  /** Random: no other writer's piece has it. */
  readonly suffix: string;
  readonly sizeBytes: number;
  /** Of its bytes, base64: what is read back becomes part of a blob, whose digest nobody computes again. */
  readonly md5: string;
}

interface Fields {
  readonly sizeBytes: number;
  /** Size of the first parts. Recorded, so that the operator can change it while uploads are under way. */
  readonly partBytes: number;
  /** The lowest number that no part has been given, by whoever may still write. */
  readonly nextPart: number;
  /** The store's name for the multipart; nothing before the first part. */
  readonly multipart: string | undefined;
  readonly parts: readonly Part[];
  readonly pieces: readonly Piece[];
  readonly inline: Buffer;
  readonly ending: Part | undefined;
  readonly obsolete: readonly string[];
  /** Whose the state is, and which of the fences of one state made it. */
  readonly fence: string | undefined;
}

const SUFFIX = /^[0-9a-f]{16}$/;
const MD5 = /^[A-Za-z0-9+/]{22}==$/;
const MOST_TAG_LENGTH = 512;

/** How many numbers of parts a fence leaves for those whom it shuts out; how many a sink may use before it is told that it was recorded. */
export const UNRECORDED_NUMBERS = 40;

/**
 * What the row of an upload remembers of its bytes in an object store:
 *
 *     0                                       n    sizeBytes
 *     ├── part ──┼── part ──┼── part ──┼ piece ┼ inline ┤
 *      number, tag: what the object will    the tail: less than a part. It can be
 *      be made of; can't be read back       read back, so that any replica goes on
 *
 * The tail is in the row itself while it is small, and in objects of its own (`pieces`) otherwise. Where the writer had
 * all of it in memory it is in the store once more as a part (`ending`), so that the object can be completed without reading
 * anything.
 *
 * **Nobody overwrites a part that was recorded.** Every number is given once: a fence leaves a gap that whoever is shut
 * out can use up and not leave. Pieces have random names. (A store that can't leave parts out, see
 * `ObjectStore.leavesPartsOut`, needs them numbered without gaps, and has the ending under the highest number there is.
 * There a writer that was shut out can put its whole part in place of another: of the same bytes, unless two clients
 * send different ones. The tags that were recorded decide: such an upload fails, and never becomes an object of other
 * bytes. An ending that isn't the one that was recorded is made anew.)
 */
export class UploadLayout {
  private constructor(
    readonly id: string,
    private readonly fields: Fields,
  ) {}

  static first(id: string, partBytes: number): UploadLayout {
    return new UploadLayout(id, {
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
    });
  }

  /**
   * What was recorded, read back.
   *
   * @throws InvalidObjectKeyError when the id can't be one.
   * @throws UploadStateError when the state is not one that `toState` made for this id.
   */
  static recorded({ id, state }: DriverUpload): UploadLayout {
    try {
      const layout = new UploadLayout(id, fieldsOf(id, state));
      const tailBytes = layout.savedTailBytes + layout.inline.length;
      if (layout.tailStart + tailBytes !== layout.sizeBytes || tailBytes >= layout.openPartBytes)
        throw FOREIGN;
      return layout;
    } catch (cause) {
      throw new UploadStateError(`the state of upload ${id} was not made for it by this driver`, { cause });
    }
  }

  /** @throws UploadStateError also when the state was recorded at another offset. */
  static recordedAt(upload: DriverUpload, sizeBytes: number): UploadLayout {
    const layout = UploadLayout.recorded(upload);
    if (layout.sizeBytes !== sizeBytes) {
      throw new UploadStateError(
        `upload ${upload.id} was recorded with ${layout.sizeBytes} bytes, but ${sizeBytes} are asked for`,
      );
    }
    return layout;
  }

  get sizeBytes(): number {
    return this.fields.sizeBytes;
  }

  get partBytes(): number {
    return this.fields.partBytes;
  }

  get nextPart(): number {
    return this.fields.nextPart;
  }

  get multipart(): string | undefined {
    return this.fields.multipart;
  }

  /** The number behind that of the last whole part. */
  get nextWithoutGap(): number {
    return (this.parts.at(-1)?.number ?? 0) + 1;
  }

  /** Whole parts, in the order of their bytes. */
  get parts(): readonly Part[] {
    return this.fields.parts;
  }

  get pieces(): readonly Piece[] {
    return this.fields.pieces;
  }

  /** The end of the tail, behind the pieces. */
  get inline(): Buffer {
    return this.fields.inline;
  }

  /** The whole tail as a part. */
  get ending(): Part | undefined {
    return this.fields.ending;
  }

  /** Pieces whose bytes are elsewhere by now. */
  get obsolete(): readonly string[] {
    return this.fields.obsolete;
  }

  /** Where the tail begins. */
  get tailStart(): number {
    return partsSize(this.parts.length, this.partBytes);
  }

  get savedTailBytes(): number {
    return this.pieces.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  /** Of the part that the tail will become. */
  get openPartBytes(): number {
    return partSize(this.parts.length, this.partBytes);
  }

  with(changes: Partial<Fields>): UploadLayout {
    return new UploadLayout(this.id, { ...this.fields, ...changes });
  }

  /** @throws UploadStateError when the numbers run out. */
  fenced(maxPartNumber: number): UploadLayout {
    const nextPart = this.nextPart + UNRECORDED_NUMBERS;
    if (nextPart + UNRECORDED_NUMBERS > maxPartNumber) {
      throw new UploadStateError(`upload ${this.id} was taken from its writers too often`);
    }
    return this.with({ nextPart, fence: `${this.id}~${newSuffix()}` });
  }

  toState(): DriverUploadState {
    const { sizeBytes, partBytes, nextPart, multipart, parts, pieces, inline, ending, obsolete, fence } =
      this.fields;
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
}

export function newSuffix(): string {
  return randomBytes(8).toString('hex');
}

export function isSuffix(text: unknown): text is string {
  return typeof text === 'string' && SUFFIX.test(text);
}

const FOREIGN = new Error('not a state of this driver');

function fieldsOf(id: string, state: DriverUploadState): Fields {
  const { sizeBytes, partBytes, nextPart, multipart, parts, pieces, inline, ending, obsolete, fence } = state;
  const fields: Fields = {
    sizeBytes: whole(sizeBytes, 0),
    partBytes: whole(partBytes, 1),
    nextPart: whole(nextPart, 1),
    multipart: multipart === undefined ? undefined : text(multipart),
    parts: list(parts).map(partOf),
    pieces: list(pieces).map(pieceOf),
    inline: bytesOf(inline === undefined ? '' : text(inline)),
    ending: ending === undefined ? undefined : partOf(ending),
    obsolete: list(obsolete).map(suffixOf),
    fence: fence === undefined ? undefined : fenceOf(id, fence),
  };
  const all = [...fields.parts, ...(fields.ending === undefined ? [] : [fields.ending])];
  const ascend = all.every(({ number }, index) => number > (all[index - 1]?.number ?? 0));
  if (!ascend || (fields.parts.at(-1)?.number ?? 0) >= fields.nextPart) throw FOREIGN;
  if (all.length > 0 && fields.multipart === undefined) throw FOREIGN;
  return fields;
}

function whole(value: JsonValue | undefined, least: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least) throw FOREIGN;
  return value;
}

function text(value: JsonValue | undefined): string {
  if (typeof value !== 'string') throw FOREIGN;
  return value;
}

function list(value: JsonValue | undefined): JsonValue[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw FOREIGN;
  return value;
}

function partOf(value: JsonValue): Part {
  const [number, tag, ...more] = list(value);
  if (more.length > 0) throw FOREIGN;
  const part = { number: whole(number, 1), tag: text(tag) };
  if (part.tag.length > MOST_TAG_LENGTH) throw FOREIGN;
  return part;
}

function pieceOf(value: JsonValue): Piece {
  const [suffix, sizeBytes, md5, ...more] = list(value);
  if (more.length > 0 || !MD5.test(text(md5))) throw FOREIGN;
  return { suffix: suffixOf(suffix), sizeBytes: whole(sizeBytes, 1), md5: text(md5) };
}

function suffixOf(value: JsonValue | undefined): string {
  if (!isSuffix(value)) throw FOREIGN;
  return value;
}

function fenceOf(id: string, value: JsonValue): string {
  const [owner, suffix, ...more] = text(value).split('~');
  if (owner !== id || !isSuffix(suffix) || more.length > 0) throw FOREIGN;
  return text(value);
}

function bytesOf(base64: string): Buffer {
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.toString('base64') !== base64) throw FOREIGN;
  return bytes;
}
