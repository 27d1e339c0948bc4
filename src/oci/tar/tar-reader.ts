import { type PaxRecords, parsePaxRecords } from './pax-records.js';
import { type TarEntry, toTarEntry } from './tar-entry.js';
import { BLOCK_BYTES, cString, parseTarHeader, type TarHeader } from './tar-header.js';
import { TarInvalidError } from './tar.errors.js';

/** Gets the entries of a tar. The bytes of a body are valid only during the call. */
export interface TarVisitor {
  begin(entry: TarEntry): void;
  body(bytes: Uint8Array): void;
  end(): void;
}

/** The longest body of a header that only describes the next entry. */
const MAX_EXTENSION_BYTES = 1024 * 1024;
/** What is read before the next pause. */
const STEP_BYTES = 32 * 1024;
const ZEROS = Buffer.alloc(STEP_BYTES);

/** The body of a header of the type `x` (PAX), `L` or `K` (GNU: the name and the link of the next entry). */
interface Extension {
  readonly typeflag: string;
  readonly bytes: Buffer;
}

/**
 * Reads a plain tar that arrives in pieces, in bounded memory: v7, ustar, star, GNU and PAX. `read` and
 * `finish` throw TarInvalidError, and must not be called after that.
 *
 *     header ─► body, in blocks of 512 bytes ─► header … ─► a block of zeros, and nothing but zeros
 */
export class TarReader {
  private readonly block = Buffer.alloc(BLOCK_BYTES);
  /** How much of the next header has arrived. */
  private headerBytes = 0;
  /** How much of the current body, and of the padding behind it, has not arrived. */
  private bodyBytes = 0;
  private paddingBytes = 0;
  private extension: Extension | undefined;
  /** What headers have said about the next entry. */
  private pax: PaxRecords | undefined;
  private name: string | undefined;
  private linkname: string | undefined;
  private hasEnded = false;

  constructor(private readonly visitor: TarVisitor) {}

  /** Reads the next piece. Pauses after a few kilobytes. */
  *read(piece: Uint8Array): Generator<void, void> {
    let rest = piece;
    while (rest.length > 0) {
      const part = rest.subarray(0, STEP_BYTES);
      rest = rest.subarray(yield* this.readSome(part));
      yield;
    }
  }

  /** Call it once, after the last piece. */
  finish(): void {
    const isWithinEntry = this.headerBytes + this.bodyBytes + this.paddingBytes > 0;
    if (isWithinEntry) throw new TarInvalidError('the last entry is truncated');
    this.expectNothingAnnounced();
  }

  /** Returns how many of the bytes it has read. */
  private *readSome(bytes: Uint8Array): Generator<void, number> {
    if (this.hasEnded) return readZeros(bytes);
    if (this.bodyBytes > 0) return yield* this.readBody(bytes.subarray(0, this.bodyBytes));
    const padding = Math.min(this.paddingBytes, bytes.length);
    this.paddingBytes -= padding;
    if (padding > 0) return padding;
    return yield* this.readHeader(bytes.subarray(0, BLOCK_BYTES - this.headerBytes));
  }

  private *readHeader(bytes: Uint8Array): Generator<void, number> {
    this.block.set(bytes, this.headerBytes);
    this.headerBytes += bytes.length;
    if (this.headerBytes === BLOCK_BYTES) {
      this.headerBytes = 0;
      if (this.block.equals(ZEROS.subarray(0, BLOCK_BYTES))) this.end();
      else yield* this.begin(parseTarHeader(this.block));
    }
    return bytes.length;
  }

  private end(): void {
    this.expectNothingAnnounced();
    this.hasEnded = true;
  }

  private *begin(header: TarHeader): Generator<void, void> {
    const isExtension = /^[xLK]$/.test(header.typeflag);
    const { size } = isExtension ? this.beginExtension(header) : this.beginEntry(header);
    this.bodyBytes = size;
    this.paddingBytes = -size & (BLOCK_BYTES - 1);
    if (size === 0) yield* this.endBody();
  }

  private beginExtension(header: TarHeader): TarHeader {
    if (this.pax !== undefined) throw new TarInvalidError('no entry follows a PAX header');
    if (header.size > MAX_EXTENSION_BYTES) {
      throw new TarInvalidError(`a PAX or long-name record is larger than ${MAX_EXTENSION_BYTES} bytes`);
    }
    this.extension = { typeflag: header.typeflag, bytes: Buffer.alloc(header.size) };
    return header;
  }

  private beginEntry(header: TarHeader): TarHeader {
    const { pax, name, linkname } = this;
    const entry = toTarEntry(header, {
      ...(pax !== undefined && { pax }),
      ...(name !== undefined && { name }),
      ...(linkname !== undefined && { linkname }),
    });
    this.pax = this.name = this.linkname = undefined;
    this.visitor.begin(entry);
    return entry;
  }

  private *readBody(bytes: Uint8Array): Generator<void, number> {
    const { extension } = this;
    if (extension === undefined) this.visitor.body(bytes);
    else extension.bytes.set(bytes, extension.bytes.length - this.bodyBytes);
    this.bodyBytes -= bytes.length;
    if (this.bodyBytes === 0) yield* this.endBody();
    return bytes.length;
  }

  private *endBody(): Generator<void, void> {
    const { extension } = this;
    this.extension = undefined;
    if (extension === undefined) this.visitor.end();
    else if (extension.typeflag === 'x') this.pax = yield* parsePaxRecords(extension.bytes);
    // As in 2014, the first one of several counts.
    else if (extension.typeflag === 'L') this.name ??= cString(extension.bytes);
    else this.linkname ??= cString(extension.bytes);
  }

  private expectNothingAnnounced(): void {
    const announced = [this.pax, this.name, this.linkname].some((value) => value !== undefined);
    if (announced) throw new TarInvalidError('no entry follows a PAX or long-name header');
  }
}

function readZeros(bytes: Uint8Array): number {
  if (ZEROS.compare(bytes, 0, bytes.length, 0, bytes.length) === 0) return bytes.length;
  throw new TarInvalidError('there are bytes behind the end');
}
