import type { CaseGroup } from './bench-case.js';
import { blobPushes } from './blob-pushes.js';
import { blobReads } from './blob-reads.js';
import { manifestReads } from './manifests.js';
import type { Sizes } from './sizes.js';

/** Every case, in the order in which they are run and reported. */
export function allGroups(sizes: Sizes): CaseGroup[] {
  return [manifestReads(), blobReads(sizes), ...blobPushes(sizes)];
}
