import { createHash } from 'node:crypto';
import { DigestInvalidError } from './errors.js';
import { inTimeSlices } from './time-slices.js';

declare const brand: unique symbol;

/** A content digest, `algorithm:lower-case hex`, of an algorithm that Berth verifies. */
export type Digest = string & { readonly [brand]: 'Digest' };

/**
 * The algorithms that Berth verifies. {@link CANONICAL_ALGORITHM} is always computed, the others on request.
 */
export const DIGEST_ALGORITHMS = ['sha256', 'sha512'] as const;
export type DigestAlgorithm = (typeof DIGEST_ALGORITHMS)[number];

const ALGORITHMS = DIGEST_ALGORITHMS.join(' or ');

/** Every blob has a digest of this algorithm; it is the blob's identity inside Berth. */
export const CANONICAL_ALGORITHM = 'sha256' satisfies DigestAlgorithm;

const HEX_LENGTH: Record<DigestAlgorithm, number> = { sha256: 64, sha512: 128 };

/**
 * Parses a digest (image-spec, descriptor.md, "Digests") of an algorithm that Berth verifies.
 *
 * @throws DigestInvalidError if the text is malformed or its algorithm unknown.
 */
export function parseDigest(text: string): Digest {
  const separator = text.indexOf(':');
  const algorithm = knownAlgorithm(text.slice(0, Math.max(separator, 0)));
  if (algorithm === undefined) throw new DigestInvalidError(`expected a digest of ${ALGORITHMS}`);
  const hex = text.slice(separator + 1);
  if (hex.length !== HEX_LENGTH[algorithm] || !/^[0-9a-f]+$/.test(hex)) {
    throw new DigestInvalidError(`expected ${algorithm}: and ${HEX_LENGTH[algorithm]} lower-case hex digits`);
  }
  return text as Digest;
}

/** @throws DigestInvalidError when Berth doesn't verify the algorithm. */
export function parseDigestAlgorithm(text: string): DigestAlgorithm {
  const algorithm = knownAlgorithm(text);
  if (algorithm === undefined) throw new DigestInvalidError(`expected the digest algorithm ${ALGORITHMS}`);
  return algorithm;
}

function knownAlgorithm(text: string): DigestAlgorithm | undefined {
  return DIGEST_ALGORITHMS.find((algorithm) => algorithm === text);
}

/** Joins what a hash function gave to a digest. */
export function formatDigest(algorithm: DigestAlgorithm, sum: Uint8Array): Digest {
  return `${algorithm}:${Buffer.from(sum).toString('hex')}` as Digest;
}

export function digestAlgorithm(digest: Digest): DigestAlgorithm {
  return digest.slice(0, digest.indexOf(':')) as DigestAlgorithm;
}

export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}

/** The digest of bytes that are in memory anyway (a manifest). */
export function digestOf(algorithm: DigestAlgorithm, bytes: Uint8Array): Digest {
  return formatDigest(algorithm, createHash(algorithm).update(bytes).digest());
}

const STEP_BYTES = 128 * 1024;

/** The same of many bytes, while other requests are served. */
export async function digestInTimeSlices(algorithm: DigestAlgorithm, bytes: Uint8Array): Promise<Digest> {
  if (bytes.length <= STEP_BYTES) return digestOf(algorithm, bytes);
  const hash = createHash(algorithm);
  let at = 0;
  await inTimeSlices(() => {
    hash.update(bytes.subarray(at, at + STEP_BYTES));
    at += STEP_BYTES;
    return at >= bytes.length;
  });
  return formatDigest(algorithm, hash.digest());
}
