import type { Digest } from '../../oci/digest.js';
import type { HasherFactory, Midstate } from './hasher.js';

/** What the bytes hash to after which these midstates were saved. */
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
