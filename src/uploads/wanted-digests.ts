import { CANONICAL_ALGORITHM, type Digest, type DigestAlgorithm, digestAlgorithm } from '../oci/digest.js';
import {
  type BlobDigest,
  isTarsum,
  type Tarsum,
  type TarsumAlgorithm,
  tarsumAlgorithm,
} from '../oci/tarsum.js';

/** The digests that a client names for one content, at least one. Each of them must match. */
export class WantedDigests {
  readonly digests: readonly Digest[];
  readonly tarsums: readonly Tarsum[];

  /** @param all in the order in which they are compared. */
  constructor(readonly all: readonly BlobDigest[]) {
    this.digests = all.filter((digest): digest is Digest => !isTarsum(digest));
    this.tarsums = all.filter(isTarsum);
  }

  static of(...all: BlobDigest[]): WantedDigests {
    return new WantedDigests(all);
  }

  /** The digest of a client that names a single one, and no tarsum: then responses name it. */
  get only(): Digest | undefined {
    return this.all.length === 1 ? this.digests[0] : undefined;
  }

  /** A digest of another algorithm than the canonical one, which every blob has. */
  get additional(): Digest | undefined {
    return this.digests.find((digest) => digestAlgorithm(digest) !== CANONICAL_ALGORITHM);
  }

  get tarsumAlgorithms(): readonly TarsumAlgorithm[] {
    return [...new Set(this.tarsums.map(tarsumAlgorithm))];
  }

  get algorithms(): readonly DigestAlgorithm[] {
    return [...new Set(this.digests.map(digestAlgorithm))];
  }
}
