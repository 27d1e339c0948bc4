import type { Digest } from '../../oci/digest.js';
import type { HasherFactory, Midstate } from './hasher.js';

/** The digests of the bytes that these midstates were saved after. */
export function digestsOf(midstates: readonly Midstate[], hashers: HasherFactory): Digest[] {
  return midstates.map((midstate) => {
    const hasher = hashers.resume(midstate);
    try {
      return hasher.digest();
    } finally {
      hasher.dispose();
    }
  });
}
