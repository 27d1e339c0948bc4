import type { CaseGroup } from './bench-case.js';
import { blobPushes } from './blob-pushes.js';
import { blobReads } from './blob-reads.js';
import { imageTransfers } from './images.js';
import { longLists } from './lists.js';
import { manifestReads } from './manifests.js';
import { memoryPeaks } from './memory.js';
import { mounts } from './mounts.js';
import { referrers } from './referrers.js';
import type { Sizes } from './sizes.js';
import { startUp } from './start-up.js';

/** All cases, in the order of the run and the report. */
export function allGroups(sizes: Sizes): CaseGroup[] {
  return [
    manifestReads(),
    blobReads(sizes),
    ...blobPushes(sizes),
    ...imageTransfers(sizes),
    mounts(),
    ...longLists(sizes),
    referrers(sizes),
    ...memoryPeaks(sizes),
    startUp(),
  ];
}
