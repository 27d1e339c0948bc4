import { type Digest, type DigestAlgorithm, parseDigest, parseDigestAlgorithm } from './digest.js';
import { DigestInvalidError } from './errors.js';

declare const brand: unique symbol;

/**
 * A checksum of the entries of a tar, whatever their order, as Docker had it until 2015:
 * `tarsum.v1+sha256:<hex>`, or `tarsum+sha256:<hex>` of version 0. It names no bytes: other bytes can have
 * the same tarsum.
 */
export type Tarsum = string & { readonly [brand]: 'Tarsum' };

/** Version 0 has the times of the entries, version 1 their extended attributes. */
export const TARSUM_ALGORITHMS = ['tarsum+sha256', 'tarsum.v1+sha256'] as const;
export type TarsumAlgorithm = (typeof TARSUM_ALGORITHMS)[number];

/** What a client may name a blob by. */
export type BlobDigest = Digest | Tarsum;
export type BlobAlgorithm = DigestAlgorithm | TarsumAlgorithm;

/**
 * Parses a digest that Berth verifies, or a tarsum. A `+` may have become a space: in a query it must be sent
 * as `%2B`, and not all clients do.
 *
 * @throws DigestInvalidError if the text is malformed or its algorithm unknown.
 */
export function parseBlobDigest(text: string): BlobDigest {
  if (!text.startsWith('tarsum')) return parseDigest(text);
  const [, name = '', sum = ''] = /^([^:]*):([^]*)$/.exec(text) ?? [];
  return formatTarsum(parseTarsumAlgorithm(name), sum);
}

/** @throws DigestInvalidError when Berth doesn't verify the algorithm. */
export function parseBlobAlgorithm(text: string): BlobAlgorithm {
  return text.startsWith('tarsum') ? parseTarsumAlgorithm(text) : parseDigestAlgorithm(text);
}

function parseTarsumAlgorithm(text: string): TarsumAlgorithm {
  const algorithm = TARSUM_ALGORITHMS.find((known) => known === text.replace(' ', '+'));
  if (algorithm !== undefined) return algorithm;
  throw new DigestInvalidError(`expected a tarsum of ${TARSUM_ALGORITHMS.join(' or ')}`);
}

/** @throws DigestInvalidError */
export function formatTarsum(algorithm: TarsumAlgorithm, hex: string): Tarsum {
  if (/^[0-9a-f]{64}$/.test(hex)) return `${algorithm}:${hex}` as Tarsum;
  throw new DigestInvalidError(`expected ${algorithm}: and 64 lower-case hex digits`);
}

export function isTarsumAlgorithm(algorithm: BlobAlgorithm): algorithm is TarsumAlgorithm {
  return algorithm.startsWith('tarsum');
}

export function isTarsum(digest: BlobDigest): digest is Tarsum {
  return digest.startsWith('tarsum');
}

export function tarsumAlgorithm(tarsum: Tarsum): TarsumAlgorithm {
  return parseTarsumAlgorithm(tarsum.slice(0, tarsum.indexOf(':')));
}
