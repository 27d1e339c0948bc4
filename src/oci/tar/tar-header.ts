import { parseHeaderNumber, parseSize } from './tar-number.js';
import { TarInvalidError } from './tar.errors.js';

export const BLOCK_BYTES = 512;

/** The fields of a header. Text has one character per byte (`latin1`), so that all bytes survive. */
export interface TarHeader {
  readonly name: string;
  readonly mode: bigint;
  readonly uid: bigint;
  readonly gid: bigint;
  readonly size: number;
  readonly mtime: bigint;
  /** One byte; `\0` is not replaced. */
  readonly typeflag: string;
  readonly linkname: string;
  readonly uname: string;
  readonly gname: string;
  readonly devmajor: bigint;
  readonly devminor: bigint;
}

/** The text before the first NUL. */
export function cString(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end === -1 ? bytes.length : end);
}

/**
 * Reads a header block as Go's archive/tar of 2014 (1.3) did: its result is part of every tarsum.
 *
 *     0    name     100 mode 108 uid  116 gid   124 size     136 mtime    148 checksum 156 typeflag
 *     157  linkname 257 magic and version       265 uname    297 gname    329 devmajor 337 devminor
 *     345  prefix: 155 bytes; of star 131
 *
 * @throws TarInvalidError
 */
export function parseTarHeader(block: Buffer): TarHeader {
  expectChecksum(block);
  const text = (start: number, length: number) => cString(block.subarray(start, start + length));
  const number = (start: number, length: number) => parseHeaderNumber(block.subarray(start, start + length));
  return {
    name: text(0, 100),
    mode: number(100, 8),
    uid: number(108, 8),
    gid: number(116, 8),
    size: parseSize(number(124, 12)),
    mtime: number(136, 12),
    typeflag: block.toString('latin1', 156, 157),
    linkname: text(157, 100),
    ...NO_EXTENSION,
    ...extensionOf(block, text, number),
  };
}

/** What a header of UNIX V7 lacks. */
const NO_EXTENSION = { uname: '', gname: '', devmajor: 0n, devminor: 0n };

const USTAR = 'ustar\0' + '00';
const GNU = 'ustar  \0';

function extensionOf(
  block: Buffer,
  text: (start: number, length: number) => string,
  number: (start: number, length: number) => bigint,
): Partial<TarHeader> {
  const magic = block.toString('latin1', 257, 265);
  if (magic !== USTAR && magic !== GNU) return {};
  const isStar = magic === USTAR && block.toString('latin1', 508, 512) === 'tar\0';
  const prefix = text(345, isStar ? 131 : 155);
  const isDevice = /^[34]$/.test(block.toString('latin1', 156, 157));
  return {
    ...(prefix !== '' && { name: `${prefix}/${text(0, 100)}` }),
    uname: text(265, 32),
    gname: text(297, 32),
    ...(isDevice && { devmajor: number(329, 8), devminor: number(337, 8) }),
  };
}

/** Some old programs summed signed bytes: either sum is right. */
function expectChecksum(block: Buffer): void {
  const given = parseHeaderNumber(block.subarray(148, 156));
  // The eight bytes of the checksum count as spaces. An iterator would take five times as long.
  let unsigned = 8 * 0x20;
  let negative = 0;
  for (let index = 0; index < BLOCK_BYTES; index = index === 147 ? 156 : index + 1) {
    const byte = block[index] ?? 0;
    unsigned += byte;
    negative += byte >> 7;
  }
  if (given !== BigInt(unsigned) && given !== BigInt(unsigned - 256 * negative)) {
    throw new TarInvalidError('a header has a wrong checksum');
  }
}
