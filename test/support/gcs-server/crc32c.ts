import { CRC32C } from '@google-cloud/storage';

/** Castagnoli's polynomial, bits reversed. */
const POLYNOMIAL = 0x82f63b78;

const cache = new WeakMap<Buffer, number>();
const shifts = new Map<number, Uint32Array>();

/** CRC32C of concatenated chunks, in base64. Computes each chunk once, so that compositions are cheap. */
export function crc32c(chunks: readonly Buffer[]): string {
  const crc = chunks.reduce((sum, chunk) => (times(shiftOf(chunk.length), sum) ^ crcOf(chunk)) >>> 0, 0);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc);
  return bytes.toString('base64');
}

function crcOf(chunk: Buffer): number {
  const cached = cache.get(chunk);
  if (cached !== undefined) return cached;
  const hash = new CRC32C();
  hash.update(chunk);
  const value = hash.valueOf() >>> 0;
  cache.set(chunk, value);
  return value;
}

/**
 * The effect of this many following bytes on a checksum, as a matrix over GF(2), like zlib's `crc32_combine`.
 */
function shiftOf(bytes: number): Uint32Array {
  const shift = shifts.get(bytes) ?? power(bytes);
  shifts.set(bytes, shift);
  return shift;
}

function power(bytes: number): Uint32Array {
  let result = Uint32Array.from({ length: 32 }, (_, bit) => (1 << bit) >>> 0);
  const oneBit = Uint32Array.from({ length: 32 }, (_, bit) => (bit === 0 ? POLYNOMIAL : 1 << (bit - 1)));
  let factor = product(oneBit, oneBit);
  for (let doubled = 1; doubled < 3; doubled += 1) factor = product(factor, factor);
  for (let rest = bytes; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = product(factor, result);
    factor = product(factor, factor);
  }
  return result;
}

function product(one: Uint32Array, other: Uint32Array): Uint32Array<ArrayBuffer> {
  return Uint32Array.from(other, (column) => times(one, column));
}

function times(matrix: Uint32Array, vector: number): number {
  let sum = 0;
  for (let bit = 0; bit < 32; bit += 1) if ((vector >>> bit) & 1) sum ^= matrix[bit] ?? 0;
  return sum >>> 0;
}
