import { TarInvalidError } from './tar.errors.js';

/**
 * A number in a header: octal digits between spaces and NULs, or base 256 if the first bit is set. Base 256
 * is as it was in 2014: without a sign, the low 64 bits count, as a signed number.
 *
 * @throws TarInvalidError
 */
export function parseHeaderNumber(field: Buffer): bigint {
  const [first = 0] = field;
  if (first >= 0x80) return parseBase256(field);
  let start = 0;
  let end = field.length;
  while (start < end && isPadding(field[start])) start += 1;
  while (start < end && isPadding(field[end - 1])) end -= 1;
  return BigInt(parseOctal(field.subarray(start, end)));
}

function isPadding(byte: number | undefined): boolean {
  return byte === 0 || byte === 0x20;
}

/** At most twelve digits, up to a NUL. */
function parseOctal(digits: Buffer): number {
  let value = 0;
  for (const byte of digits) {
    if (byte === 0) return value;
    if (byte < 0x30 || byte > 0x37) throw new TarInvalidError('a number in a header is not octal');
    value = value * 8 + byte - 0x30;
  }
  return value;
}

function parseBase256(field: Buffer): bigint {
  const bytes = Buffer.from(field);
  bytes.writeUInt8(bytes.readUInt8(0) & 0x7f, 0);
  return BigInt.asIntN(64, BigInt(`0x${bytes.toString('hex')}`));
}

/** A decimal number in a PAX record. @throws TarInvalidError */
export function parsePaxNumber(text: string): bigint {
  // No 64-bit number is longer, without leading zeros.
  const number = /^[+-]?0*[0-9]{1,19}$/.test(text) ? BigInt(text.replace('+', '')) : undefined;
  if (number === undefined || BigInt.asIntN(64, number) !== number) {
    throw new TarInvalidError('a number in a PAX record is malformed');
  }
  return number;
}

/** The seconds of a time in a PAX record, without their fraction. @throws TarInvalidError */
export function parsePaxSeconds(text: string): bigint {
  const [seconds = '', ...fractions] = text.split('.');
  if (fractions.length > 1 || !/^[0-9]*$/.test(fractions.join(''))) {
    throw new TarInvalidError('a time in a PAX record is malformed');
  }
  return parsePaxNumber(seconds);
}

/** @throws TarInvalidError if it can't be the size of a body. */
export function parseSize(number: bigint): number {
  if (number < 0n) throw new TarInvalidError('an entry has a negative size');
  if (number > BigInt(Number.MAX_SAFE_INTEGER)) throw new TarInvalidError('an entry is too large');
  return Number(number);
}
