import type { DigestAlgorithm } from '../../src/oci/digest.js';

/**
 * FIPS 180-4 word for word in BigInt, slow and independent of every library: the oracle for midstates, which
 * node:crypto doesn't show. Its constants are derived, not copied (4.2.2, 4.2.3, 5.3.3, 5.3.5).
 */
const SHAPES = {
  sha256: { bits: 32n, rounds: 64, S0: [2, 13, 22], S1: [6, 11, 25], s0: [7, 18, 3], s1: [17, 19, 10] },
  sha512: { bits: 64n, rounds: 80, S0: [28, 34, 39], S1: [14, 18, 41], s0: [1, 8, 7], s1: [19, 61, 6] },
} as const;

/** The eight words after whole blocks; the rest of `message` is ignored. */
export function referenceWords(algorithm: DigestAlgorithm, message: Uint8Array, from?: string): string {
  const { bits } = SHAPES[algorithm];
  const digits = Number(bits / 4n);
  const blockBytes = Number(bits * 2n);
  let state =
    from === undefined
      ? primes(8).map((prime) => fraction(prime, 2n, bits))
      : Array.from({ length: 8 }, (_, i) => BigInt(`0x${from.slice(i * digits, (i + 1) * digits)}`));
  for (let at = 0; at + blockBytes <= message.length; at += blockBytes) {
    state = compress(algorithm, state, Buffer.from(message.subarray(at, at + blockBytes)));
  }
  return state.map((word) => word.toString(16).padStart(digits, '0')).join('');
}

/**
 * The digest's hex, of a message that began with words already computed over `lengthBytes - tail.length`
 * bytes.
 */
export function referenceDigest(
  algorithm: DigestAlgorithm,
  tail: Uint8Array,
  words?: string,
  lengthBytes = tail.length,
): string {
  const { bits } = SHAPES[algorithm];
  const blockBytes = Number(bits * 2n);
  const counterBytes = Number(bits / 4n);
  const zeros = (2 * blockBytes - ((tail.length + 1 + counterBytes) % blockBytes)) % blockBytes;
  const counter = (BigInt(lengthBytes) * 8n).toString(16).padStart(2 * counterBytes, '0');
  const padding = Buffer.concat([Buffer.of(0x80), Buffer.alloc(zeros), Buffer.from(counter, 'hex')]);
  return referenceWords(algorithm, Buffer.concat([tail, padding]), words);
}

function compress(algorithm: DigestAlgorithm, state: bigint[], block: Buffer): bigint[] {
  const { bits, rounds, S0, S1, s0, s1 } = SHAPES[algorithm];
  const mask = (1n << bits) - 1n;
  const rotr = (x: bigint, n: number) => ((x >> BigInt(n)) | (x << (bits - BigInt(n)))) & mask;
  const big = (x: bigint, n: readonly number[]) => rotr(x, n[0]!) ^ rotr(x, n[1]!) ^ rotr(x, n[2]!);
  const small = (x: bigint, n: readonly number[]) => rotr(x, n[0]!) ^ rotr(x, n[1]!) ^ (x >> BigInt(n[2]!));
  const size = Number(bits / 8n);
  const w = Array.from({ length: 16 }, (_, i) =>
    BigInt(`0x${block.toString('hex', i * size, (i + 1) * size)}`),
  );
  for (let t = 16; t < rounds; t++) {
    w.push((small(w[t - 2]!, s1) + w[t - 7]! + small(w[t - 15]!, s0) + w[t - 16]!) & mask);
  }
  let [a, b, c, d, e, f, g, h] = state as [bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint];
  ROUND_PRIMES.slice(0, rounds).forEach((prime, t) => {
    const t1 = h + big(e, S1) + ((e & f) ^ (~e & mask & g)) + fraction(prime, 3n, bits) + w[t]!;
    const t2 = big(a, S0) + ((a & b) ^ (a & c) ^ (b & c));
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) & mask, c, b, a, (t1 + t2) & mask];
  });
  return [a, b, c, d, e, f, g, h].map((word, i) => (word + state[i]!) & mask);
}

function primes(count: number): bigint[] {
  const found: bigint[] = [];
  for (let n = 2n; found.length < count; n++) {
    if (found.every((prime) => n % prime !== 0n)) {
      found.push(n);
    }
  }
  return found;
}

const ROUND_PRIMES = primes(80);
const fractions = new Map<string, bigint>();

/** The first `bits` bits of the fractional part of the square (2) or cube (3) root. */
function fraction(prime: bigint, degree: bigint, bits: bigint): bigint {
  const key = `${prime.toString()}/${degree.toString()}/${bits.toString()}`;
  const known = fractions.get(key);
  if (known !== undefined) {
    return known;
  }
  const target = prime << (bits * degree);
  let low = 0n;
  let high = prime << bits;
  while (high - low > 1n) {
    const middle = (low + high) >> 1n;
    if (middle ** degree <= target) {
      low = middle;
    } else {
      high = middle;
    }
  }
  const value = low & ((1n << bits) - 1n);
  fractions.set(key, value);
  return value;
}
